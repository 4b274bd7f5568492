"""A daemon in memory: it decides as the real one, and its destinations take everything at once."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from alertbridge.chronicle import Input
from alertbridge.deliver.posting import Postings
from alertbridge.incidents.convergence import Said as LastSaid
from alertbridge.incidents.convergence import Unsent, Word, reduce
from alertbridge.incidents.decide import decide
from alertbridge.incidents.state import Doubt, Heard, State
from alertbridge.model import Action, AlertId, DeliveryState, Event, Notification
from alertbridge.pipeline import Bridge, render, second_thought, understand
from alertbridge.store.lines import LIFECYCLE
from alertbridge.store.outbox import Posting

_UNSENT = (DeliveryState.PENDING, DeliveryState.HELD)


@dataclass(frozen=True, slots=True)
class Said:
    """One message that came to its moment `at`: sent, held for what is `missing`, or `skipped` for a reason."""

    at: datetime
    destination: str
    action: Action
    payload: Mapping[str, Any]
    missing: tuple[str, ...]
    skipped: str


class World:
    """Hears notifications and says messages; `now` moves only when told to.

    Left out is what depends on the destinations' answers and on rates: retries, pauses, `rate_limit`, `key_interval`.
    """

    def __init__(self, bridge: Bridge, *, start: datetime) -> None:
        self.now = start
        self.said: list[Said] = []
        self._bridge = bridge
        self._state = State()
        self._doubts: dict[AlertId, Doubt] = {}
        self._waiting: list[Posting] = []
        self._announced: set[str] = set()
        self._last_words: dict[tuple[str, str], Word] = {}
        self._numbers = itertools.count(1)

    def hear(self, said: Notification, *, source: str) -> tuple[Heard, ...]:
        """Decide one notification now. Raises AlertbridgeError for a source that is not configured."""
        event = Event(self._new_id(), source, self.now, b"")
        item = understand(self._bridge, event, said)
        self._decide(item)
        self._deliver()
        return item.heard

    def approach(self, until: datetime) -> None:
        """Let everything happen that is due before `until`, and make it the present."""
        while (due := self._next_due()) is not None and due < until:
            self._happen(due)
        self.now = until

    def catch_up(self) -> None:
        """Let everything happen that is due at the present moment."""
        while (due := self._next_due()) is not None and due <= self.now:
            self._happen(self.now)

    def finish(self) -> None:
        """Let everything happen that is still waited for."""
        while (due := self._next_due()) is not None:
            self._happen(max(self.now, due))

    def _happen(self, moment: datetime) -> None:
        self.now = moment
        due = [doubt for doubt in self._doubts.values() if doubt.due <= moment]
        for doubt in sorted(due, key=lambda one: (one.due, one.alert.id)):
            self._decide(second_thought(self._bridge, doubt.alert, at=moment))
        self._deliver()

    def _next_due(self) -> datetime | None:
        dues = [doubt.due for doubt in self._doubts.values()]
        return min([*dues, *(posting.due_at for posting in self._waiting)], default=None)

    def _decide(self, item: Input) -> None:
        changes = decide(
            self._state,
            item.heard,
            now=self.now,
            stale_window=item.stale_window if item.event else timedelta(0),
            rules_hash=self._bridge.rulebook.hash,
            new_id=self._new_id,
        )
        changes = render(self._bridge, changes, before=self._state, at=self.now)
        self._state.absorb(changes)
        for alert, doubt in changes.doubts.items():
            if doubt is None:
                self._doubts.pop(alert, None)
            else:
                self._doubts[alert] = doubt
        postings = Postings(
            destinations=self._bridge.destinations,
            collapsing=self._bridge.collapsing,
            rules_hash=self._bridge.rulebook.hash,
            new_id=self._new_id,
            now=self.now,
        )
        postings.add(changes, self._state, received_at=self.now)
        self._post(postings)

    def _post(self, postings: Postings) -> None:
        """As the outbox does: what is new waits, and of each line stays what is worth saying."""
        self._waiting = [
            posting
            for posting in self._waiting
            if posting.incident not in postings.reopened or posting.state not in _UNSENT
        ]
        new = [posting for posting in postings.entries if posting.state is not DeliveryState.SUPERSEDED]
        self._waiting += new
        self._announced |= {one.incident for one in new if one.action is Action.ALARMED}
        for place in dict.fromkeys((one.destination, one.key) for one in new if one.action in LIFECYCLE):
            self._converge(*place)

    def _converge(self, destination: str, key: str) -> None:
        line = [
            one
            for one in self._waiting
            if (one.destination, one.key) == (destination, key)
            and one.action in LIFECYCLE
            and one.state is DeliveryState.PENDING
        ]
        unsent = [Unsent(one.id, _word(one), blind=one.incident not in self._announced) for one in line]
        said = LastSaid(self._last_words.get((destination, key)))
        collapse = destination in self._bridge.collapsing
        for gone in reduce(said, unsent, collapse=collapse):
            place = next(n for n, one in enumerate(self._waiting) if one.id == gone.id)
            posting = self._waiting.pop(place)
            if gone.skipped:
                skipped = replace(posting, state=DeliveryState.SKIPPED, note=gone.reason)
                self._waiting.insert(place, skipped)

    def _deliver(self) -> None:
        due = [posting for posting in self._waiting if posting.due_at <= self.now]
        self._waiting = [posting for posting in self._waiting if posting.due_at > self.now]
        for posting in due:
            if posting.state is DeliveryState.PENDING and posting.action in LIFECYCLE:
                self._last_words[posting.destination, posting.key] = _word(posting)
            skipped = posting.state is DeliveryState.SKIPPED
            self.said.append(
                Said(
                    at=self.now,
                    destination=posting.destination,
                    action=posting.action,
                    payload=posting.payload,
                    missing=posting.missing if posting.state is DeliveryState.HELD else (),
                    skipped=posting.note or "skipped" if skipped else "",
                )
            )

    def _new_id(self) -> str:
        return f"{next(self._numbers):026d}"


def _word(posting: Posting) -> Word:
    return Word(posting.action, posting.incident, json.dumps(posting.payload, sort_keys=True, default=dict))
