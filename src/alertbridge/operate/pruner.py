"""The loop that keeps the database small: every ten minutes it deletes what is finished and old enough."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy import Connection

from alertbridge.clock import Clock, rest
from alertbridge.errors import StoreBroken, StoreError
from alertbridge.store import retention, space
from alertbridge.store.retention import Batch, Kind
from alertbridge.store.store import Store

_EVERY = timedelta(minutes=10)
_MOST_AT_ONCE = 0.05  # seconds that the writer is kept busy


class Pruner:
    """Deletes events older than `events`; deliveries, closed incidents, quiet alerts and deployments older than `deliveries`.

    A rule set goes when nothing names it and twenty others were loaded after it. Nothing that still has something to do is ever deleted. `window` is how far back any rate limit or key interval
    looks: the attempts it counts are kept that long, however short `deliveries` is; and deployments as long as an
    incident may be laid to them, which is `blamable`. Then the database gives back the space that it will hardly need
    again, and all that it does not use while the disk is short of space. `breath` is how long others have the writer to
    themselves after each step.
    """

    def __init__(
        self,
        *,
        store: Store,
        events: timedelta,
        deliveries: timedelta,
        clock: Clock,
        window: timedelta = timedelta(0),
        blamable: timedelta = timedelta(0),
        short_of_disk: Callable[[], bool] = lambda: False,
        breath: timedelta = timedelta(0),
    ) -> None:
        self.window = window
        self.blamable = blamable
        self._store = store
        self._events = events
        self._deliveries = deliveries
        self._clock = clock
        self._short_of_disk = short_of_disk
        self._breath = breath
        self._stop = asyncio.Event()
        self._log = structlog.get_logger().bind()

    def close(self) -> None:
        """Let `run` end after the batch at hand."""
        self._stop.set()

    async def run(self) -> None:
        """Prune at once and then every ten minutes, until `close`. Raises StoreBroken when the disk cannot be trusted."""
        while not self._stop.is_set():
            try:
                await self.run_once()
            except StoreBroken:
                raise
            except StoreError as error:
                self._log.warning("retention.failed", error=str(error))
            await rest(self._clock, _EVERY, until=self._stop)

    async def run_once(self) -> dict[str, int]:
        """Delete all that is due, and return how many rows of each kind that were."""
        now = self._clock.now()
        ages = {
            "events": (retention.EVENTS, self._events),
            "deliveries": (retention.DELIVERIES, max(self._deliveries, self.window)),
            "incidents": (retention.INCIDENTS, self._deliveries),
            "alerts": (retention.ALERTS, self._deliveries),
            "deployments": (retention.DEPLOYMENTS, max(self._deliveries, self.blamable)),
            "merges": (retention.MERGES, max(self._deliveries, self.blamable)),
            "rule_sets": (retention.RULE_SETS, timedelta(0)),  # last, when all that names them is gone
        }
        counts = {name: await self._prune(kind, now - age) for name, (kind, age) in ages.items()}
        if any(counts.values()):
            self._log.info("retention.pruned", **counts)
        await self._give_back()
        return counts

    async def _prune(self, kind: Kind, before: datetime) -> int:
        total = removed = 0
        while batches := await self._store.read(
            lambda connection: retention.find(connection, kind, before=before)
        ):
            removed = 0
            for batch in batches:
                if self._stop.is_set():
                    return total
                removed += await self._remove(kind, batch, before)
            total += removed
            if not removed:  # what was found has come back to life since
                break
        return total

    async def _remove(self, kind: Kind, batch: Batch, before: datetime) -> int:
        def work(connection: Connection) -> int:
            until = self._clock.monotonic() + _MOST_AT_ONCE
            return retention.remove(
                connection, kind, batch, before=before, enough=lambda: self._clock.monotonic() >= until
            )

        removed = await self._store.write(work)
        await self._clock.sleep(self._breath)
        return removed

    async def _give_back(self) -> None:
        """Make the database smaller, step by step, until no more of it is empty than it will soon need again."""
        given_back = 0
        while not self._stop.is_set():
            room = await self._store.read(space.look)
            pages = room.to_give_back(everything=self._short_of_disk())
            if not pages or not await self._store.write(partial(space.give_back, pages=pages)):
                break
            given_back += pages * room.page
            await self._clock.sleep(self._breath)
        if given_back:
            self._log.info("storage.shrunk", bytes=given_back)
