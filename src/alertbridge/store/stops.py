"""SQL on stops: destinations to which an operator lets nothing be sent. They outlive restarts and reloads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, exists, insert, select

from alertbridge.store.schema import stops


@dataclass(frozen=True, slots=True)
class Stop:
    """Who stopped a destination, why, and since when."""

    destination: str
    who: str
    reason: str
    since: datetime


_STOPPED = select(exists().where(stops.c.destination == bindparam("name")))


def stop(connection: Connection, new: Stop) -> None:
    """Stop a destination; one that is stopped already keeps since when, and gets the new reason."""
    known = find(connection).get(new.destination)
    lift(connection, new.destination)
    since = known.since if known else new.since
    connection.execute(
        insert(stops).values(destination=new.destination, who=new.who, reason=new.reason, since=since)
    )


def lift(connection: Connection, destination: str) -> None:
    """Let it be sent to again."""
    connection.execute(delete(stops).where(stops.c.destination == destination))


def stopped(connection: Connection, destination: str) -> bool:
    """Whether it is stopped."""
    return bool(connection.scalar(_STOPPED, {"name": destination}))


def find(connection: Connection) -> dict[str, Stop]:
    """All of them, by destination."""
    rows = connection.execute(select(stops))
    return {row.destination: Stop(row.destination, row.who, row.reason, row.since) for row in rows}
