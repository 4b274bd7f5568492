"""Which of many conditions an alert may meet, found by the values that its fields hold.

A condition such as `team = payments, severity =~ "critical|page"` can only hold for alerts of the team payments, so it
is filed under that value, and an alert is tried on what is filed under the values it has. What a condition is filed
under it requires; what requires no value (`team != web`, `rack =~ "r[0-9]+"`) is tried on every alert.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple, TypeAlias

from alertbridge.model import Alert
from alertbridge.rules.condition import All, AnyOf, Condition, Not
from alertbridge.rules.extent import Shape, extent
from alertbridge.rules.matcher import MAPPINGS, Matcher, Operator


class _Field(NamedTuple):
    """Where an alert holds a value: as in a Matcher."""

    field: str
    name: str


_Value: TypeAlias = tuple[_Field, str]
_Values: TypeAlias = frozenset[_Value]


class RuleIndex:
    """Conditions by the values they require; what is found is what trying each of them would find, in that order."""

    def __init__(self, conditions: Sequence[Condition]) -> None:
        """File each condition under the values that the fewest others ask for."""
        asked = Counter(chain.from_iterable(frozenset(_mentioned(one, holds=True)) for one in conditions))
        self._filed: dict[_Field, dict[str, list[int]]] = {}
        self._unfiled: list[int] = []
        for position, condition in enumerate(conditions):
            required = _required(condition, asked, holds=True)
            if required is None:
                self._unfiled.append(position)
                continue
            for place, value in required:
                self._filed.setdefault(place, {}).setdefault(value, []).append(position)

    def candidates(self, alert: Alert, after: int = -1) -> Iterator[int]:
        """The positions, in order, of the conditions behind `after` that may hold; every other does not.

        Whoever changes the alert on the way asks again with the new one, from where it was.
        """
        found = [self._unfiled]
        for (field, name), filed in self._filed.items():
            held = getattr(alert, field)
            if field in MAPPINGS:
                held = held.get(name, "")
            positions = filed.get(held)
            if positions is not None:
                found.append(positions)
        if after >= 0:
            found = [positions[bisect_right(positions, after) :] for positions in found]
        return iter(sorted(set().union(*found)) if len(found) > 1 else found[0])


def _mentioned(condition: Condition, *, holds: bool) -> Iterator[_Value]:
    """Every value that the condition, or its opposite, asks for somewhere."""
    match condition:
        case Matcher():
            yield from _asked(condition, holds=holds) or ()
        case Not(part):
            yield from _mentioned(part, holds=not holds)
        case All(parts) | AnyOf(parts):
            for part in parts:
                yield from _mentioned(part, holds=holds)


def _required(condition: Condition, asked: Counter[_Value], *, holds: bool) -> _Values | None:
    """Values of which an alert has one or more if the condition, or its opposite, holds; None if it needs none.

    Where there are several such sets, it is the one that the fewest conditions ask for.
    """
    match condition:
        case Matcher():
            return _asked(condition, holds=holds)
        case Not(part):
            return _required(part, asked, holds=not holds)
        case All(parts) | AnyOf(parts):
            found = [_required(part, asked, holds=holds) for part in parts]
            if isinstance(condition, All) is holds:
                every = [values for values in found if values is not None]
                return min(every, key=lambda values: sum(asked[value] for value in values), default=None)
            some = [values for values in found if values is not None]
            return frozenset().union(*some) if len(some) == len(found) else None


def _asked(matcher: Matcher, *, holds: bool) -> _Values | None:
    """The few values of which the matcher, or its opposite, accepts no other."""
    if (matcher.operator in (Operator.EQUAL, Operator.MATCHES)) is not holds:
        return None
    texts = extent(matcher)
    if isinstance(texts, Shape):
        return None
    place = _Field(matcher.field, matcher.name)
    return frozenset((place, text) for text in texts)
