"""SQL on requests that went past the outbox, since an operator has tried a destination: the rate limit counts them."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select

from alertbridge.store.schema import trials


def note(connection: Connection, destination: str, number: int, *, now: datetime, per: timedelta) -> None:
    """So many are about to leave; those that are older than `per` are forgotten."""
    of_it = trials.c.destination == destination
    connection.execute(delete(trials).where(of_it, trials.c.started_at <= now - per))
    connection.execute(insert(trials), [{"destination": destination, "started_at": now}] * number)


def starts(connection: Connection, destination: str, *, since: datetime) -> list[datetime]:
    """When those since `since` left, in order."""
    query = (
        select(trials.c.started_at)
        .where(trials.c.destination == destination, trials.c.started_at > since)
        .order_by(trials.c.started_at)
    )
    return list(connection.scalars(query))
