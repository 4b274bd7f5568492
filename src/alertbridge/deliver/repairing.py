"""Sending a message again by an operator's hand: what was never composed is composed first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine import Row

from alertbridge.deliver.posting import message
from alertbridge.destinations import Destination
from alertbridge.incidents.state import Incident
from alertbridge.model import Action, Composed, Severity
from alertbridge.store import amend, ledger
from alertbridge.store.amend import Amended, NotPossible


def retry(
    connection: Connection,
    delivery: str,
    *,
    force: bool,
    destinations: Mapping[str, Destination],
    now: datetime,
) -> Amended | None:
    """Send it as soon as its line allows, with its whole time before it again; None if there is no such delivery.

    What was decided while its destination was not configured has no payload, and is composed now. Raises NotPossible
    where `amend.sendable` does, and where it would have to be composed and cannot be.
    """
    row = amend.sendable(connection, delivery, force=force, now=now)
    if row is None:
        return None
    incident = ledger.find(connection, row.incident)
    composed = None if row.payload else _composed(row, incident, destinations)
    return amend.send_again(connection, row, composed, now=now)


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
