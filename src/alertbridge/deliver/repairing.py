"""Sending a message again by an operator's hand: nothing is sent empty, and nothing that is over is left open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine import Row

from alertbridge.deliver.posting import message
from alertbridge.destinations import Destination
from alertbridge.incidents.state import Incident
from alertbridge.model import Action, Composed, DeliveryState, Severity
from alertbridge.store import amend, ledger, outbox
from alertbridge.store.amend import Amended, NotPossible
from alertbridge.store.lines import LIFECYCLE
from alertbridge.store.outbox import Posting


class Repair:
    """Sends again in one transaction, with the `destinations` of now; `new_id` names what is added."""

    def __init__(
        self,
        connection: Connection,
        *,
        destinations: Mapping[str, Destination],
        new_id: Callable[[], str],
        now: datetime,
    ) -> None:
        self._connection = connection
        self._destinations = destinations
        self._new_id = new_id
        self._now = now

    def retry(self, delivery: str, *, force: bool) -> Amended | None:
        """Send it as soon as its line allows, with its whole time before it; None if there is no such delivery.

        What was decided while its destination was not configured has no payload, and is composed now. The alarm of an
        incident that is over is followed by its `resolved`, so that nothing stays open. Raises NotPossible where
        `amend.sendable` does, where it cannot be composed, and where another incident is open on its key.
        """
        row = amend.sendable(self._connection, delivery, force=force, now=self._now)
        if row is None:
            return None
        incident = ledger.find(self._connection, row.incident)
        dead = row.state == DeliveryState.DEAD.value
        if dead and incident is not None and not incident.open and row.action in LIFECYCLE:
            self._refuse_over_another(row)
            if row.action == Action.ALARMED.value:
                return self._with_its_end(row, incident)
        return self._again(row, incident)

    def _refuse_over_another(self, row: Row[Any]) -> None:
        other = amend.open_there(self._connection, row)
        if other is not None:
            raise NotPossible(
                f"its incident is over, and incident {other} is open on its key, which this would undo, "
                "also with force; discard it instead"
            )

    def _with_its_end(self, row: Row[Any], incident: Incident) -> Amended:
        end = _compose(incident, Action.RESOLVED, incident.severity, self._destinations)
        behind = amend.resolve_behind(self._connection, row)
        left = self._again(row, incident)
        if behind is None:
            return replace(left, resolved_by=self._post_end(row, incident, end))
        if behind.state == DeliveryState.DEAD.value:
            self._again(behind, incident)
        return replace(left, resolved_by=behind.id)

    def _post_end(self, row: Row[Any], incident: Incident, end: Composed) -> str:
        posting = Posting(
            id=self._new_id(),
            incident=incident.id,
            destination=incident.destination,
            key=incident.key,
            action=Action.RESOLVED,
            rules_hash=row.rules_hash,
            severity=incident.severity,
            state=DeliveryState.PENDING,
            payload=end.payload,
            missing=(),
            due_at=self._now,
            received_at=self._now,
        )
        outbox.post(self._connection, [posting], now=self._now)
        return posting.id

    def _again(self, row: Row[Any], incident: Incident | None) -> Amended:
        composed = None if row.payload else _composed(row, incident, self._destinations)
        return amend.send_again(self._connection, row, composed, now=self._now)


def _composed(row: Row[Any], incident: Incident | None, destinations: Mapping[str, Destination]) -> Composed:
    if incident is None:
        raise NotPossible("it was never composed, and its incident has been deleted; discard it instead")
    return _compose(incident, Action(row.action), Severity(row.severity), destinations)


def _compose(
    incident: Incident, action: Action, severity: Severity, destinations: Mapping[str, Destination]
) -> Composed:
    destination = destinations.get(incident.destination)
    if destination is None:
        raise NotPossible(
            f"destination {incident.destination} is not configured, so nothing can be composed for it; "
            f"add {incident.destination} under destinations and reload, then try again"
        )
    as_told = incident
    if action is Action.ALARMED:  # as it would have been said then
        as_told = replace(incident, closed_at=None, inferred=False)
    return destination.compose(message(as_told, action, severity))
