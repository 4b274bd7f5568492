"""Goes through events one after the other and gathers what two configurations make of them differently."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from alertbridge.cli.comparison.differences import Difference, Group, Kind, differences
from alertbridge.cli.comparison.tally import Tally
from alertbridge.cli.comparison.touched import Watch
from alertbridge.errors import MalformedBody
from alertbridge.model import Alert, Event
from alertbridge.pipeline import Bridge, read
from alertbridge.rules.rulebook import Plan

_MOST_REMEMBERED: Final = 50_000  # numbers


@dataclass(slots=True)
class Unread:
    """How many events could not be read, and why the first of them (in the order they came in here) could not."""

    events: int
    example: str
    reason: str


class Review:
    """Compares `current` with `new`; `gone` are sources that `new` has not, or not as what they are.

    Memory grows with the number of alerts that are not the same, some numbers for each, and not with that of events.
    """

    def __init__(self, *, current: Bridge, new: Bridge, gone: Collection[str], watch: Watch) -> None:
        self._current = current
        self._new = new
        self._gone = gone
        self._watch = watch
        self._seen: set[int] = set()
        self._tally = Tally()
        self._unread: dict[str, Unread] = {}
        self.events = 0
        self.truncated = 0
        self.oldest: datetime | None = None

    @property
    def tally(self) -> Tally:
        """What differs."""
        return self._tally

    @property
    def unread(self) -> Mapping[str, Unread]:
        """What could not be read, by source."""
        return self._unread

    def hear(self, event: Event) -> None:
        """Compare every alert of an event; the newest event comes first."""
        self.events += 1
        self.oldest = event.received_at
        for alert, before, after in self._understand(event):
            if alert.source in self._gone:
                self._tally.add(alert, [Difference(Group(Kind.SOURCE, name=alert.source))])
            elif not self._repeated(alert, before, after):
                parts = {"current": self._current, "new": self._new}
                found = differences(alert, at=event.received_at, **parts, before=before, after=after)
                self._tally.add(alert, found)

    def look_back(self, event: Event) -> None:
        """An event from before the time that is compared: only what became of alerts that still fire is of interest."""
        for _ in self._understand(event, compared=False):
            pass

    def _understand(self, event: Event, *, compared: bool = True) -> list[tuple[Alert, Plan, Plan]]:
        feed = self._current.feed(event.source)
        if feed is None:
            if compared:
                self._miss(event, "the source is not in the current configuration")
            return []
        try:
            said = read(feed, event)
        except MalformedBody as error:
            if compared:
                self._miss(event, str(error))
            return []
        if compared:
            self.truncated += said.truncated
        known = [alert for alert in said.alerts if not alert.unlabelled]
        wanted = [alert for alert in known if compared or self._watch.misses(alert.id)]
        planned = [
            (alert, _plan(self._current, event, alert), _plan(self._new, event, alert)) for alert in wanted
        ]
        for alert, before, after in planned:
            self._watch.hear(alert.id, before, after)
        return planned

    def _miss(self, event: Event, reason: str) -> None:
        unread = self._unread.setdefault(event.source, Unread(0, event.id, reason))
        unread.events += 1

    def _repeated(self, alert: Alert, before: Plan, after: Plan) -> bool:
        """Whether just this was compared before: most events repeat what is known."""
        said = (frozenset(alert.labels.items()), frozenset(alert.annotations.items()), alert.status)
        around = (alert.generator_url, alert.external_url, frozenset(alert.group.items()), alert.starts_at)
        wanted = (_wanted(before), _wanted(after))
        number = hash((alert.id, said, around, wanted))
        if number in self._seen:
            return True
        if len(self._seen) >= _MOST_REMEMBERED:
            self._seen.clear()
        self._seen.add(number)
        return False


def _wanted(plan: Plan) -> tuple[object, ...]:
    return (plan.rules, plan.intents, plan.dropped, plan.heartbeats)


def _plan(bridge: Bridge, event: Event, alert: Alert) -> Plan:
    """What the rules wanted when the event was received."""
    return bridge.rulebook.plan(alert, at=event.received_at)
