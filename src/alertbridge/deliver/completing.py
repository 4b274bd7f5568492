"""Filling in what an incident's record lacks: the fields that a destination requires and that nobody has said so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from alertbridge.deliver.posting import message
from alertbridge.destinations import Destination
from alertbridge.model import Action, Content, Reporting
from alertbridge.store import amend, ledger
from alertbridge.store.amend import Amended, NotPossible

_END = "resolution_time"  # not for anybody to fill in: the alert's resolve says it


def complete(
    connection: Connection,
    incident: str,
    *,
    fields: Mapping[str, str],
    origin: str,
    destinations: Mapping[str, Destination],
    now: datetime,
) -> Amended | None:
    """Fill `fields` into an incident and into its record, which is then due at once if nothing else is missing.

    An incident that is not over keeps them for the record that it will have. `origin` says where they come from, and
    is kept beside them. None if there is no such incident; raises NotPossible if it has no record that lacks anything.
    """
    found = ledger.find(connection, incident)
    if found is None:
        return None
    if found.reporting is not Reporting.RECORD:
        raise NotPossible(f"{found.destination} takes no record of an incident, so nothing is missing there")
    destination = destinations.get(found.destination)
    if destination is None:
        raise NotPossible(f"destination {found.destination} is no longer configured")
    completed = replace(found, content=filled(found.content, fields, origin))
    composed = destination.compose(message(completed, Action.RECORD, completed.peak))
    record = amend.record_of(connection, incident)
    if record is None and not found.open:
        raise NotPossible("its record has been deleted, its time under storage.retention is over")
    ledger.refill(connection, incident, completed.content)
    if record is None or found.open:
        to_come = tuple(name for name in composed.missing if name != _END)
        return Amended(incident, found.destination, None, None, to_come)
    due = max(now, found.reopen_until or now)
    return amend.fill(connection, record, composed.payload, composed.missing, due=due, now=now)


def filled(content: Content, fields: Mapping[str, str], origin: str) -> Content:
    """`content` with these fields in it, and where they come from."""
    return replace(
        content,
        fields={**content.fields, **fields},
        origins={**content.origins, **dict.fromkeys(fields, origin)},
    )
