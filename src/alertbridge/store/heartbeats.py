"""SQL on heartbeats and pings: what of them outlives a restart, and which resolves are held."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Table, and_, delete, func, insert, or_, select, update

from alertbridge.incidents.vigil import Beat, Silence, Vigil
from alertbridge.model import AlertId, DeliveryState
from alertbridge.rules.heartbeat import Heartbeat
from alertbridge.store.columns import among
from alertbridge.store.schema import (
    beats,
    deliveries,
    doubts,
    heartbeats,
    incidents,
    members,
    pings,
    silences,
)


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
        connection.execute(delete(beats).where(beats.c.heartbeat == name))
        connection.execute(delete(silences).where(silences.c.heartbeat == name))


def load_vigil(connection: Connection, configured: Iterable[Heartbeat]) -> Vigil:
    """What deciding knows of these heartbeats; read inside the transaction that keeps what becomes of it."""
    return Vigil(
        configured,
        beats=[
            Beat(r.heartbeat, AlertId(r.source, r.fingerprint), r.firing, r.starts_at, r.ends_at)
            for r in connection.execute(select(beats))
        ],
        silences=[Silence(r.heartbeat, r.since, r.over) for r in connection.execute(select(silences))],
    )


def keep_vigil(connection: Connection, vigil: Vigil) -> None:
    """Keep what has changed of it: nothing, while all beats go on."""
    for beat in vigil.beats.values():
        key = {"heartbeat": beat.heartbeat, **beat.alert._asdict()}
        _put(connection, beats, key, firing=beat.firing, starts_at=beat.starts_at, ends_at=beat.ends_at)
    for silence in vigil.silences.values():
        _put(connection, silences, {"heartbeat": silence.heartbeat}, since=silence.since, over=silence.over)


def miss(connection: Connection, name: str, *, since: datetime) -> None:
    """It is silent though no end of its alerts was told."""
    connection.execute(update(beats).where(beats.c.heartbeat == name).values(firing=False))
    _put(connection, silences, {"heartbeat": name}, since=since, over=None)


def open_silences(connection: Connection) -> list[Silence]:
    """Those that last."""
    found = connection.execute(select(silences).where(silences.c.over.is_(None)))
    return [Silence(row.heartbeat, row.since) for row in found]


def count_held(connection: Connection) -> dict[str, int]:
    """How many resolves are held, by the name of the heartbeat for whose silence they are."""
    query = (
        select(doubts.c.held_by, func.count().label("number"))
        .where(doubts.c.held_by.is_not(None))
        .group_by(doubts.c.held_by)
    )
    return {row.held_by: row.number for row in connection.execute(query)}


def _put(connection: Connection, table: Table, key: Mapping[str, str], **values: object) -> None:
    same = [table.c[name] == value for name, value in key.items()]
    if not connection.execute(update(table).where(*same).values(**values)).rowcount:
        connection.execute(insert(table).values(**key, **values))


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
