"""SQL on incidents, their members, and what is known of alerts: loads a State, stores Changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

import orjson
from sqlalchemy import BindParameter, Connection, Select, Table, and_, bindparam, delete, or_, select, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Row

from alertbridge.incidents.past import Place
from alertbridge.incidents.state import Changes, Doubt, Incident, Known, Member, State
from alertbridge.model import Alert, AlertId, AlertStatus, Content, Reporting, Resend, Severity
from alertbridge.store.past import read_past
from alertbridge.store.schema import alerts, digests, doubts, incidents, members

T = TypeVar("T")
_CHUNK = 5000  # far below the 32,766 parameters that one SQLite statement may have


def load(
    connection: Connection,
    *,
    alert_ids: Iterable[AlertId],
    places: Iterable[Place],
    now: datetime,
    past: bool = False,
) -> State:
    """All that is remembered of these alerts and places; with `past` also when their closed incidents ended.

    Read inside the writing transaction: nothing can change between this and the storing of what is decided on it.
    """
    by_source: dict[str, list[str]] = defaultdict(list)
    for source, fingerprint in sorted(set(alert_ids)):
        by_source[source].append(fingerprint)
    by_destination: dict[str, list[str]] = defaultdict(list)
    for destination, key in sorted(set(places)):
        by_destination[destination].append(key)
    known = list(_rows_of_alerts(connection, _KNOWN, by_source))
    homes = (row.incident for row in _rows_of_alerts(connection, _HOMES, by_source))
    identifiers = sorted({*homes, *_occupants(connection, by_destination, now)})
    return State(
        incidents=map(_incident, _rows_of_incidents(connection, _INCIDENTS, identifiers)),
        members=map(_member, _rows_of_incidents(connection, _MEMBERS, identifiers)),
        known=(_believed(row) for row in known),
        doubted=(_id(row) for row in known if row.due_at is not None and row.held_by is None),
        held=(_id(row) for row in known if row.held_by is not None),
        past=read_past(connection, by_source, by_destination) if past else None,
    )


def find(connection: Connection, incident: str) -> Incident | None:
    """One incident; None if there is none of this id."""
    row = connection.execute(select(incidents).where(incidents.c.id == incident)).one_or_none()
    return None if row is None else _incident(row)


def find_all(connection: Connection, wanted: Select[tuple[str]]) -> list[Incident]:
    """The incidents with the ids that `wanted` selects, in the order of their ids."""
    rows = connection.execute(select(incidents).where(incidents.c.id.in_(wanted)).order_by(incidents.c.id))
    return [_incident(row) for row in rows]


def find_these(connection: Connection, identifiers: Sequence[str]) -> list[Incident]:
    """The incidents with these ids."""
    return [_incident(row) for row in _rows_of_incidents(connection, _INCIDENTS, identifiers)]


def firing_in(connection: Connection, incident: str) -> list[Member]:
    """The alerts that fire in an incident, as far as is known; of a digest, in those that it stands for."""
    folded = select(digests.c.incident).where(digests.c.digest == incident)
    of_it = or_(members.c.incident == incident, members.c.incident.in_(folded))
    rows = connection.execute(select(members).where(of_it, members.c.firing))
    return [*{_id(row): _member(row) for row in rows}.values()]


def refill(connection: Connection, incident: str, content: Content) -> None:
    """Give an incident another content, for whatever is said of it from now on."""
    connection.execute(
        update(incidents).where(incidents.c.id == incident).values(content=_content_values(content))
    )


_OF_SOURCE: BindParameter[str] = bindparam("source")
_FINGERPRINTS: BindParameter[str] = bindparam("fingerprints", expanding=True)
_KNOWN = (
    select(alerts, doubts.c.due_at, doubts.c.held_by)
    .outerjoin(doubts, and_(doubts.c.source == alerts.c.source, doubts.c.fingerprint == alerts.c.fingerprint))
    .where(alerts.c.source == _OF_SOURCE, alerts.c.fingerprint.in_(_FINGERPRINTS))
)
_HOMES = (
    select(members.c.incident)
    .distinct()
    .join(incidents, members.c.incident == incidents.c.id)
    .where(
        members.c.source == _OF_SOURCE,
        members.c.fingerprint.in_(_FINGERPRINTS),
        incidents.c.closed_at.is_(None),
    )
)
_OCCUPANTS = select(incidents.c.id).where(
    incidents.c.destination == bindparam("destination"),
    incidents.c.key.in_(bindparam("keys", expanding=True)),
    or_(incidents.c.closed_at.is_(None), incidents.c.reopen_until > bindparam("now")),
)
_IDENTIFIERS: BindParameter[str] = bindparam("identifiers", expanding=True)
_INCIDENTS = select(incidents).where(incidents.c.id.in_(_IDENTIFIERS))
_MEMBERS = select(members).where(members.c.incident.in_(_IDENTIFIERS))
_OLDEST_DOUBT = (doubts.c.due_at, doubts.c.source, doubts.c.fingerprint)


def _rows_of_alerts(
    connection: Connection, query: Select[Any], by_source: dict[str, list[str]]
) -> Iterator[Row[Any]]:
    for source, fingerprints in by_source.items():
        for chunk in _chunks(fingerprints):
            yield from connection.execute(query, {"source": source, "fingerprints": chunk})


def _occupants(connection: Connection, by_destination: dict[str, list[str]], now: datetime) -> Iterator[str]:
    for destination, keys in by_destination.items():
        for chunk in _chunks(keys):
            wanted = {"destination": destination, "keys": chunk, "now": now}
            yield from connection.execute(_OCCUPANTS, wanted).scalars()


def _rows_of_incidents(
    connection: Connection, query: Select[Any], identifiers: Sequence[str]
) -> Iterator[Row[Any]]:
    for chunk in _chunks(identifiers):
        yield from connection.execute(query, {"identifiers": chunk})


def due_doubts(connection: Connection, *, now: datetime, most: int) -> list[Alert]:
    """Doubted alerts, and held resolves, whose time has come, oldest first."""
    rows = connection.execute(
        select(doubts.c.alert).where(doubts.c.due_at <= now).order_by(*_OLDEST_DOUBT).limit(most)
    )
    return [_alert(row.alert) for row in rows]


def postpone_doubt(connection: Connection, *, now: datetime, until: datetime) -> AlertId | None:
    """Put off the doubt that is due first, and say whose it is; None if none is due."""
    row = connection.execute(
        select(doubts.c.source, doubts.c.fingerprint)
        .where(doubts.c.due_at <= now)
        .order_by(*_OLDEST_DOUBT)
        .limit(1)
    ).first()
    if row is None:
        return None
    connection.execute(
        update(doubts)
        .where(doubts.c.source == row.source, doubts.c.fingerprint == row.fingerprint)
        .values(due_at=until)
    )
    return AlertId(row.source, row.fingerprint)


def next_doubt(connection: Connection) -> datetime | None:
    """When the next doubt runs out."""
    found: datetime | None = connection.scalar(select(doubts.c.due_at).order_by(doubts.c.due_at).limit(1))
    return found


def store(connection: Connection, changes: Changes) -> None:
    """Store everything but the deliveries, in the caller's transaction."""
    _put(connection, incidents, [_incident_values(incident) for incident in changes.incidents.values()])
    _put(connection, members, [_member_values(member) for member in changes.members.values()])
    _put(
        connection,
        alerts,
        [
            {
                "source": known.alert.source,
                "fingerprint": known.alert.fingerprint,
                "firing": known.firing,
                "starts_at": known.starts_at,
                "ends_at": known.ends_at,
                "last_seen": known.last_seen,
                "by_hand": known.by_hand,
            }
            for known in changes.known.values()
        ],
    )
    _store_doubts(connection, changes)


def _store_doubts(connection: Connection, changes: Changes) -> None:
    raised = [doubt for doubt in changes.doubts.values() if isinstance(doubt, Doubt)]
    _put(
        connection,
        doubts,
        [
            {
                "source": doubt.alert.source,
                "fingerprint": doubt.alert.fingerprint,
                "due_at": doubt.due,
                "alert": orjson.loads(orjson.dumps(doubt.alert)),
                "held_by": doubt.held_by or None,
            }
            for doubt in raised
        ],
    )
    cleared = [alert._asdict() for alert, doubt in changes.doubts.items() if doubt is None]
    if cleared:
        connection.execute(_CLEAR, cleared)


_CLEAR = delete(doubts).where(
    doubts.c.source == bindparam("source"), doubts.c.fingerprint == bindparam("fingerprint")
)


def _put(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert rows, or bring the row of the same primary key up to date."""
    if not rows:
        return
    insert = sqlite.insert(table)
    key = [column.name for column in table.primary_key]
    changed = {name: insert.excluded[name] for name in rows[0] if name not in key}
    connection.execute(insert.on_conflict_do_update(index_elements=key, set_=changed), rows)


def _incident_values(incident: Incident) -> dict[str, Any]:
    return {
        "id": incident.id,
        "destination": incident.destination,
        "reporting": incident.reporting.value,
        "key": incident.key,
        "rule": incident.rule,
        "rules_hash": incident.rules_hash,
        "severity": incident.severity.value,
        "peak": incident.peak.value,
        "opened_at": incident.opened_at,
        "closed_at": incident.closed_at,
        "service": incident.service,
        "resend": incident.resend.value,
        "reopen_window": incident.reopen_window,
        "min_duration": incident.min_duration,
        "reopen_until": incident.reopen_until,
        "content": _content_values(incident.content),
        "inferred": incident.inferred,
    }


def _content_values(content: Content) -> dict[str, Any]:
    return {
        "fields": content.fields,
        "origins": content.origins,
        "failures": content.failures,
        "speaker": content.speaker and content.speaker._asdict(),
    }


def _incident(row: Row[Any]) -> Incident:
    return Incident(
        id=row.id,
        destination=row.destination,
        reporting=Reporting(row.reporting),
        key=row.key,
        rule=row.rule,
        rules_hash=row.rules_hash,
        severity=Severity(row.severity),
        peak=Severity(row.peak),
        opened_at=row.opened_at,
        closed_at=row.closed_at,
        service=row.service,
        resend=Resend(row.resend),
        reopen_window=row.reopen_window,
        min_duration=row.min_duration,
        reopen_until=row.reopen_until,
        inferred=row.inferred,
        content=_content(**row.content),
    )


def _content(*, speaker: dict[str, str] | None = None, **stored: Any) -> Content:
    return Content(**stored, speaker=AlertId(**speaker) if speaker else None)


def _id(row: Row[Any]) -> AlertId:
    return AlertId(row.source, row.fingerprint)


def _believed(row: Row[Any]) -> Known:
    return Known(_id(row), row.firing, row.starts_at, row.ends_at, row.last_seen, row.by_hand)


def _member_values(member: Member) -> dict[str, Any]:
    return {
        "incident": member.incident,
        "source": member.alert.source,
        "fingerprint": member.alert.fingerprint,
        "firing": member.firing,
        "severity": member.severity.value,
        "starts_at": member.starts_at,
        "ends_at": member.ends_at,
        "last_seen": member.last_seen,
        "inferred": member.inferred,
    }


def _member(row: Row[Any]) -> Member:
    return Member(
        incident=row.incident,
        alert=_id(row),
        firing=row.firing,
        severity=Severity(row.severity),
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        last_seen=row.last_seen,
        inferred=row.inferred,
    )


def _alert(stored: dict[str, Any]) -> Alert:
    known = {name: stored[name] for name in Alert.__dataclass_fields__ if name in stored}
    known |= {
        "status": AlertStatus(stored["status"]),
        "starts_at": datetime.fromisoformat(stored["starts_at"]),
        "ends_at": datetime.fromisoformat(stored["ends_at"]) if stored["ends_at"] else None,
    }
    return Alert(**known)


def _chunks(items: Sequence[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk
