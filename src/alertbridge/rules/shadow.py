"""Finds the rules that no alert can reach, because earlier rules take them all or because nothing fulfils them.

An alert reaches a rule if it fulfils the rule's condition and none of the earlier rules that end the search. That is
one formula over tests such as `severity in {critical, page}`. A search tries its alternatives one after the other and
narrows, field by field, the values that are left. Only if every way ends with a field that can have no value at all is
the rule reported. Where that is not certain, or the search would take too long, the rule counts as reachable.

A label that a rule may have set is another field for the rules after it: of how its two values hang together nothing is
assumed. A rule with time windows takes no alert for certain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from alertbridge.model import AlertStatus
from alertbridge.rules.condition import All, AnyOf, Condition, Not
from alertbridge.rules.extent import Extent, Values, extent
from alertbridge.rules.matcher import Matcher, Operator
from alertbridge.rules.rulebook import Rule
from alertbridge.rules.versions import Versions

_STEPS_AT_ONCE = 10_000
_STEPS_IN_ALL = 300_000

_Subject: TypeAlias = tuple[str, str, int]  # see Versions
_ANY_TEXT = Values()
_EITHER_STATUS = Values(frozenset(AlertStatus))
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
    steps = _Steps(most_steps)
    versions = Versions()
    earlier = _Rivals()
    found: list[Shadow] = []
    for rule in rules:
        own = [_normal(part, versions, holds=True) for part in rule.when.parts]
        shadow = _shadow(rule, own, earlier, steps)
        if shadow is not None:
            found.append(shadow)
        elif not rule.ends:
            versions.set_by(rule)
        elif not rule.active:
            earlier.append(_Earlier(rule.name, _normal(rule.when, versions, holds=False), _required(own)))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Earlier:
    """A rule that ends the search: when an alert gets past it, and what a field must hold for it to match.

    Some way past it wants the fields `inside` inside of an extent; a text `outside` of one is enough.
    """

    name: str
    passed: _Node
    required: Mapping[_Subject, frozenset[str]]
    inside: frozenset[_Subject] = field(init=False)
    outside: frozenset[_Subject] = field(init=False)

    def __post_init__(self) -> None:
        ways = self.passed.parts if isinstance(self.passed, _Some) else (self.passed,)
        free = (way.subject for way in ways if isinstance(way, _Test) and not way.inside)
        object.__setattr__(self, "inside", frozenset(_inside([self.passed])))
        object.__setattr__(self, "outside", frozenset(subject for subject in free if subject[0] != "status"))

    def concerns(self, required: Mapping[_Subject, frozenset[str]]) -> bool:
        """Whether an alert that fulfils what is required might match this rule too."""
        for subject, values in self.required.items():
            if subject in required and values.isdisjoint(required[subject]):
                return False
        return True


class _Rivals:
    """The rules that end the search so far, filed by the values that they require."""

    def __init__(self) -> None:
        self._all: list[_Earlier] = []
        self._filed: dict[_Subject, dict[str, list[int]]] = {}
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

    def of(self, own: list[_Node]) -> list[_Earlier]:
        """Those, in order, that might take an alert which fulfils the nodes, and that it may not get past anyway."""
        required = _required(own)
        found = set(self._unfiled)
        for subject, filed in self._filed.items():
            wanted = required.get(subject)
            found.update(*(filed.values() if wanted is None else (filed.get(value, ()) for value in wanted)))
        near = (self._all[index] for index in sorted(found))
        return _unavoidable([each for each in near if each.concerns(required)], own)


def _unavoidable(rivals: list[_Earlier], own: list[_Node]) -> list[_Earlier]:
    """The rivals without those that an alert gets past by a field of which nothing wants a certain value.

    A text can always be outside of whatever is asked, so leaving them out spares work and changes no answer.
    """
    asked = frozenset(_inside(own))
    while True:
        wanted = asked.union(*(each.inside for each in rivals))
        left = [each for each in rivals if each.outside <= wanted]
        if len(left) == len(rivals):
            return left
        rivals = left


def _inside(nodes: Iterable[_Node]) -> Iterator[_Subject]:
    """The fields that some test wants inside of an extent."""
    for node in nodes:
        match node:
            case _Test(subject, _, inside):
                if inside:
                    yield subject
            case _Every(parts) | _Some(parts):
                yield from _inside(parts)


def _shadow(rule: Rule, own: list[_Node], earlier: _Rivals, steps: _Steps) -> Shadow | None:
    def clashing(parts: Sequence[_Node]) -> bool:
        return _impossible(parts, steps)

    def covering(rules: Sequence[_Earlier]) -> bool:
        return _impossible([*own, *(each.passed for each in rules)], steps)

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


@dataclass(frozen=True, slots=True)
class _Test:
    """One field holds a value inside, or outside, of an extent."""

    subject: _Subject
    extent: Extent
    inside: bool


@dataclass(frozen=True, slots=True)
class _Every:
    parts: tuple[_Node, ...]


@dataclass(frozen=True, slots=True)
class _Some:
    parts: tuple[_Node, ...]


_Node: TypeAlias = _Test | _Every | _Some


def _normal(condition: Condition, versions: Versions, *, holds: bool) -> _Node:
    """The condition, or its opposite, with every `not` moved down into the tests."""
    match condition:
        case Matcher():
            inside = condition.operator in (Operator.EQUAL, Operator.MATCHES)
            return _Test(versions.subject(condition), extent(condition), inside is holds)
        case Not(part):
            return _normal(part, versions, holds=not holds)
        case All(parts) | AnyOf(parts):
            normal = tuple(_normal(part, versions, holds=holds) for part in parts)
            return _Every(normal) if isinstance(condition, All) is holds else _Some(normal)


def _required(nodes: Iterable[_Node]) -> dict[_Subject, frozenset[str]]:
    """The few values that fields must hold for all the nodes to hold, where that is said outright."""
    found: dict[_Subject, frozenset[str]] = {}
    for node in nodes:
        match node:
            case _Test(subject, frozenset() as texts, inside=True):
                found[subject] = found.get(subject, texts) & texts
            case _Every(parts):
                for subject, texts in _required(parts).items():
                    found[subject] = found.get(subject, texts) & texts
            case _:
                pass
    return found


_Known: TypeAlias = dict[_Subject, Values]


@dataclass(slots=True)
class _Steps:
    """The work that is allowed; `gave_up` says that the last search ended for want of it."""

    left: int
    gave_up: bool = False


def _impossible(nodes: Iterable[_Node], steps: _Steps) -> bool:
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

    def finds(self, nodes: Iterable[_Node]) -> bool:
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

    def _at_once(self, nodes: Iterable[_Node], known: _Known) -> list[_Some] | None:
        """Narrow `known` by all that needs no choice, until nothing new follows; the choices that remain."""
        waiting: Iterable[_Node] = nodes
        while True:
            before = dict(known)
            choices = self._narrow(waiting, known)
            if choices is None or known == before:
                return choices
            waiting = choices

    def _narrow(self, nodes: Iterable[_Node], known: _Known) -> list[_Some] | None:
        """Narrow `known` by the nodes, one after the other; the choices among them, or None for a dead end."""
        waiting = [*nodes][::-1]
        choices: list[_Some] = []
        while waiting and self.left > 0:
            node = waiting.pop()
            match node:
                case _Test():
                    values = self._left(node, known)
                    if values is None:
                        return None
                    known[node.subject] = values
                case _Every(parts):
                    waiting += reversed(parts)
                case _Some(parts) if not self._entailed(node, known):
                    possible = tuple(part for part in parts if not self._refuted(part, known))
                    if not possible:
                        return None
                    if len(possible) == 1:
                        waiting.append(possible[0])
                    else:
                        choices.append(_Some(possible))
                case _:
                    pass  # holds already
        return choices

    def _refuted(self, node: _Node, known: _Known) -> bool:
        """Whether it is certain that the node does not hold where the fields have these values."""
        match node:
            case _Test():
                return self._left(node, known) is None
            case _Every(parts):
                return any(self._refuted(part, known) for part in parts)
            case _Some(parts):
                return all(self._refuted(part, known) for part in parts)

    def _entailed(self, node: _Node, known: _Known) -> bool:
        """Whether it is certain that the node holds."""
        match node:
            case _Test(subject, extent, inside):
                return self._left(_Test(subject, extent, not inside), known) is None
            case _Every(parts):
                return all(self._entailed(part, known) for part in parts)
            case _Some(parts):
                return any(self._entailed(part, known) for part in parts)

    def _left(self, test: _Test, known: _Known) -> Values | None:
        values = known.get(test.subject) or (_EITHER_STATUS if test.subject[0] == "status" else _ANY_TEXT)
        self.left -= 1 + len(values.matching + values.avoiding) // 8  # each is compared with
        return values.narrowed(test.extent, inside=test.inside)


_Goals: TypeAlias = "tuple[_Node, _Goals] | None"


def _chain(nodes: Sequence[_Node], rest: _Goals = None) -> _Goals:
    for node in reversed(nodes):
        rest = (node, rest)
    return rest
