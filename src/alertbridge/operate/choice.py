"""Which stored events are decided once more: those that are asked for, and whatever was heard later of their alerts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from alertbridge.errors import MalformedBody
from alertbridge.model import AlertId, EventOutcome
from alertbridge.pipeline import Bridge, read
from alertbridge.store.replay import Stored


class Became(StrEnum):
    """What became of an event, or of one of its alerts at least."""

    DECIDED = "decided"
    FAILED = "failed"
    MALFORMED = "malformed"
    DROPPED = "dropped"
    UNMATCHED = "unmatched"


_NOTES = {Became.DROPPED: "dropped", Became.UNMATCHED: "no rule matches"}


@dataclass(frozen=True, slots=True)
class Span:
    """What is asked for; where `outcome` is left out, all but what is malformed."""

    since: datetime
    until: datetime | None = None
    source: str | None = None
    outcome: Became | None = None

    def holds(self, stored: Stored) -> bool:
        """Whether this event is asked for."""
        if stored.event.received_at < self.since:
            return False
        if self.until is not None and stored.event.received_at > self.until:
            return False
        match self.outcome:
            case None:
                return stored.outcome is not EventOutcome.MALFORMED
            case Became.DROPPED | Became.UNMATCHED as became:
                return _NOTES[became] in stored.notes
            case became:
                return stored.outcome.value == became.value


class Chooser:
    """Looks at one event after the other, oldest first.

    An end that is not decided once more would leave open what its beginning opens: so whatever is taken, all that was
    heard later of its alerts is taken too.
    """

    def __init__(self, span: Span, *, bridge: Bridge) -> None:
        self._span = span
        self._bridge = bridge
        self._alerts: set[AlertId] = set()
        self._unusable: dict[str, str] = {}

    @property
    def passed_over(self) -> Counter[str]:
        """How many that were asked for cannot be decided once more, and why."""
        return Counter(self._unusable.values())

    def takes(self, stored: Stored) -> bool:
        """Whether this event is to be decided once more; asked again, it says the same.

        One that cannot be read now is passed over, and counted.
        """
        asked = self._span.holds(stored)
        if not asked and (stored.outcome is EventOutcome.MALFORMED or not self._alerts):
            return False
        feed = self._bridge.feed(stored.event.source)
        if feed is None:
            return self._passes_over(stored, "its source is not configured", asked=asked)
        try:
            said = {alert.id for alert in read(feed, stored.event).alerts}
        except MalformedBody:
            return self._passes_over(stored, "it cannot be read", asked=asked)
        if not asked and self._alerts.isdisjoint(said):
            return False
        self._alerts |= said
        return True

    def _passes_over(self, stored: Stored, reason: str, *, asked: bool) -> bool:
        if asked:
            self._unusable[stored.event.id] = reason
        return False
