"""SQL on how long a message waits for what was said before on its key."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, select
from sqlalchemy.engine import Row

from alertbridge.store.lines import LIFECYCLE
from alertbridge.store.schema import AMBIGUOUS, SAID, attempts


def earliest(
    connection: Connection,
    row: Row[Any],
    *,
    now: datetime,
    key_interval: timedelta,
    landing_time: timedelta,
) -> datetime:
    """When this delivery may start at the earliest, not before `now`.

    The same action follows itself after `key_interval`. The opposite one waits until `landing_time` after a request that
    got no answer, which might overtake it otherwise. An instant after `now` is left over from a clock that has been
    set back, and holds up nothing.
    """
    moments = [now]
    if key_interval and (last := _last_said(connection, row, now)) is not None:
        moments.append(last + key_interval)
    if landing_time and row.action in LIFECYCLE and (lost := _last_lost(connection, row, now)) is not None:
        moments.append(lost + landing_time)
    return max(moments)


def _last_said(connection: Connection, row: Row[Any], now: datetime) -> datetime | None:
    """When the same action was last said on this key, or may have been."""
    last = (SAID, attempts.c.action == row.action, attempts.c.delivery != row.id)
    return _past(_newest(connection, row, attempts.c.started_at, *last), now)


def _last_lost(connection: Connection, row: Row[Any], now: datetime) -> datetime | None:
    """When the last request of the opposite action that got no answer was given up."""
    lost = (AMBIGUOUS, attempts.c.action != row.action, attempts.c.action.in_(LIFECYCLE))
    return _past(_newest(connection, row, attempts.c.finished_at, *lost), now)


def _newest(
    connection: Connection, row: Row[Any], column: ColumnElement[Any], *wanted: ColumnElement[bool]
) -> datetime | None:
    """Read from the end of the key's attempts; a bound in time would lead away from their index."""
    found: datetime | None = connection.scalar(
        select(column)
        .where(attempts.c.destination == row.destination, attempts.c.key == row.key, *wanted)
        .order_by(attempts.c.seq.desc())
        .limit(1)
    )
    return found


def _past(moment: datetime | None, now: datetime) -> datetime | None:
    return moment if moment is not None and moment <= now else None
