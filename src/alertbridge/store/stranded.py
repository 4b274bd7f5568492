"""SQL on what nobody would do any more if a source or a destination were gone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from alertbridge.model import DeliveryState, EventOutcome
from alertbridge.store.columns import among
from alertbridge.store.schema import ALIVE_STATES, deliveries, events


@dataclass(frozen=True, slots=True)
class Stranded:
    """Events not decided, by source; messages not delivered, by destination and state. Nothing where there is none."""

    events: Mapping[str, int]
    deliveries: Mapping[str, Mapping[DeliveryState, int]]

    def __bool__(self) -> bool:
        return bool(self.events or self.deliveries)


_EVENTS = (
    select(events.c.source, func.count().label("number"))
    .where(among(events.c.outcome, EventOutcome.RECEIVED))
    .group_by(events.c.source)
)
_DELIVERIES = (
    select(deliveries.c.destination, deliveries.c.state, func.count().label("number"))
    .where(among(deliveries.c.state, *ALIVE_STATES), deliveries.c.state != DeliveryState.DEAD.value)
    .group_by(deliveries.c.destination, deliveries.c.state)
)


def find(connection: Connection, *, sources: Collection[str], destinations: Collection[str]) -> Stranded:
    """What waits for these sources and destinations, counted on the partial indexes."""
    undecided = connection.execute(_EVENTS).all() if sources else []
    waiting: dict[str, dict[DeliveryState, int]] = {}
    for row in connection.execute(_DELIVERIES) if destinations else ():
        if row.destination in destinations:
            waiting.setdefault(row.destination, {})[DeliveryState(row.state)] = row.number
    return Stranded({row.source: row.number for row in undecided if row.source in sources}, waiting)
