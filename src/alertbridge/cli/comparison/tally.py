"""Differences counted: how many alerts each concerns, with a few examples, however many were heard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from alertbridge.cli.comparison.differences import Difference, Group, Kind
from alertbridge.model import JSON, Alert

_MOST_EXAMPLES: Final = 3
_ORDER: Final = {kind: number for number, kind in enumerate(Kind)}


@dataclass(frozen=True, slots=True)
class Example:
    """One alert of a group, and its two values where the group does not say them."""

    source: str
    fingerprint: str
    labels: Mapping[str, str]
    before: JSON
    after: JSON


@dataclass(frozen=True, slots=True)
class Counted:
    """A group with the number of its alerts; of keys also how many there are before and after."""

    group: Group
    alerts: int
    keys: tuple[int, int] | None
    examples: tuple[Example, ...]


@dataclass(slots=True)
class _Count:
    """What is kept of a group: hashes, which are as good as the thing itself to tell how many there are."""

    alerts: set[int] = field(default_factory=set)
    before: set[int] = field(default_factory=set)
    after: set[int] = field(default_factory=set)
    examples: list[Example] = field(default_factory=list)


class Tally:
    """Counts alerts, each once however often it was heard. What is kept of one alert is a few numbers."""

    def __init__(self) -> None:
        self._heard: set[int] = set()
        self._changed: set[int] = set()
        self._groups: dict[Group, _Count] = {}

    def add(self, alert: Alert, found: Iterable[Difference]) -> None:
        """The alert was heard, with these differences."""
        identity = hash(alert.id)
        self._heard.add(identity)
        for one in found:
            self._changed.add(identity)
            count = self._groups.setdefault(one.group, _Count())
            if one.group.kind is Kind.KEY:
                count.before.add(hash(one.before))
                count.after.add(hash(one.after))
            if identity not in count.alerts:
                count.alerts.add(identity)
                if len(count.examples) < _MOST_EXAMPLES:
                    count.examples.append(_example(alert, one))

    @property
    def alerts(self) -> int:
        """How many alerts were heard."""
        return len(self._heard)

    @property
    def changed(self) -> int:
        """For how many of them anything differs; nothing does for the others."""
        return len(self._changed)

    def groups(self) -> tuple[Counted, ...]:
        """What differs, the kinds in their order, the largest group of each first."""
        counted = [_counted(group, count) for group, count in self._groups.items()]
        return tuple(sorted(counted, key=lambda one: (_ORDER[one.group.kind], -one.alerts)))


def _example(alert: Alert, one: Difference) -> Example:
    return Example(alert.source, alert.fingerprint, alert.labels, one.before, one.after)


def _counted(group: Group, count: _Count) -> Counted:
    keys = (len(count.before), len(count.after)) if group.kind is Kind.KEY else None
    return Counted(group, len(count.alerts), keys, tuple(count.examples))
