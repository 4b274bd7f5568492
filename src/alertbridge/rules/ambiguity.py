"""Finds the repeats that make a backtracking matcher take exponential time, such as `(a+)+`.

The expression becomes the automaton of its positions (Glushkov): one state per character written. A repeat
is ambiguous when one text can lead from a state back to that state on two different ways, because then n such
texts in a row can be read in 2^n ways. `ways` counts how often the expression itself offers the same step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from alertbridge.rules.expression import Atom, Choice, Node, Repeat, Sequence

_MOST_POSITIONS = 400
_MOST_STEPS = 200_000


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of the automaton: in how many ways it is empty, and where it may begin and end, in how many ways."""

    empty: int
    first: dict[int, int]
    last: dict[int, int]


class _TooLarge(Exception):  # noqa: N818 - never leaves this file
    """The question would take too long; matching itself is linear, so it may stay open."""


def ambiguous_repeat(tree: Node) -> Repeat | None:
    """The innermost unbounded repeat whose body can match one text in several ways, or None.

    None is also the answer for an expression too large to be asked about.
    """
    automaton = _Automaton()
    try:
        automaton.build(tree)
    except _TooLarge:
        return None
    return automaton.found


@dataclass(slots=True)
class _Automaton:
    found: Repeat | None = None
    _members: list[frozenset[str]] = field(default_factory=list)
    _ways: list[dict[int, int]] = field(default_factory=list)
    _steps: int = 0

    def build(self, node: Node) -> _Piece:
        match node:
            case Atom():
                return self._position(node)
            case Sequence(parts):
                return self._joined([self.build(part) for part in parts])
            case Choice(parts):
                pieces = [self.build(part) for part in parts]
                return _Piece(
                    sum(piece.empty for piece in pieces),
                    _added(piece.first for piece in pieces),
                    _added(piece.last for piece in pieces),
                )
            case Repeat():
                return self._repeated(node)

    def _position(self, atom: Atom) -> _Piece:
        if len(self._members) == _MOST_POSITIONS:
            raise _TooLarge
        here = len(self._members)
        self._members.append(atom.members)
        self._ways.append({})
        return _Piece(0, {here: 1}, {here: 1})

    def _joined(self, pieces: list[_Piece]) -> _Piece:
        whole = _Piece(1, {}, {})
        for piece in pieces:
            self._connect(whole.last, piece.first)
            whole = _Piece(
                whole.empty * piece.empty,
                _added([whole.first, _times(piece.first, whole.empty)]),
                _added([piece.last, _times(whole.last, piece.empty)]),
            )
        return whole

    def _repeated(self, node: Repeat) -> _Piece:
        """`x{2,4}` is read as `xx(x(x)?)?`, `x{2,}` as `xx+`, `x*` as `(x+)?`."""
        if node.most is None:
            copies = [self.build(node.body) for _ in range(node.least - 1)]
            copies.append(self._looped(node))
            piece = self._joined(copies)
            return piece if node.least else _optional(piece)
        tail = _Piece(1, {}, {})
        for _ in range(node.most - node.least):
            tail = _optional(self._joined([self.build(node.body), tail]))
        return self._joined([*(self.build(node.body) for _ in range(node.least)), tail])

    def _looped(self, node: Repeat) -> _Piece:
        start = len(self._members)
        piece = self.build(node.body)
        self._connect(piece.last, piece.first)
        if self.found is None and self._ambiguous(range(start, len(self._members))):
            self.found = node
        return piece

    def _connect(self, last: dict[int, int], first: dict[int, int]) -> None:
        for before, many in last.items():
            ways = self._ways[before]
            for after, more in first.items():
                ways[after] = ways.get(after, 0) + many * more

    def _ambiguous(self, positions: range) -> bool:
        """Whether two ways part and meet again; inside a loop every state reaches every other."""
        if any(many > 1 for here in positions for many in self._ways[here].values()):
            return True
        seen: set[tuple[int, int]] = set()
        waiting = [pair for here in positions for pair in self._successors(here, here) if pair[0] != pair[1]]
        while waiting:
            pair = waiting.pop()
            if pair[0] == pair[1]:
                return True
            if pair not in seen:
                seen.add(pair)
                waiting.extend(self._successors(*pair))
        return False

    def _successors(self, one: int, other: int) -> Iterator[tuple[int, int]]:
        for left in self._ways[one]:
            for right in self._ways[other]:
                self._steps += 1
                if self._steps > _MOST_STEPS:
                    raise _TooLarge
                if not self._members[left].isdisjoint(self._members[right]):
                    yield (left, right) if left <= right else (right, left)


def _optional(piece: _Piece) -> _Piece:
    return _Piece(max(1, piece.empty), piece.first, piece.last)


def _added(maps: Iterable[dict[int, int]]) -> dict[int, int]:
    total: dict[int, int] = {}
    for ways in maps:
        for position, many in ways.items():
            total[position] = total.get(position, 0) + many
    return total


def _times(ways: dict[int, int], factor: int) -> dict[int, int]:
    return {position: many * factor for position, many in ways.items()} if factor else {}
