"""What the simulated daemon is given instead of the machine: time, a store without threads, a network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol, TypeVar

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool
from typing_extensions import override

from alertbridge.deliver.transport import Transport
from alertbridge.model import Ambiguous, Paused, Request, Response, Retry
from alertbridge.store import engine
from alertbridge.store.store import Store

T = TypeVar("T")
EPOCH = datetime(2026, 1, 1, 12, tzinfo=UTC)
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)  # of the instants in the database


class LoopClock:
    """The time of the running loop."""

    def now(self) -> datetime:
        return self.at(self.monotonic())

    def at(self, seconds: float) -> datetime:
        """The instant that many seconds after the beginning."""
        return EPOCH + timedelta(microseconds=round(seconds * 1e6))

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def resume(self, latest: datetime) -> bool:
        """It goes on through every restart."""
        return latest <= self.now()

    def ahead(self) -> timedelta:
        return timedelta(0)

    async def sleep(self, span: timedelta) -> None:
        await asyncio.sleep(max(0.0, span.total_seconds()))


class InlineStore(Store):
    """Reads as it writes: each query in one piece on the loop's own thread. `FREE` says how much the disk still takes."""

    _reader: Engine | None = None

    @override
    def free_bytes(self) -> int:
        return FREE.get()()

    @override
    async def read(self, query: Callable[[Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(None, lambda: self._read(query))

    def _read(self, query: Callable[[Connection], T]) -> T:
        try:
            with self._read_engine().connect() as connection, connection.begin():
                return query(connection)
        except DBAPIError as error:
            known = engine.translate(error)
            if known is None:
                raise
            raise known from error

    def _read_engine(self) -> Engine:
        if self._reader is None:
            self._reader = reading(self.path)
        return self._reader

    @override
    async def close(self) -> None:
        if self._reader is not None:
            self._reader.dispose()
        await super().close()


def reading(path: Path) -> Engine:
    """An engine whose one connection can only read."""
    url = URL.create("sqlite", database=f"file:{path}", query={"mode": "ro", "uri": "true"})
    return create_engine(url, poolclass=StaticPool, **engine._OPTIONS)


FREE: ContextVar[Callable[[], int]] = ContextVar("free")


class Network(Protocol):
    """Takes a request of the daemon, and says what comes back and when, if anything does."""

    def send(self, request: Request) -> asyncio.Future[Response | Retry | Ambiguous | Paused]: ...


NETWORK: ContextVar[Network] = ContextVar("network")


class SimulatedTransport(Transport):
    """Sends into the `NETWORK` of the running simulation; the timeout is the route's, as in earnest."""

    @override
    async def open(self) -> None:
        """Nothing is held."""

    @override
    async def close(self) -> None:
        """See above."""

    @override
    async def _send(
        self, method: str, request: Request, *, most: int
    ) -> Response | Retry | Ambiguous | Paused:
        del method, most
        try:
            async with asyncio.timeout(self._route.timeout.total_seconds()):
                return await NETWORK.get().send(request)
        except TimeoutError:
            return Ambiguous(f"no answer within {self._route.timeout.total_seconds():g} s")
