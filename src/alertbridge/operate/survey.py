"""One look at the database for all that is shown of destinations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from alertbridge.deliver.courier import Courier
from alertbridge.store import census
from alertbridge.store.census import Census
from alertbridge.store.store import Store


@dataclass(frozen=True, slots=True)
class Survey:
    """The counts, and how many requests each destination's rate limit allows now (None: it has no limit)."""

    census: Census
    budgets: Mapping[str, int | None]


async def survey(store: Store, couriers: Mapping[str, Courier]) -> Survey:
    """Everything as it is at one moment."""

    def look(connection: Connection) -> Survey:
        return Survey(
            census=census.take(connection),
            budgets={name: courier.budget(connection) for name, courier in couriers.items()},
        )

    return await store.read(look)
