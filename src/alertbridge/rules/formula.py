"""A rule's condition as one formula over tests such as `severity in {critical, page}`, with every `not` moved into them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from alertbridge.rules.condition import All, AnyOf, Condition, Not
from alertbridge.rules.extent import Extent, extent
from alertbridge.rules.matcher import Matcher, Operator
from alertbridge.rules.versions import Versions

Field: TypeAlias = tuple[str, str, int]  # see Versions


@dataclass(frozen=True, slots=True)
class Test:
    """One field holds a value inside, or outside, of an extent."""

    subject: Field
    extent: Extent
    inside: bool


@dataclass(frozen=True, slots=True)
class Every:
    """All of them hold."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """One of them holds, at least."""

    parts: tuple[Node, ...]


Node: TypeAlias = Test | Every | Some


def normal(condition: Condition, versions: Versions, *, holds: bool) -> Node:
    """The condition, or its opposite, with every `not` moved down into the tests."""
    match condition:
        case Matcher():
            inside = condition.operator in (Operator.EQUAL, Operator.MATCHES)
            return Test(versions.subject(condition), extent(condition), inside is holds)
        case Not(part):
            return normal(part, versions, holds=not holds)
        case All(parts) | AnyOf(parts):
            moved = tuple(normal(part, versions, holds=holds) for part in parts)
            return Every(moved) if isinstance(condition, All) is holds else Some(moved)


def required_by(nodes: Iterable[Node]) -> dict[Field, frozenset[str]]:
    """The few values that fields must hold for all the nodes to hold, where that is said outright."""
    found: dict[Field, frozenset[str]] = {}
    for node in nodes:
        match node:
            case Test(subject, frozenset() as texts, inside=True):
                found[subject] = found.get(subject, texts) & texts
            case Every(parts):
                for subject, texts in required_by(parts).items():
                    found[subject] = found.get(subject, texts) & texts
            case _:
                pass
    return found


def inside_of(nodes: Iterable[Node]) -> Iterator[Field]:
    """The fields that some test wants inside of an extent."""
    for node in nodes:
        match node:
            case Test(subject, _, inside):
                if inside:
                    yield subject
            case Every(parts) | Some(parts):
                yield from inside_of(parts)
