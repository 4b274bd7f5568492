"""Finds the rules that no alert can reach, because earlier rules take them all or because nothing fulfils them.

An alert reaches a rule if it fulfils the rule's condition and none of the earlier rules that end the search. That is
one formula (`formula.py`), and the rule is reported only if it is certain that nothing fulfils it (`search.py`).

A label that a rule may have set is another field for the rules after it: of how its two values hang together nothing is
assumed. A rule with time windows takes no alert for certain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from alertbridge.rules.condition import Condition
from alertbridge.rules.formula import Field, Node, Some, Test, inside_of, normal, required_by
from alertbridge.rules.rulebook import Rule
from alertbridge.rules.search import Steps, impossible
from alertbridge.rules.versions import Versions

_STEPS_IN_ALL = 300_000
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Shadow:
    """A rule that never matches, and the earlier rules `by` which it is shadowed: none of them can be left out.

    Without any, the rule's own condition cannot hold: no alert fulfils all of `clash`, some parts of its `when`.
    """

    rule: str
    by: tuple[str, ...] = ()
    clash: tuple[Condition, ...] = ()


def shadowed(rules: tuple[Rule, ...], *, most_steps: int = _STEPS_IN_ALL) -> tuple[Shadow, ...]:
    """The rules that no alert can ever reach, in order; a rule of which this is not certain is left out.

    A step is one look at a field; after `most_steps`, about a second's work, the remaining rules are left out.
    """
    steps = Steps(most_steps)
    versions = Versions()
    earlier = _Rivals()
    found: list[Shadow] = []
    for rule in rules:
        own = [normal(part, versions, holds=True) for part in rule.when.parts]
        shadow = _shadow(rule, own, earlier, steps)
        if shadow is not None:
            found.append(shadow)
        elif not rule.ends:
            versions.set_by(rule)
        elif not rule.active:
            earlier.append(_Earlier(rule.name, normal(rule.when, versions, holds=False), required_by(own)))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Earlier:
    """A rule that ends the search: when an alert gets past it, and what a field must hold for it to match.

    Some way past it wants the fields `inside` inside of an extent; a text `outside` of one is enough.
    """

    name: str
    passed: Node
    required: Mapping[Field, frozenset[str]]
    inside: frozenset[Field] = field(init=False)
    outside: frozenset[Field] = field(init=False)

    def __post_init__(self) -> None:
        ways = self.passed.parts if isinstance(self.passed, Some) else (self.passed,)
        free = (way.subject for way in ways if isinstance(way, Test) and not way.inside)
        object.__setattr__(self, "inside", frozenset(inside_of([self.passed])))
        object.__setattr__(self, "outside", frozenset(subject for subject in free if subject[0] != "status"))

    def concerns(self, required: Mapping[Field, frozenset[str]]) -> bool:
        """Whether an alert that fulfils what is required might match this rule too."""
        for subject, values in self.required.items():
            if subject in required and values.isdisjoint(required[subject]):
                return False
        return True


class _Rivals:
    """The rules that end the search so far, filed by the values that they require."""

    def __init__(self) -> None:
        self._all: list[_Earlier] = []
        self._filed: dict[Field, dict[str, list[int]]] = {}
        self._unfiled: list[int] = []

    def append(self, rule: _Earlier) -> None:
        """Take the next rule; of the fields that it requires, the one by which the fewest are found counts."""
        places = [
            [self._filed.setdefault(subject, {}).setdefault(value, []) for value in values]
            for subject, values in rule.required.items()
        ]
        for place in min(places, key=lambda lists: sum(map(len, lists)), default=[self._unfiled]):
            place.append(len(self._all))
        self._all.append(rule)

    def of(self, own: list[Node]) -> list[_Earlier]:
        """Those, in order, that might take an alert which fulfils the nodes, and that it may not get past anyway."""
        required = required_by(own)
        found = set(self._unfiled)
        for subject, filed in self._filed.items():
            wanted = required.get(subject)
            found.update(*(filed.values() if wanted is None else (filed.get(value, ()) for value in wanted)))
        near = (self._all[index] for index in sorted(found))
        return _unavoidable([each for each in near if each.concerns(required)], own)


def _unavoidable(rivals: list[_Earlier], own: list[Node]) -> list[_Earlier]:
    """The rivals without those that an alert gets past by a field of which nothing wants a certain value.

    A text can always be outside of whatever is asked, so leaving them out spares work and changes no answer.
    """
    asked = frozenset(inside_of(own))
    while True:
        wanted = asked.union(*(each.inside for each in rivals))
        left = [each for each in rivals if each.outside <= wanted]
        if len(left) == len(rivals):
            return left
        rivals = left


def _shadow(rule: Rule, own: list[Node], earlier: _Rivals, steps: Steps) -> Shadow | None:
    def clashing(parts: Sequence[Node]) -> bool:
        return impossible(parts, steps)

    def covering(rules: Sequence[_Earlier]) -> bool:
        return impossible([*own, *(each.passed for each in rules)], steps)

    if steps.left <= 0:
        return None
    if clashing(own):
        needed = _needed(own, clashing)
        return Shadow(rule.name, clash=tuple(rule.when.parts[index] for index in needed))
    rivals = earlier.of(own)
    together = covering(rivals)
    if not together and not steps.gave_up:
        return None
    for each in rivals:
        if covering([each]):
            return Shadow(rule.name, (each.name,))
    if not together:
        return None
    return Shadow(rule.name, tuple(rivals[index].name for index in _needed(rivals, covering)))


def _needed(items: Sequence[_T], enough: Callable[[Sequence[_T]], bool]) -> list[int]:
    """Where the items stand that are enough together, after leaving out as many as can be, large groups first."""
    kept = list(range(len(items)))
    size = len(kept)
    while size := size // 2:
        for start in range(len(kept) - size, -size, -size):
            fewer = kept[: max(start, 0)] + kept[start + size :]
            if enough([items[each] for each in fewer]):
                kept = fewer
    return kept
