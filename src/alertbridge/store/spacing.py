"""SQL on how long a message waits for what was said before on its key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BindParameter, Column, ColumnElement, Connection, Select, bindparam, select
from sqlalchemy.engine import Row

from alertbridge.store.lines import LIFECYCLE
from alertbridge.store.schema import AMBIGUOUS, SAID, attempts, deliveries


def earliest(
    connection: Connection,
    rows: Sequence[Row[Any]],
    *,
    now: datetime,
    key_interval: timedelta,
    landing_time: timedelta,
) -> Mapping[str, datetime]:
    """When each of these deliveries may start at the earliest, by its id; one that may start `now` is left out.

    The same action follows itself after `key_interval`. The opposite one waits until `landing_time` after a request that
    got no answer, which might overtake it otherwise. An instant after `now` is left over from a clock that has been
    set back, and holds up nothing.
    """
    seqs = [row.seq for row in rows]
    moments: list[tuple[str, datetime, datetime]] = []
    if key_interval:
        moments += [(which, at, at + key_interval) for which, at in _last_said(connection, seqs)]
    if landing_time:
        moments += [(which, at, at + landing_time) for which, at in _last_lost(connection, seqs)]
    due: dict[str, datetime] = {}
    for which, at, until in moments:
        if at <= now < until:
            due[which] = max(until, due.get(which, until))
    return due


_SEQS: BindParameter[list[int]] = bindparam("seqs", expanding=True)


def _newest(column: Column[datetime], *wanted: ColumnElement[bool]) -> Select[Any]:
    """Read from the end of the attempts on each key; a bound in time would lead away from their index."""
    on_key = (attempts.c.destination == deliveries.c.destination, attempts.c.key == deliveries.c.key)
    newest = select(column).where(*on_key, *wanted).order_by(attempts.c.seq.desc()).limit(1)
    return select(deliveries.c.id, newest.scalar_subquery().label("moment")).where(
        deliveries.c.seq.in_(_SEQS)
    )


_SAID_BEFORE = _newest(
    attempts.c.started_at,
    SAID,
    attempts.c.action == deliveries.c.action,
    attempts.c.delivery != deliveries.c.id,
)
_LOST_BEFORE = _newest(
    attempts.c.finished_at,
    AMBIGUOUS,
    attempts.c.action != deliveries.c.action,
    attempts.c.action.in_(LIFECYCLE),
    deliveries.c.action.in_(LIFECYCLE),
)


def _last_said(connection: Connection, seqs: list[int]) -> list[tuple[str, datetime]]:
    """When the same action was last said on the key of each, or may have been."""
    return _found(connection, _SAID_BEFORE, seqs)


def _last_lost(connection: Connection, seqs: list[int]) -> list[tuple[str, datetime]]:
    """When the last request of the opposite action that got no answer was given up, on the key of each."""
    return _found(connection, _LOST_BEFORE, seqs)


def _found(connection: Connection, query: Select[Any], seqs: list[int]) -> list[tuple[str, datetime]]:
    rows = connection.execute(query, {"seqs": seqs})
    return [(row.id, row.moment) for row in rows if row.moment is not None]
