"""SQL on the audit: who did what by hand, and when. Entries are added and never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, insert

from alertbridge.model import JSON
from alertbridge.store.schema import audit


@dataclass(frozen=True, slots=True)
class Entry:
    """One action of an operator: what it was done to, and in `detail` whatever else there is to say of it."""

    who: str
    action: str
    incident: str | None = None
    delivery: str | None = None
    destination: str | None = None
    detail: Mapping[str, JSON] = field(default_factory=dict)


def note(connection: Connection, entry: Entry, *, now: datetime) -> None:
    """Add an entry, in the transaction of what it tells of: neither is seen without the other."""
    connection.execute(
        insert(audit).values(
            at=now,
            who=entry.who,
            action=entry.action,
            incident=entry.incident or None,
            delivery=entry.delivery,
            destination=entry.destination,
            detail=dict(entry.detail),
        )
    )
