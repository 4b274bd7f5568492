"""The latest instant that an earlier run has written down."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, func, select

from alertbridge.store.schema import attempts, events


def latest(connection: Connection, destinations: Iterable[str]) -> datetime | None:
    """When the last event came, or the last attempt at one of `destinations` began; None where there is neither."""
    found = [connection.scalar(select(func.max(events.c.received_at)))]
    for name in destinations:
        began = select(func.max(attempts.c.started_at)).where(attempts.c.destination == name)
        found.append(connection.scalar(began))
    return max((moment for moment in found if moment is not None), default=None)
