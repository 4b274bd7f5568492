"""One look at the database for all that is shown of destinations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from alertbridge.deliver.courier import Courier
from alertbridge.store import census, stops
from alertbridge.store.census import Census
from alertbridge.store.stops import Stop
from alertbridge.store.store import Store

STOPPED = "operator"  # the reason of a destination that somebody has stopped


@dataclass(frozen=True, slots=True)
class Survey:
    """The counts; how many requests each destination's rate limit allows now (None: it has no limit); what is stopped."""

    census: Census
    budgets: Mapping[str, int | None]
    stops: Mapping[str, Stop]


async def survey(store: Store, couriers: Mapping[str, Courier]) -> Survey:
    """Everything as it is at one moment."""

    def look(connection: Connection) -> Survey:
        return Survey(
            census=census.take(connection),
            budgets={name: courier.budget(connection) for name, courier in couriers.items()},
            stops=stops.find(connection),
        )

    return await store.read(look)
