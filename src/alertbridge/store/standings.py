"""SQL on how destinations stand: what of it outlives a restart, one row for each that is not simply well."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select

from alertbridge.store.schema import standings


@dataclass(frozen=True, slots=True)
class Kept:
    """A pause that came by itself, the keys that were rejected in a row, and what a 429 has taught.

    `reason`, `detail`, `since` and `until` are there together, or none of them; so are the last five: `allowed` of the
    limit of `requests` per `per` with `burst` since `taught_at`.
    """

    reason: str | None = None
    detail: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    rejected: tuple[str, ...] = ()
    requests: int | None = None
    per: timedelta | None = None
    burst: int | None = None
    allowed: int | None = None
    taught_at: datetime | None = None


def keep(connection: Connection, destination: str, kept: Kept) -> None:
    """Write down how a destination stands, in the place of what was."""
    connection.execute(delete(standings).where(standings.c.destination == destination))
    if kept != Kept():
        row = {**asdict(kept), "rejected": list(kept.rejected), "destination": destination}
        connection.execute(insert(standings), row)


def find(connection: Connection) -> dict[str, Kept]:
    """All of them, by destination."""
    found = {}
    for row in connection.execute(select(standings)).mappings():
        values = dict(row)
        destination = values.pop("destination")
        found[destination] = Kept(**{**values, "rejected": tuple(values["rejected"])})
    return found
