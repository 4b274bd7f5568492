"""The one hand that writes: whatever is asked for meanwhile shares the next transaction and its single sync."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import aiosqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from alertbridge.errors import StoreBroken, StoreError
from alertbridge.store.engine import translate

T = TypeVar("T")
Row = tuple[object, ...]

# Through the driver and not through Core: it is the statement that every answer to a source waits for.
_APPEND = "INSERT INTO events (id, source, received_at, body, outcome, error) VALUES (?, ?, ?, ?, ?, ?)"
_MOST_WORKS = 64
_MOST_APPENDS = 1000


@dataclass(slots=True)
class _Ask:
    """One piece of work and who waits for it."""

    work: Callable[[AsyncConnection], Awaitable[Any]]
    done: asyncio.Future[Any]
    result: Any = None


class Writer:
    """Owns the writing connection. `append` and `write` return when their transaction is on disk.

    Work that fails is rolled back alone: what shared its transaction is done again without it. So `work` must
    derive everything from the connection it is given. A disk that cannot be trusted ends `run` with StoreBroken.
    """

    def __init__(self, *, connection: AsyncConnection) -> None:
        self._connection = connection
        self._appends: list[tuple[Row, asyncio.Future[None]]] = []
        self._asks: list[_Ask] = []
        self._wake = asyncio.Event()
        self._closing = False
        self._broken: StoreError | None = None

    @property
    def queued(self) -> int:
        """How many rows and works wait for a transaction."""
        return len(self._appends) + len(self._asks)

    async def append(self, row: Row) -> None:
        """Put one event row (id, source, received_at in microseconds, body, outcome, error) on disk."""
        self._refuse_if_closed()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._appends.append((row, done))
        self._wake.set()
        await done

    async def write(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Run `work` inside a transaction and return its result once it is on disk."""
        self._refuse_if_closed()
        ask = _Ask(work, asyncio.get_running_loop().create_future())
        self._asks.append(ask)
        self._wake.set()
        result: T = await ask.done
        return result

    async def run(self) -> None:
        """Write until `close` was called and nothing waits any more."""
        while not (self._closing and not self.queued):
            await self._wake.wait()
            self._wake.clear()
            while self.queued:
                await self.run_once()

    def close(self) -> None:
        """Let `run` return as soon as everything asked for so far is on disk."""
        self._closing = True
        self._wake.set()

    async def run_once(self) -> None:
        """One transaction with whatever waits now."""
        appends, self._appends = self._appends[:_MOST_APPENDS], self._appends[_MOST_APPENDS:]
        asks, self._asks = self._asks[:_MOST_WORKS], self._asks[_MOST_WORKS:]
        try:
            await self._commit([row for row, _ in appends], asks)
        except Exception as error:  # noqa: BLE001 - whatever happened belongs to those who wait
            await self._one_by_one(appends, asks, error)
            return
        for _, done in appends:
            _tell(done, None)
        for ask in asks:
            _tell(ask.done, ask.result)

    async def _commit(self, rows: list[Row], asks: list[_Ask]) -> None:
        try:
            async with self._connection.begin():
                if rows:
                    driver = await self._driver()
                    await driver.executemany(_APPEND, rows)
                for ask in asks:
                    ask.result = await ask.work(self._connection)
        except (sqlite3.Error, SQLAlchemyError) as error:
            known = translate(error)
            if known is None:
                raise
            raise known from error

    async def _one_by_one(
        self, appends: list[tuple[Row, asyncio.Future[None]]], asks: list[_Ask], error: Exception
    ) -> None:
        """After a failure: everybody again, each alone, so that only the guilty one is told of it."""
        self._die_if_broken(error, appends, asks)
        if len(asks) + bool(appends) == 1:
            for waiting in (*(done for _, done in appends), *(ask.done for ask in asks)):
                _tell(waiting, error)
            return
        parts: list[tuple[list[tuple[Row, asyncio.Future[None]]], list[_Ask]]] = [([], [ask]) for ask in asks]
        if appends:
            parts.insert(0, (appends, []))
        for rows, works in parts:
            try:
                await self._commit([row for row, _ in rows], works)
            except Exception as failure:  # noqa: BLE001 - as above
                self._die_if_broken(failure, rows, works)
                outcome: Exception | None = failure
            else:
                outcome = None
            for _, done in rows:
                _tell(done, outcome)
            for ask in works:
                _tell(ask.done, outcome or ask.result)

    def _die_if_broken(
        self, error: Exception, appends: list[tuple[Row, asyncio.Future[None]]], asks: list[_Ask]
    ) -> None:
        if not isinstance(error, StoreBroken):
            return
        self._broken = error
        waiting = [done for _, done in (*appends, *self._appends)] + [
            ask.done for ask in (*asks, *self._asks)
        ]
        self._appends, self._asks = [], []
        for done in waiting:
            _tell(done, error)
        raise error

    def _refuse_if_closed(self) -> None:
        if self._broken is not None:
            raise self._broken
        if self._closing:
            raise StoreError("the database is being closed")

    async def _driver(self) -> aiosqlite.Connection:
        raw = await self._connection.get_raw_connection()
        driver = raw.driver_connection
        assert isinstance(driver, aiosqlite.Connection)
        return driver


def _tell(done: asyncio.Future[Any], outcome: object) -> None:
    if done.done():  # whoever asked has gone away; the work stands
        return
    if isinstance(outcome, Exception):
        done.set_exception(outcome)
    else:
        done.set_result(outcome)
