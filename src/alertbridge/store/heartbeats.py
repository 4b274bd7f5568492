"""SQL on heartbeats and pings: what of them outlives a restart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, delete, insert, or_, select, update

from alertbridge.model import AlertId, DeliveryState
from alertbridge.store.schema import among, deliveries, heartbeats, incidents, members, pings


@dataclass(frozen=True, slots=True)
class Kept:
    """One heartbeat as it is remembered: when it was last heard, and since when it is silent."""

    name: str
    last_beat: datetime | None
    silent_since: datetime | None


def load(connection: Connection) -> list[Kept]:
    """All that is remembered."""
    return [Kept(row.name, row.last_beat, row.silent_since) for row in connection.execute(select(heartbeats))]


def keep(connection: Connection, kept: Iterable[Kept]) -> None:
    """Remember these, in the transaction that stores what was concluded of them."""
    for one in kept:
        values = {"last_beat": one.last_beat, "silent_since": one.silent_since}
        known = connection.execute(update(heartbeats).where(heartbeats.c.name == one.name).values(values))
        if not known.rowcount:
            connection.execute(insert(heartbeats).values(name=one.name, **values))


def forget(connection: Connection, names: Iterable[str]) -> None:
    """Remember these no longer."""
    for name in names:
        connection.execute(delete(heartbeats).where(heartbeats.c.name == name))


def open_incidents(connection: Connection, alert: AlertId) -> list[str]:
    """The incidents, oldest first, that are open because this alert fires."""
    query = (
        select(incidents.c.id)
        .join(members, members.c.incident == incidents.c.id)
        .where(
            members.c.source == alert.source,
            members.c.fingerprint == alert.fingerprint,
            members.c.firing,
            incidents.c.closed_at.is_(None),
        )
        .order_by(incidents.c.id)
    )
    return list(connection.scalars(query))


def note_call(connection: Connection, ping: str, *, now: datetime) -> None:
    """A ping is about to be called: noted before, so that a disk that takes no writes stops it."""
    known = connection.execute(update(pings).where(pings.c.name == ping).values(called_at=now))
    if not known.rowcount:
        connection.execute(insert(pings).values(name=ping, called_at=now))


def late_destinations(connection: Connection, *, before: datetime) -> set[str]:
    """The destinations for which something has waited since before this instant, and not on purpose.

    What was never tried counts from when it was due, so that a `reopen_window` is no delay.
    """
    tried = and_(deliveries.c.attempts > 0, deliveries.c.created_at < before)
    untried = and_(deliveries.c.attempts == 0, deliveries.c.next_attempt_at < before)
    query = (
        select(deliveries.c.destination)
        .where(among(deliveries.c.state, DeliveryState.PENDING), or_(tried, untried))
        .distinct()
    )
    return set(connection.scalars(query))
