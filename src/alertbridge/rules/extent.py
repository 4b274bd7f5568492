"""Which values a matcher accepts, as far as that can be said without seeing an alert."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import product
from typing import NamedTuple, TypeAlias

from alertbridge.rules.expression import Atom, Choice, Node, Repeat, Sequence, Unreadable, read
from alertbridge.rules.matcher import Matcher
from alertbridge.rules.pattern import Pattern

_MOST_TEXTS = 256
_ESCAPED = re.compile(r"\\([^\w\s])")
_ONE_OF = re.compile(r"\[([^]\[\\^-]+)\]")
_GLOB = re.compile(
    r"(?P<begin>(?:[^\\.+*?()|\[\]{}^$]|\\[^\w\s])*)\.(?P<sign>[*+])(?P<end>(?:[^\\.+*?()|\[\]{}^$]|\\[^\w\s])*)"
)


class _Glob(NamedTuple):
    """Fixed texts around one `.*` or `.+`; a dot is any character but the end of a line."""

    begin: str
    least: int
    end: str


@dataclass(frozen=True, slots=True)
class Shape:
    """The texts that match a pattern, where they are endless or not known; `glob` is set for a simple one."""

    pattern: Pattern
    glob: _Glob | None = field(compare=False)


Extent: TypeAlias = frozenset[str] | Shape


def extent(matcher: Matcher) -> Extent:
    """What the matcher's value stands for: all texts that are equal to it, or match it, or else the pattern."""
    if matcher.pattern is None:
        return frozenset([matcher.value])
    if matcher.pattern.literals is not None:
        return matcher.pattern.literals
    texts = _texts(matcher.pattern)
    return Shape(matcher.pattern, _glob(matcher.pattern)) if texts is None else texts


@dataclass(frozen=True, slots=True)
class Values:
    """What one field may still hold: one of `only` if that is said, nothing of `without`, and as the patterns want."""

    only: frozenset[str] | None = None
    without: frozenset[str] = frozenset()
    matching: tuple[Shape, ...] = ()
    avoiding: tuple[Shape, ...] = ()

    def narrowed(self, by: Extent, *, inside: bool) -> Values | None:
        """What is left inside or outside of an extent; None only if it is certain that nothing is."""
        if isinstance(by, Shape):
            return self._matched(by, inside=inside)
        if inside:
            return _left(value for value in by if self._admits(value))
        if self.only is not None:
            return _left(self.only - by)
        return replace(self, without=self.without | by)

    def _matched(self, by: Shape, *, inside: bool) -> Values | None:
        if self.only is not None:
            return _left(value for value in self.only if by.pattern.matches(value) is inside)
        if inside:
            if any(_within(by, other) for other in self.avoiding) or any(
                _apart(by, other) for other in self.matching
            ):
                return None
            return replace(self, matching=(*self.matching, by))
        if any(_within(one, by) for one in self.matching):
            return None
        return replace(self, avoiding=(*self.avoiding, by))

    def _admits(self, value: str) -> bool:
        return (
            (self.only is None or value in self.only)
            and value not in self.without
            and all(shape.pattern.matches(value) for shape in self.matching)
            and not any(shape.pattern.matches(value) for shape in self.avoiding)
        )


def _left(values: Iterable[str]) -> Values | None:
    left = frozenset(values)
    return Values(left) if left else None


def _glob(pattern: Pattern) -> _Glob | None:
    parts = _GLOB.fullmatch(pattern.text)
    if parts is None:
        return None
    begin, end = (_ESCAPED.sub(r"\1", text) for text in (parts["begin"], parts["end"]))
    return _Glob(begin, 1 if parts["sign"] == "+" else 0, end)


def _within(one: Shape, other: Shape) -> bool:
    """Whether it is certain that whatever matches `one` matches `other`."""
    if one.pattern.text == other.pattern.text:
        return True
    small, large = one.glob, other.glob
    if small is None or large is None:
        return False
    if not (small.begin.startswith(large.begin) and small.end.endswith(large.end)):
        return False
    rest = small.begin[len(large.begin) :] + small.end[: len(small.end) - len(large.end)]
    return "\n" not in rest and len(rest) + small.least >= large.least


def _apart(one: Shape, other: Shape) -> bool:
    """Whether it is certain that nothing matches both."""
    first, second = one.glob, other.glob
    if first is None or second is None:
        return False
    begin = first.begin.startswith(second.begin) or second.begin.startswith(first.begin)
    end = first.end.endswith(second.end) or second.end.endswith(first.end)
    return not (begin and end)


def _texts(pattern: Pattern) -> frozenset[str] | None:
    """Everything that matches, for an expression such as `(critical|page)s?`; None if that is not few or not known.

    The tree leaves out anchors and word boundaries, so what it gives is asked of the pattern itself.
    """
    try:
        texts = _spelt(read(pattern.text, _characters))
    except Unreadable:
        return None
    return frozenset(text for text in texts if pattern.matches(text))


def _characters(atom: str) -> frozenset[str]:
    if len(atom) == 1 and atom != ".":
        return frozenset(atom)
    if found := _ESCAPED.fullmatch(atom) or _ONE_OF.fullmatch(atom):
        return frozenset(found[1])
    raise Unreadable


def _spelt(node: Node) -> frozenset[str]:
    """The texts of a tree; raises Unreadable where they are too many."""
    match node:
        case Atom():
            return _few(node.members)
        case Choice(parts):
            return _few(text for part in parts for text in _spelt(part))
        case Sequence(parts):
            return _joined([_spelt(part) for part in parts])
        case Repeat(body, least, most):
            if most is None:
                raise Unreadable
            texts = _spelt(body)
            return _few(text for count in range(least, most + 1) for text in _joined([texts] * count))


def _joined(parts: list[frozenset[str]]) -> frozenset[str]:
    joined = frozenset([""])
    for texts in parts:
        joined = _few("".join(pair) for pair in product(joined, texts))
    return joined


def _few(texts: Iterable[str]) -> frozenset[str]:
    found = set()
    for text in texts:
        found.add(text)
        if len(found) > _MOST_TEXTS:
            raise Unreadable
    return frozenset(found)
