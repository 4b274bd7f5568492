"""Rules that no alert can ever reach, with their places."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from alertbridge.config.document import Document, Path
from alertbridge.config.heartbeats import heartbeat_places, standing_first
from alertbridge.errors import Problem
from alertbridge.rules.condition import written
from alertbridge.rules.heartbeat import Heartbeat
from alertbridge.rules.rulebook import Rule
from alertbridge.rules.shadow import Shadow, shadowed

_MOST_NAMED = 5


def find_shadows(
    documents: Sequence[Document], rules: tuple[Rule, ...], *, heartbeats: Sequence[Heartbeat] = ()
) -> Iterator[Problem]:
    """A mistake for every rule that can never match; `documents` are those that the rules stand in.

    Heartbeats take their alerts before any rule is asked; they do not take them from each other.
    """
    taking = heartbeat_places(documents[0])
    places = rule_places(documents) | taking
    for shadow in shadowed((*standing_first(heartbeats), *rules)):
        if shadow.by and shadow.rule in taking:
            continue
        document, path = places[shadow.rule]
        if shadow.by:
            takers = [_taker(name, *places[name]) for name in shadow.by[:_MOST_NAMED]]
            yield document.problem(
                (*path, "name"), *_covered(shadow, takers, movable=shadow.by[0] not in taking)
            )
        else:
            yield document.problem((*path, "when"), *_unfulfilled(shadow))


def rule_places(documents: Iterable[Document]) -> dict[str, tuple[Document, Path]]:
    """Every rule's name with the document it stands in and its path there."""
    return {name: (document, path) for document in documents for name, path in _named(document)}


def _named(document: Document) -> Iterator[tuple[str, Path]]:
    rules = document.data.get("rules")
    for index, data in enumerate(rules if isinstance(rules, list) else []):
        name = data.get("name") if isinstance(data, dict) else None
        if isinstance(name, str):
            yield name, ("rules", index)


def _taker(name: str, document: Document, path: Path) -> str:
    return f'"{name}" ({document.file}:{document.place((*path, "name")).line})'


def _covered(shadow: Shadow, takers: list[str], *, movable: bool) -> tuple[str, str]:
    more = len(shadow.by) - len(takers)
    if more:
        takers = [*takers, f"{more} more"]
    if len(takers) == 1:
        who, them = f"rule {takers[0]} takes", "that one"
    else:
        who, them = f"rules {', '.join(takers[:-1])} and {takers[-1]} together take", "one of them"
    problem = f'rule "{shadow.rule}" can never match: {who} every alert that it is for'
    if not movable:
        return problem, f"narrow {them}, or remove this rule: heartbeats come before all rules"
    return problem, f'move it above "{shadow.by[0]}", narrow {them}, or remove this rule'


def _unfulfilled(shadow: Shadow) -> tuple[str, str]:
    clash = [written(part) for part in shadow.clash]
    at_once = " at once" if len(clash) > 1 else ""
    problem = f'rule "{shadow.rule}" can never match: no alert fulfils {" and ".join(clash)}{at_once}'
    return problem, "write alternatives under `any:`, or remove the rule"
