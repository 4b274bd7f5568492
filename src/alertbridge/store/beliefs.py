"""SQL on what is believed of the alerts of one source, and on what waits that may say otherwise."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Connection, and_, bindparam, func, select

from alertbridge.incidents.beliefs import Beliefs, Believed
from alertbridge.model import EventOutcome
from alertbridge.store.columns import among
from alertbridge.store.schema import alerts, doubts, events, incidents, members

_CHUNK = 5000  # far below the 32,766 parameters that one SQLite statement may have
_MOST_WAITING = 200  # events
_FINGERPRINT = re.compile(rb'"fingerprint"\s*:\s*"([^"]*)"')

_SOURCE: BindParameter[str] = bindparam("source")
_NAMES: BindParameter[str] = bindparam("names", expanding=True)
# In a query of its own, so that it is answered from the index of the few that are open.
_OPEN = select(incidents.c.id).where(incidents.c.closed_at.is_(None))
_HELD = select(doubts.c.fingerprint).where(doubts.c.source == _SOURCE, doubts.c.held_by.is_not(None))
_FIRING = (
    select(
        members.c.fingerprint,
        func.min(members.c.starts_at, type_=members.c.starts_at.type).label("starts_at"),
        func.max(members.c.last_seen, type_=members.c.last_seen.type).label("last_seen"),
    )
    .where(
        members.c.incident.in_(_OPEN),
        members.c.source == _SOURCE,
        members.c.firing,
        members.c.fingerprint.not_in(_HELD),  # an end was told already, and waits to count
    )
    .group_by(members.c.fingerprint)
)
_DOUBTED = (
    select(doubts.c.fingerprint, alerts.c.ends_at)
    .join(alerts, and_(alerts.c.source == doubts.c.source, alerts.c.fingerprint == doubts.c.fingerprint))
    .where(doubts.c.source == _SOURCE, doubts.c.held_by.is_(None), alerts.c.ends_at.is_not(None))
)
_KNOWN = select(alerts.c.fingerprint).where(
    alerts.c.source == _SOURCE, alerts.c.fingerprint.in_(_NAMES), alerts.c.firing
)
_INFERRED = (
    select(alerts.c.fingerprint)
    .join(members, and_(members.c.source == alerts.c.source, members.c.fingerprint == alerts.c.fingerprint))
    .where(
        alerts.c.source == _SOURCE,
        alerts.c.fingerprint.in_(_NAMES),
        ~alerts.c.firing,
        members.c.inferred,
        members.c.ends_at == alerts.c.ends_at,
    )
)
_WAITING = (
    select(events.c.body)
    .where(among(events.c.outcome, EventOutcome.RECEIVED), events.c.source == _SOURCE)
    .limit(_MOST_WAITING + 1)
)
_STALE = _FIRING.having(func.max(members.c.last_seen) <= bindparam("before", type_=members.c.last_seen.type))


def read(connection: Connection, source: str, *, asked: Collection[str] = ()) -> Beliefs:
    """What is believed of the alerts of `source`; of those `asked` about also where no incident is open."""
    opened = {row.fingerprint: _believed(row) for row in connection.execute(_FIRING, {"source": source})}
    doubted = {row.fingerprint: row.ends_at for row in connection.execute(_DOUBTED, {"source": source})}
    firing: set[str] = set()
    inferred: set[str] = set()
    for names in _chunks([name for name in asked if name not in opened]):
        about = {"source": source, "names": names}
        firing.update(connection.scalars(_KNOWN, about))
        inferred.update(connection.scalars(_INFERRED, about))
    return Beliefs(opened, frozenset(firing), frozenset(inferred), doubted)


def stale(connection: Connection, source: str, *, before: datetime) -> list[Believed]:
    """The alerts that fire in open incidents and were last heard of at `before` or earlier."""
    return [_believed(row) for row in connection.execute(_STALE, {"source": source, "before": before})]


def mentioned(connection: Connection, source: str, fingerprints: Collection[str]) -> frozenset[str]:
    """Those of which an event that is not decided yet tells something; all, while there are many such events."""
    waiting = connection.scalars(_WAITING, {"source": source}).all()
    if len(waiting) > _MOST_WAITING:
        return frozenset(fingerprints)
    said = {name.decode(errors="replace") for body in waiting for name in _FINGERPRINT.findall(bytes(body))}
    return frozenset(fingerprints) & said


def _believed(row: Any) -> Believed:
    return Believed(row.fingerprint, row.starts_at, row.last_seen)


def _chunks(names: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(names), _CHUNK):
        yield names[start : start + _CHUNK]
