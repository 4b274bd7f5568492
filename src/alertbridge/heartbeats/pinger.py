"""The loop that tells somebody outside that deliveries work: it calls a URL while they do, and is silent while they do not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection

from alertbridge.clock import Clock, rest
from alertbridge.deliver.courier import Courier
from alertbridge.deliver.transport import Route, Transport
from alertbridge.errors import StoreBroken, StoreError
from alertbridge.metrics import Metrics
from alertbridge.model import Response, Secret
from alertbridge.store import heartbeats, inbox, stops
from alertbridge.store.store import Store

_EVERY = timedelta(seconds=1)
_GOOD = range(200, 300)


@dataclass(frozen=True, slots=True)
class Ping:
    """A URL, and for which destinations it speaks: all, if none is named."""

    url: Secret
    every: timedelta
    destinations: tuple[str, ...]
    max_wait: timedelta
    timeout: timedelta
    proxy: Secret | None = None


class Pinger:
    """Calls each ping as often as it says, or logs once why not.

    `configured` gives the pings in use by name, `couriers` is looked at anew each time, `dead` names the loops that
    have ended though they should go on.
    """

    def __init__(
        self,
        *,
        store: Store,
        configured: Callable[[], Mapping[str, Ping]],
        couriers: Mapping[str, Courier],
        dead: Callable[[], Sequence[str]],
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._configured = configured
        self._couriers = couriers
        self._dead = dead
        self._clock = clock
        self._metrics = metrics
        self._looked: dict[str, float] = {}
        self._complaints: dict[str, tuple[str, ...]] = {}
        self._calls: dict[str, asyncio.Task[None]] = {}
        self._stop = asyncio.Event()
        self._log = structlog.get_logger().bind()

    def close(self) -> None:
        """Let `run` end, and wait for no answer."""
        self._stop.set()

    async def run(self) -> None:
        """Call what is due until `close`. Raises StoreBroken when the disk cannot be trusted."""
        while not self._stop.is_set():
            self.run_once()
            await rest(self._clock, _EVERY, until=self._stop)
            for name in [name for name, call in self._calls.items() if call.done()]:
                self._calls.pop(name).result()
        for call in self._calls.values():
            call.cancel()
        await asyncio.gather(*self._calls.values(), return_exceptions=True)

    def run_once(self) -> list[asyncio.Task[None]]:
        """Begin a call of every ping that is due, each on its own; return those that are under way."""
        now, pings = self._clock.monotonic(), dict(self._configured())
        self._looked = {name: last for name, last in self._looked.items() if name in pings}
        for name, ping in pings.items():
            last = self._looked.get(name)
            if name not in self._calls and (last is None or now - last >= ping.every.total_seconds()):
                self._looked[name] = now
                self._calls[name] = asyncio.create_task(self._attend(name, ping), name=f"ping {name}")
        return list(self._calls.values())

    async def _attend(self, name: str, ping: Ping) -> None:
        reasons = await self._reasons(name, ping)
        if reasons:
            self._count(name, "withheld")
            if self._complaints.get(name) != reasons:
                self._log.warning("ping.withheld", ping=name, reasons=list(reasons))
            self._complaints[name] = reasons
            return
        failure = await self._call(ping)
        if failure:
            self._count(name, "failed")
            if self._complaints.get(name) != (failure,):
                self._log.warning("ping.failed", ping=name, error=failure)
            self._complaints[name] = (failure,)
            return
        self._count(name, "called")
        if self._complaints.pop(name, None):
            self._log.info("ping.resumed", ping=name)

    async def _reasons(self, name: str, ping: Ping) -> tuple[str, ...]:
        """Why deliveries cannot be said to succeed, in words that stay the same as long as the reasons do."""
        wanted = ping.destinations or tuple(self._couriers)
        reasons = [f"{loop} has ended" for loop in self._dead()]
        for each in wanted:
            courier = self._couriers.get(each)
            obstacle = courier.standing.obstacle if courier is not None else None
            if obstacle is not None:
                reasons.append(f"{each} is paused: {obstacle.reason}")
        now = self._clock.now()

        def look(connection: Connection) -> tuple[Collection[str], set[str], datetime | None]:
            heartbeats.note_call(connection, name, now=now)
            late = heartbeats.late_destinations(connection, before=now - ping.max_wait)
            return stops.find(connection), late, inbox.oldest_undecided(connection)

        try:
            stopped, late, oldest = await self._store.write(look)
        except StoreBroken:
            raise
        except StoreError as error:
            return (*reasons, f"the database takes no writes: {error}")
        reasons += [f"{each} is paused by hand" for each in wanted if each in stopped]
        reasons += [f"a message to {each} waits too long" for each in wanted if each in late]
        if oldest is not None and oldest < now - ping.max_wait:
            reasons.append("an event waits too long to be decided")
        return tuple(reasons)

    async def _call(self, ping: Ping) -> str:
        """Why the call failed; empty if it did not."""
        proxy = ping.proxy.reveal() if ping.proxy else None
        transport = Transport(
            route=Route(timeout=ping.timeout, proxy=proxy, connections=1), clock=self._clock
        )
        await transport.open()
        try:
            answer = await transport.get(ping.url)
        finally:
            await transport.close()
        if isinstance(answer, Response):
            return "" if answer.status in _GOOD else f"it was answered with {answer.status}"
        return answer.reason

    def _count(self, name: str, outcome: str) -> None:
        self._metrics.pings.labels(name, outcome).inc()
