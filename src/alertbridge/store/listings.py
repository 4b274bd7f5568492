"""Read-only SQL for operators: events, incidents and deliveries, newest first and page by page.

A page is continued by the key of its last row (`seq`, or an incident's ascending `id`), never by counting rows: what
is added meanwhile comes before the first page, so that nothing is shown twice or left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Connection, LargeBinary, Select, Text, and_, cast, func, or_, select
from sqlalchemy.engine import Row

from alertbridge.model import JSON, AlertStatus, Severity, instant
from alertbridge.store.census import ALIVE
from alertbridge.store.schema import (
    ALIVE_STATES,
    attempts,
    audit,
    deliveries,
    digests,
    doubts,
    events,
    incidents,
    members,
)

Item: TypeAlias = dict[str, JSON]
DEFAULT_LIMIT = 50
NOT_POSTED = ("inferred", "adopted", "by_hand", "replay_of")  # what tells why there is an event
_SHOWN_BODY = 4096  # bytes of a body in a list
_MOST_BYTES = 4 * 1024 * 1024  # of what became of alerts, and of whole bodies, on one page of events


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of a listing; None leaves a filter out. `after` is where the page before ended.

    Each listing heeds the filters that make sense there; `since` is compared with the moment that an event was
    received, an incident opened, a delivery was created. `body` is `whole` where events are wanted uncut.
    """

    state: str | None = None
    destination: str | None = None
    key: str | None = None
    source: str | None = None
    fingerprint: str | None = None
    incident: str | None = None
    delivery: str | None = None
    action: str | None = None
    service: str | None = None
    environment: str | None = None
    body: str | None = None
    since: datetime | None = None
    after: str | None = None
    limit: int = DEFAULT_LIMIT


@dataclass(frozen=True, slots=True)
class Page:
    """Some items, and where the next page goes on, or None if there is none."""

    items: list[Item]
    next: str | None


def list_events(connection: Connection, wanted: Wanted) -> Page:
    """Accepted request bodies by `source`, `state` (their outcome) and `since`; each cut to 4 KiB unless wanted whole.

    A page ends before its limit where events of thousands of alerts would make it too large.
    """
    found = connection.execute(_events_wanted(wanted))
    sizes = [(row.seq, row.size) for row in found]
    chosen = _fitting(sizes[: wanted.limit])
    beginning = func.substr(events.c.body, 1, _SHOWN_BODY, type_=LargeBinary).label("body")
    body = events.c.body if wanted.body else beginning
    query: Select[Any] = select(*_EVENT, body).where(events.c.seq.in_(chosen)).order_by(events.c.seq.desc())
    items = [_event(row) for row in connection.execute(query)]
    return Page(items, str(chosen[-1]) if len(chosen) < len(sizes) else None)


def find_event(connection: Connection, identifier: str) -> Item | None:
    """One event with its whole body."""
    query: Select[Any] = select(*_EVENT, events.c.body).where(events.c.id == identifier)
    row = connection.execute(query).one_or_none()
    return None if row is None else _event(row)


def list_incidents(connection: Connection, wanted: Wanted) -> Page:
    """Incidents by `state` (open or closed), `destination`, `key`, a member's `source` and `fingerprint`, `since`."""
    query = _incidents_wanted(wanted).order_by(incidents.c.id.desc()).limit(wanted.limit + 1)
    rows = connection.execute(query).all()
    shown = rows[: wanted.limit]
    return Page(_with_members(connection, shown), shown[-1].id if len(rows) > len(shown) else None)


def find_incident(connection: Connection, identifier: str) -> Item | None:
    """One incident."""
    rows = connection.execute(select(incidents).where(incidents.c.id == identifier)).all()
    return next(iter(_with_members(connection, rows)), None)


def list_deliveries(connection: Connection, wanted: Wanted) -> Page:
    """Deliveries by `state`, `destination`, `key`, `incident`, `action` and `since`."""
    query = wanted_deliveries(wanted).order_by(deliveries.c.seq.desc()).limit(wanted.limit + 1)
    rows = connection.execute(query).all()
    shown = rows[: wanted.limit]
    return Page(
        [shown_delivery(row) for row in shown],
        str(shown[-1].seq) if len(rows) > len(shown) else None,
    )


def find_delivery(connection: Connection, identifier: str) -> Item | None:
    """One delivery, with each of its attempts under `history`."""
    query = select(deliveries).where(deliveries.c.id == identifier)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    tries = select(attempts).where(attempts.c.delivery == identifier).order_by(attempts.c.number)
    return {**shown_delivery(row), "history": [_attempt(one) for one in connection.execute(tries)]}


def list_audit(connection: Connection, wanted: Wanted) -> Page:
    """What operators did, by `destination`, `incident`, `delivery` and `since`."""
    names = ("destination", "incident", "delivery")
    query = select(audit).where(*_equal(audit.c, {name: getattr(wanted, name) for name in names}))
    if wanted.since is not None:
        query = query.where(audit.c.at >= wanted.since)
    if wanted.after is not None:
        query = query.where(audit.c.seq < int(wanted.after))
    rows = connection.execute(query.order_by(audit.c.seq.desc()).limit(wanted.limit + 1)).all()
    shown = rows[: wanted.limit]
    return Page([_entry(row) for row in shown], str(shown[-1].seq) if len(rows) > len(shown) else None)


_EVENT = (
    events.c.id,
    events.c.source,
    events.c.received_at,
    events.c.outcome,
    events.c.rules_hash,
    events.c.truncated,
    events.c.alerts,
    events.c.error,
    *(events.c[name] for name in NOT_POSTED),
    func.length(events.c.body).label("size"),
)


def _events_wanted(wanted: Wanted) -> Select[Any]:
    size = func.coalesce(func.length(cast(events.c.alerts, Text)), 0)
    shown = size + func.length(events.c.body) if wanted.body else size
    query = select(events.c.seq, shown.label("size")).where(
        *_equal(events.c, {"source": wanted.source, "outcome": wanted.state})
    )
    if wanted.since is not None:
        query = query.where(events.c.received_at >= wanted.since)
    if wanted.after is not None:
        query = query.where(events.c.seq < int(wanted.after))
    return query.order_by(events.c.seq.desc()).limit(wanted.limit + 1)


def _incidents_wanted(wanted: Wanted) -> Select[Any]:
    query = select(incidents).where(
        *_equal(incidents.c, {"destination": wanted.destination, "key": wanted.key})
    )
    member = {"source": wanted.source, "fingerprint": wanted.fingerprint}
    if any(value is not None for value in member.values()):
        query = query.where(incidents.c.id.in_(select(members.c.incident).where(*_equal(members.c, member))))
    if wanted.state == "closed":
        query = query.where(incidents.c.closed_at.is_not(None))
    elif wanted.state == "open":
        # In a query of its own, so that it is answered from the index of the few that are open.
        query = query.where(incidents.c.id.in_(select(incidents.c.id).where(incidents.c.closed_at.is_(None))))
    if wanted.since is not None:
        query = query.where(incidents.c.opened_at >= wanted.since)
    return query if wanted.after is None else query.where(incidents.c.id < wanted.after)


def wanted_deliveries(wanted: Wanted) -> Select[Any]:
    """The rows that are asked for, in no order."""
    names = ("state", "destination", "key", "incident", "action")
    query = select(deliveries).where(*_equal(deliveries.c, {name: getattr(wanted, name) for name in names}))
    if wanted.state in ALIVE_STATES:
        # As above: there are few of them among the many that are done with.
        few = select(deliveries.c.seq).where(ALIVE, deliveries.c.state == wanted.state)
        query = query.where(deliveries.c.seq.in_(few))
    if wanted.since is not None:
        query = query.where(deliveries.c.created_at >= wanted.since)
    return query if wanted.after is None else query.where(deliveries.c.seq < int(wanted.after))


def _equal(columns: Any, values: Mapping[str, str | None]) -> list[ColumnElement[bool]]:
    return [columns[name] == value for name, value in values.items() if value is not None]


def _fitting(sizes: Sequence[tuple[int, int]]) -> list[int]:
    """As many of the first as fit on a page, but at least one if there is any."""
    chosen: list[int] = []
    room = _MOST_BYTES
    for seq, size in sizes:
        if chosen and size > room:
            break
        chosen.append(seq)
        room -= size
    return chosen


def _event(row: Row[Any]) -> Item:
    body = row.body or b""  # SQLite says NULL for the beginning of an empty one
    return {
        "id": row.id,
        "source": row.source,
        "received_at": instant(row.received_at),
        "outcome": row.outcome,
        "alerts": row.alerts or [],
        "rules_hash": row.rules_hash,
        "truncated": row.truncated,
        "error": row.error,
        **{name: getattr(row, name) for name in NOT_POSTED},
        "body": body.decode(errors="replace"),
        "body_truncated": row.size > len(body),
    }


def _with_members(connection: Connection, rows: Sequence[Row[Any]]) -> list[Item]:
    alerts: dict[str, list[JSON]] = defaultdict(list)
    held = and_(
        doubts.c.source == members.c.source,
        doubts.c.fingerprint == members.c.fingerprint,
        doubts.c.held_by.is_not(None),
        members.c.firing,
    )
    query = (
        select(members, doubts.c.held_by, doubts.c.alert["ends_at"].label("held_end"))
        .outerjoin(doubts, held)
        .where(members.c.incident.in_([row.id for row in rows]))
        .order_by(members.c.starts_at, members.c.source, members.c.fingerprint)
    )
    for member in connection.execute(query):
        alerts[member.incident].append(_member(member))
    last, folded = _digests(connection, [row.id for row in rows])
    return [
        {**_incident(row, alerts[row.id]), "digest": last.get(row.id), "folded": folded.get(row.id, [])}
        for row in rows
    ]


def _digests(connection: Connection, asked: Sequence[str]) -> tuple[dict[str, str], dict[str, list[JSON]]]:
    """The last digest that each of these incidents was folded into; and what those that are digests stand for."""
    last: dict[str, str] = {}
    folded: dict[str, list[JSON]] = defaultdict(list)
    query = (
        select(digests.c.digest, incidents.c.id, incidents.c.key, incidents.c.closed_at)
        .join(incidents, digests.c.incident == incidents.c.id)
        .where(or_(digests.c.digest.in_(asked), digests.c.incident.in_(asked)))
    )
    for row in sorted(connection.execute(query), key=attrgetter("digest", "id")):
        last[row.id] = row.digest
        state = "closed" if row.closed_at else "open"
        folded[row.digest].append({"incident": row.id, "key": row.key, "state": state})
    return last, folded


def _member(row: Row[Any]) -> Item:
    return {
        "source": row.source,
        "fingerprint": row.fingerprint,
        "status": (AlertStatus.FIRING if row.firing else AlertStatus.RESOLVED).value,
        "starts_at": instant(row.starts_at),
        "ends_at": _instant(row.ends_at),
        "last_seen": instant(row.last_seen),
        "inferred": row.inferred,
        "held": {"heartbeat": row.held_by, "ends_at": _said(row.held_end)} if row.held_by else None,
    }


def _said(stored: str) -> str:
    """An instant as it stands in a stored alert."""
    return instant(datetime.fromisoformat(stored))


def _incident(row: Row[Any], alerts: list[JSON]) -> Item:
    return {
        "id": row.id,
        "key": row.key,
        "destination": row.destination,
        "rule": row.rule,
        "rules_hash": row.rules_hash,
        "state": "closed" if row.closed_at else "open",
        "severity": Severity(row.peak if row.closed_at else row.severity).word,
        "opened_at": instant(row.opened_at),
        "closed_at": _instant(row.closed_at),
        "service": row.service,
        "inferred": row.inferred,
        "content": row.content,
        "alerts": alerts,
    }


def shown_delivery(row: Row[Any]) -> Item:
    """A delivery as it is listed."""
    return {
        "id": row.id,
        "incident": row.incident or None,  # a deployment belongs to none
        "destination": row.destination,
        "key": row.key,
        "action": row.action,
        "rules_hash": row.rules_hash,
        "severity": Severity(row.severity).word,
        "state": row.state,
        "attempts": row.attempts,
        "next_attempt_at": _instant(row.next_attempt_at),
        "last_outcome": row.last_outcome,
        "last_error": row.last_error,
        "missing": row.missing,
        "payload": row.payload,
        "response": row.response,
        "reference": row.reference,
        "repeats": row.repeats,
        "created_at": instant(row.created_at),
        "delivered_at": _instant(row.delivered_at),
    }


def _attempt(row: Row[Any]) -> Item:
    return {
        "number": row.number,
        "started_at": instant(row.started_at),
        "finished_at": _instant(row.finished_at),
        "outcome": row.outcome,
        "status": row.status,
        "error": row.error,
    }


def _entry(row: Row[Any]) -> Item:
    names = ("who", "action", "incident", "delivery", "destination", "detail")
    return {"at": instant(row.at), **{name: getattr(row, name) for name in names}}


def _instant(moment: datetime | None) -> str | None:
    return None if moment is None else instant(moment)
