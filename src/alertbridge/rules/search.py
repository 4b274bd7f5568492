"""Whether any alert can fulfil a formula: every way through its alternatives, narrowing the values that are left.

Only if every way ends with a field that can have no value at all is it impossible. Where that is not certain, or the
search would take too long, it counts as possible.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from alertbridge.model import AlertStatus
from alertbridge.rules.extent import Values
from alertbridge.rules.formula import Every, Field, Node, Some, Test

_STEPS_AT_ONCE = 10_000
_ANY_TEXT = Values()
_EITHER_STATUS = Values(frozenset(AlertStatus))

_Known: TypeAlias = dict[Field, Values]


@dataclass(slots=True)
class Steps:
    """The work that is allowed; `gave_up` says that the last search ended for want of it."""

    left: int
    gave_up: bool = False


def impossible(nodes: Iterable[Node], steps: Steps) -> bool:
    """Whether it is certain that no alert fulfils all the nodes."""
    most = min(steps.left, _STEPS_AT_ONCE)
    search = _Search(most)
    possible = search.finds(nodes)
    steps.left -= most - search.left
    steps.gave_up = search.left <= 0
    return not possible


@dataclass(slots=True)
class _Search:
    """Goes through the alternatives, depth first, for at most so many steps."""

    left: int

    def finds(self, nodes: Iterable[Node]) -> bool:
        """Whether some way remains open, or it takes too long to say."""
        known: _Known = {}
        choices = self._at_once(nodes, known)
        if choices is None:
            return False
        choices.sort(key=lambda choice: len(choice.parts))
        ways: list[tuple[_Goals, _Known]] = [(_chain(choices), known)]
        while ways:
            goals, known = ways.pop()
            if goals is None or self.left <= 0:
                return True
            goal, rest = goals
            known = dict(known)
            choices = self._narrow([goal], known)
            if choices is None:
                continue
            if not choices:
                ways.append((rest, known))
                continue
            choice, *others = choices
            rest = _chain(others, rest)
            ways += [((part, rest), known) for part in reversed(choice.parts)]
        return False

    def _at_once(self, nodes: Iterable[Node], known: _Known) -> list[Some] | None:
        """Narrow `known` by all that needs no choice, until nothing new follows; the choices that remain."""
        waiting: Iterable[Node] = nodes
        while True:
            before = dict(known)
            choices = self._narrow(waiting, known)
            if choices is None or known == before:
                return choices
            waiting = choices

    def _narrow(self, nodes: Iterable[Node], known: _Known) -> list[Some] | None:
        """Narrow `known` by the nodes, one after the other; the choices among them, or None for a dead end."""
        waiting = [*nodes][::-1]
        choices: list[Some] = []
        while waiting and self.left > 0:
            node = waiting.pop()
            match node:
                case Test():
                    values = self._left(node, known)
                    if values is None:
                        return None
                    known[node.subject] = values
                case Every(parts):
                    waiting += reversed(parts)
                case Some(parts) if not self._entailed(node, known):
                    possible = tuple(part for part in parts if not self._refuted(part, known))
                    if not possible:
                        return None
                    if len(possible) == 1:
                        waiting.append(possible[0])
                    else:
                        choices.append(Some(possible))
                case _:
                    pass  # holds already
        return choices

    def _refuted(self, node: Node, known: _Known) -> bool:
        """Whether it is certain that the node does not hold where the fields have these values."""
        match node:
            case Test():
                return self._left(node, known) is None
            case Every(parts):
                return any(self._refuted(part, known) for part in parts)
            case Some(parts):
                return all(self._refuted(part, known) for part in parts)

    def _entailed(self, node: Node, known: _Known) -> bool:
        """Whether it is certain that the node holds."""
        match node:
            case Test(subject, extent, inside):
                return self._left(Test(subject, extent, not inside), known) is None
            case Every(parts):
                return all(self._entailed(part, known) for part in parts)
            case Some(parts):
                return any(self._entailed(part, known) for part in parts)

    def _left(self, test: Test, known: _Known) -> Values | None:
        values = known.get(test.subject) or (_EITHER_STATUS if test.subject[0] == "status" else _ANY_TEXT)
        self.left -= 1 + len(values.matching + values.avoiding) // 8  # each is compared with
        return values.narrowed(test.extent, inside=test.inside)


_Goals: TypeAlias = "tuple[Node, _Goals] | None"


def _chain(nodes: Sequence[Node], rest: _Goals = None) -> _Goals:
    for node in reversed(nodes):
        rest = (node, rest)
    return rest
