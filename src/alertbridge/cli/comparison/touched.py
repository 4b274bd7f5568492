"""What becomes of open incidents under another configuration. Pure.

An open incident keeps its key, its rule and its texts, and its alerts stay its own: no change of rules keeps it from
closing. It is *stranded* where nobody can close it any more: its destination is gone, so that nobody is told, or the
source of an alert that fires in it is gone, so that nobody can say that it has ended. It is *re-keyed* where its alerts
would go elsewhere from now on: it closes as usual, but others of its kind open an incident beside it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from alertbridge.incidents.past import Place
from alertbridge.model import AlertId
from alertbridge.rules.rulebook import Plan


@dataclass(frozen=True, slots=True)
class OpenIncident:
    """An open incident, with the alerts that fire in it."""

    id: str
    destination: str
    key: str
    rule: str
    severity: str
    opened_at: str
    firing: tuple[AlertId, ...]

    @property
    def place(self) -> Place:
        """The destination and key that it occupies."""
        return (self.destination, self.key)


@dataclass(frozen=True, slots=True)
class Ground:
    """What a configuration has: the types of its sources and of its destinations, by name."""

    sources: Mapping[str, str]
    destinations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Stranded:
    """An incident that nobody can close; `already` says that the current configuration strands it too."""

    incident: OpenIncident
    reasons: tuple[str, ...]
    already: bool


class Turn(StrEnum):
    """What the alerts of an open incident would do instead of staying where it is."""

    REKEYED = "rekeyed"  # another key at its destination
    LEFT = "left"  # nothing goes to its destination any more
    BESIDE = "beside"  # it is as before, and one more destination gets its alerts


@dataclass(frozen=True, slots=True)
class Rekeyed:
    """An open incident, of which `alerts` of those that fire would now go to `places`; `rules` match the first."""

    incident: OpenIncident
    turn: Turn
    alerts: int
    places: tuple[Place, ...]
    rules: tuple[str, ...]
    dropped: bool


@dataclass(frozen=True, slots=True)
class Unknown:
    """An open incident of which `alerts` that fire are in no stored event: what becomes of them is not known."""

    incident: OpenIncident
    alerts: int


def stranded(incidents: Iterable[OpenIncident], *, current: Ground, new: Ground) -> Iterator[Stranded]:
    """Those that nobody can close under `new`."""
    for incident in incidents:
        reasons = tuple(_reasons(incident, current, new))
        if reasons:
            already = set(reasons) <= set(_reasons(incident, current, current))
            yield Stranded(incident, reasons, already)


def _reasons(incident: OpenIncident, current: Ground, new: Ground) -> Iterator[str]:
    lost = _lost(incident.destination, current.destinations, new.destinations)
    if lost:
        yield f"destination {incident.destination} {lost}: it is never told that this is over"
    for source in dict.fromkeys(alert.source for alert in incident.firing):
        lost = _lost(source, current.sources, new.sources)
        if lost:
            number = sum(1 for alert in incident.firing if alert.source == source)
            whose = f"{number} of {len(incident.firing)} alerts that fire are from it"
            yield f"source {source} {lost}: {whose}, and nobody can say that they have ended"


def _lost(name: str, current: Mapping[str, str], new: Mapping[str, str]) -> str:
    if name not in new:
        return "is gone"
    return "becomes another type" if name in current and current[name] != new[name] else ""


class Watch:
    """Follows the alerts that fire in open incidents; of each, what was heard of it last is what counts."""

    def __init__(self, incidents: Iterable[OpenIncident]) -> None:
        self._incidents = tuple(sorted(incidents, key=lambda incident: incident.id))
        self._missing = {alert for incident in self._incidents for alert in incident.firing}
        self._homes: dict[AlertId, set[str]] = defaultdict(set)
        for incident in self._incidents:
            for alert in incident.firing:
                self._homes[alert].add(incident.destination)
        self._plans: dict[AlertId, tuple[Plan, Plan]] = {}

    @property
    def missing(self) -> bool:
        """Whether there are alerts that were not heard yet."""
        return bool(self._missing)

    def misses(self, alert: AlertId) -> bool:
        """Whether this one is among them."""
        return alert in self._missing

    def hear(self, alert: AlertId, before: Plan, after: Plan) -> None:
        """What both configurations want for an alert, newest first; what comes later is older, and not heeded."""
        if alert in self._missing:
            self._missing.discard(alert)
            self._plans[alert] = (before, after)

    def rekeyed(self) -> Iterator[Rekeyed]:
        """Open incidents whose alerts would go elsewhere than they do now."""
        told: set[tuple[AlertId, str]] = set()
        for incident in self._incidents:
            known = {alert: self._plans[alert] for alert in incident.firing if alert in self._plans}
            moving = [plans for plans in known.values() if _moves(incident, *plans)]
            if moving:
                yield _moved(incident, moving)
                continue
            joining = [
                (alert, place)
                for alert, plans in known.items()
                for place in _elsewhere(*plans)
                if place[0] not in self._homes[alert] and (alert, place[0]) not in told
            ]
            if joining:
                told.update((alert, place[0]) for alert, place in joining)
                alerts = {alert: None for alert, _ in joining}
                places = tuple(dict.fromkeys(place for _, place in joining))
                rules = known[joining[0][0]][1].rules
                yield Rekeyed(incident, Turn.BESIDE, len(alerts), places, rules, dropped=False)

    def unknown(self) -> Iterator[Unknown]:
        """Open incidents with alerts of which nothing is stored any more."""
        for incident in self._incidents:
            number = sum(1 for alert in incident.firing if alert in self._missing)
            if number:
                yield Unknown(incident, number)


def _moved(incident: OpenIncident, moving: Sequence[tuple[Plan, Plan]]) -> Rekeyed:
    here = [place for _, after in moving for place in _places(after) if place[0] == incident.destination]
    places = dict.fromkeys(here or [place for plans in moving for place in _elsewhere(*plans)])
    first = moving[0][1]
    turn = Turn.REKEYED if here else Turn.LEFT
    return Rekeyed(incident, turn, len(moving), tuple(places), first.rules, first.dropped)


def _moves(incident: OpenIncident, before: Plan, after: Plan) -> bool:
    """Whether the new rules send the alert away from the incident's place, and the current ones not the same way."""
    old, new = (
        [place for place in _places(plan) if place[0] == incident.destination] for plan in (before, after)
    )
    return incident.place not in new and set(old) != set(new)


def _elsewhere(before: Plan, after: Plan) -> Iterator[Place]:
    """Where only the new rules send the alert, at destinations that do not get it now."""
    known = {destination for destination, _ in _places(before)}
    return (place for place in _places(after) if place[0] not in known)


def _places(plan: Plan) -> list[Place]:
    return [(intent.destination, intent.key) for intent in plan.intents]
