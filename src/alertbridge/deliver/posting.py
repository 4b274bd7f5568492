"""From changed incidents to messages in the outbox: compose them, enter them, leave in line what is worth saying."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from alertbridge.destinations import Destination
from alertbridge.incidents.state import Announcement, Changes, Incident, State
from alertbridge.model import Action, Composed, DeliveryState, Message, Reporting, Severity
from alertbridge.store import outbox
from alertbridge.store.lines import LIFECYCLE, converge
from alertbridge.store.outbox import Posting


class Postings:
    """The messages of one batch, in order, until they are stored together with the changes they come from.

    `collapsing` names the destinations that are told nothing of an incident that was over before they heard of it;
    `rules_hash` what decided.
    """

    def __init__(
        self,
        *,
        destinations: Mapping[str, Destination],
        collapsing: frozenset[str],
        rules_hash: str,
        new_id: Callable[[], str],
        now: datetime,
    ) -> None:
        self._destinations = destinations
        self._collapsing = collapsing
        self._rules_hash = rules_hash
        self._new_id = new_id
        self._now = now
        self._postings: list[Posting] = []
        self._reopened: dict[str, None] = {}

    def add(self, changes: Changes, state: State, *, received_at: datetime) -> None:
        """Compose what `changes` announce about the incidents of `state`, which is the state after them."""
        for identifier in sorted(changes.reopened):
            if state.incidents[identifier].reporting is Reporting.RECORD:
                self._withdraw_record(identifier)
        began = {*changes.opened, *changes.reopened}
        for announcement in changes.announcements:
            incident = state.incidents[announcement.incident]
            news = announcement.action is not Action.ALARMED or incident.id in began
            self._postings.append(self._posting(announcement, incident, received_at, news=news))

    @property
    def entries(self) -> tuple[Posting, ...]:
        """The messages so far, withdrawn ones among them as such."""
        return tuple(self._postings)

    @property
    def reopened(self) -> frozenset[str]:
        """Incidents of which nothing earlier that is unsent may say that they are over, where that is said once."""
        return frozenset(self._reopened)

    def store(self, connection: Connection) -> None:
        """Enter everything into the outbox, in the caller's transaction."""
        outbox.withdraw_records(connection, self._reopened, now=self._now)
        outbox.post(connection, self._postings, now=self._now)
        lines: dict[str, dict[str, None]] = {}
        for one in self._postings:
            if one.action in LIFECYCLE and one.state is DeliveryState.PENDING:
                lines.setdefault(one.destination, {})[one.key] = None
        for destination, keys in lines.items():
            collapse = destination in self._collapsing
            converge(connection, destination, keys, collapse=collapse, now=self._now)

    def _withdraw_record(self, incident: str) -> None:
        """It is not over after all: nothing unsent may say that it is."""
        self._reopened[incident] = None
        self._postings = [
            replace(one, state=DeliveryState.SUPERSEDED, note=outbox.REOPENED)
            if one.incident == incident and one.state in _UNSENT
            else one
            for one in self._postings
        ]

    def _posting(
        self, announcement: Announcement, incident: Incident, received_at: datetime, *, news: bool
    ) -> Posting:
        composed, state, note = self._compose(announcement, incident)
        return Posting(
            id=self._new_id(),
            incident=incident.id,
            destination=incident.destination,
            key=incident.key,
            action=announcement.action,
            rules_hash=self._rules_hash,
            severity=announcement.severity,
            state=state,
            payload=composed.payload,
            missing=composed.missing,
            due_at=max(self._now, announcement.not_before or self._now),
            received_at=received_at,
            note=note,
            news=news,
        )

    def _compose(
        self, announcement: Announcement, incident: Incident
    ) -> tuple[Composed, DeliveryState, str | None]:
        destination = self._destinations.get(incident.destination)
        if destination is None:
            note = f"destination {incident.destination} is no longer configured; this was never sent"
            return Composed({}), DeliveryState.DEAD, note
        composed = destination.compose(message(incident, announcement.action, announcement.severity))
        if announcement.skipped:
            return composed, DeliveryState.SKIPPED, announcement.skipped
        if composed.missing:
            return composed, DeliveryState.HELD, f"missing: {', '.join(composed.missing)}"
        return composed, DeliveryState.PENDING, None


def alarms_differ(destinations: Mapping[str, Destination], before: Incident, after: Incident) -> bool:
    """Whether the alarm of an incident says something else by now; never where it is told of only when it is over."""
    destination = destinations.get(after.destination)
    if destination is None or after.reporting is Reporting.RECORD:
        return False
    if (before.content, before.severity) == (after.content, after.severity):
        return False
    known = replace(after, content=before.content, severity=before.severity)
    said, now = (destination.compose(message(one, Action.ALARMED, one.severity)) for one in (known, after))
    return said != now


def message(incident: Incident, action: Action, severity: Severity) -> Message:
    """What is to be said of an incident as it stands."""
    return Message(
        incident=incident.id,
        key=incident.key,
        action=action,
        severity=severity,
        content=incident.content,
        opened_at=incident.opened_at,
        closed_at=incident.closed_at,
        inferred=incident.inferred,
    )


_UNSENT = (DeliveryState.PENDING, DeliveryState.HELD)
