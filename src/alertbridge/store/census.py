"""How much of everything there is right now, counted on the partial indexes and never on whole tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import orjson
from sqlalchemy import Connection, Text, cast, func, select

from alertbridge.model import DeliveryState
from alertbridge.store import inbox
from alertbridge.store.columns import among
from alertbridge.store.schema import ALIVE_STATES, deliveries, incidents

ALIVE = among(deliveries.c.state, *ALIVE_STATES)
_WAITING = (DeliveryState.PENDING, DeliveryState.SENDING)


@dataclass(frozen=True, slots=True)
class Census:
    """Counts at one moment, by destination; what there is none of is left out.

    `deliveries` counts what is held, pending, sending or dead. `oldest` is when the oldest delivery that is pending
    or sending was created; `held` counts by the name of what is missing.
    """

    incidents: Mapping[str, int]
    deliveries: Mapping[tuple[str, DeliveryState], int]
    oldest: Mapping[str, datetime]
    held: Mapping[tuple[str, str], int]
    undecided: int


_INCIDENTS = (
    select(incidents.c.destination, func.count().label("number"))
    .where(incidents.c.closed_at.is_(None))
    .group_by(incidents.c.destination)
)
# Rows are numbered in the order of their creation; the index holds all that this asks for.
_DELIVERIES = (
    select(
        deliveries.c.destination,
        deliveries.c.state,
        func.count().label("number"),
        func.min(deliveries.c.seq).label("first"),
    )
    .where(ALIVE)
    .group_by(deliveries.c.destination, deliveries.c.state)
)
_MISSING = (
    select(deliveries.c.destination, cast(deliveries.c.missing, Text), func.count())
    .where(ALIVE, deliveries.c.state == DeliveryState.HELD.value)
    .group_by(deliveries.c.destination, cast(deliveries.c.missing, Text))
)


def take(connection: Connection) -> Census:
    """Count everything that `connection` sees."""
    counted = connection.execute(_DELIVERIES).all()
    return Census(
        incidents={row.destination: row.number for row in connection.execute(_INCIDENTS)},
        deliveries={(row.destination, DeliveryState(row.state)): row.number for row in counted},
        oldest=_oldest(connection, [row.first for row in counted if row.state in _WAITING]),
        held=_held(connection),
        undecided=inbox.count_undecided(connection),
    )


def _oldest(connection: Connection, first: list[int]) -> dict[str, datetime]:
    query = (
        select(deliveries.c.destination, func.min(deliveries.c.created_at).label("created_at"))
        .where(deliveries.c.seq.in_(first))
        .group_by(deliveries.c.destination)
    )
    return {row.destination: row.created_at for row in connection.execute(query)}


def _held(connection: Connection) -> Counter[tuple[str, str]]:
    held: Counter[tuple[str, str]] = Counter()
    for destination, missing, number in connection.execute(_MISSING):
        held.update({(destination, name): number for name in set(orjson.loads(missing))})
    return held
