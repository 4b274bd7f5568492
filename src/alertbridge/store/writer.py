"""The one hand that writes: whatever is asked for meanwhile shares the next transaction and its single sync.

It works in a thread of its own, one hop for a whole transaction: on a busy event loop every further hop would wait for the
interpreter's lock, and a transaction has dozens of statements.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from alertbridge.errors import StoreBroken, StoreError, StoreFull
from alertbridge.store.engine import translate
from alertbridge.store.log import Log

T = TypeVar("T")
Row = tuple[object, ...]

# Through the driver and not through Core, and many rows in one statement: every answer to a source waits for it, and for
# each row of an `executemany` the interpreter's lock is let go and must be won back from a busy event loop.
_APPEND = "INSERT INTO events (id, source, received_at, body, outcome, error) VALUES "
_ROW = "(?, ?, ?, ?, ?, ?)"
_ROWS_AT_ONCE = 64  # the driver keeps the statement of every length prepared, see `engine.writing_engine`
_MOST_WORKS = 64
_MOST_APPENDS = 1024
_MOST_BYTES = 32 * 1024 * 1024  # of bodies in one transaction, which the log has to hold until it is moved


@dataclass(slots=True)
class _Append:
    """One event row, and who waits for it to be on disk."""

    row: Row
    size: int
    done: asyncio.Future[None]


@dataclass(slots=True)
class _Ask:
    """One piece of work, and who waits for its result."""

    work: Callable[[Connection], Any]
    done: asyncio.Future[Any]
    committed: Callable[[Any], None]
    result: Any = None


class Writer:
    """Owns the writing connection. `append` and `write` return when their transaction is on disk.

    Work that fails is rolled back alone: what shared its transaction is done again without it. So `work` must
    derive everything from the connection it is given. A disk that cannot be trusted ends `run` with StoreBroken.
    `appended` is called whenever rows have come onto the disk, many of them together; `full` whenever a transaction
    found no room.
    """

    def __init__(
        self,
        *,
        path: Path,
        engine: Engine,
        appended: Callable[[], None],
        full: Callable[[], None] = lambda: None,
    ) -> None:
        self._engine = engine
        self._log = Log(path)
        self._appended = appended
        self._full = full
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._connection: Connection | None = None
        self._appends: list[_Append] = []
        self._asks: list[_Ask] = []
        self._wake = asyncio.Event()
        self._closing = False
        self._broken: StoreError | None = None

    @property
    def log_frames(self) -> int:
        """How many pages the write-ahead log holds."""
        return self._log.frames()

    @property
    def queued(self) -> int:
        """How many rows and works wait for a transaction."""
        return len(self._appends) + len(self._asks)

    @property
    def log_is_overlong(self) -> bool:
        """Whether readers should wait until the log has begun anew, which is tried after each commit."""
        return self._log.overlong

    async def open(self, prepare: Callable[[Connection], T]) -> T:
        """Connect, and run `prepare` in a first transaction."""

        def connect() -> T:
            self._connection = self._engine.connect()
            with self._connection.begin():
                return prepare(self._connection)

        return await self._in_thread(connect)

    def append(self, row: Row, *, size: int) -> asyncio.Future[None]:
        """Put one event row (id, source, received_at in microseconds, body, outcome, error) of `size` bytes on disk.

        The future is done when it is there; who cancels it has only ceased to wait. It is no coroutine, since every
        request would pay for its task.
        """
        self._refuse_if_closed()
        append = _Append(row, size, asyncio.get_running_loop().create_future())
        self._appends.append(append)
        self._wake.set()
        return append.done

    async def write(
        self, work: Callable[[Connection], T], *, committed: Callable[[T], None] = lambda _result: None
    ) -> T:
        """Run `work` in the writing thread, inside a transaction, and return its result once that is on disk.

        `committed` gets it first, in the same thread, before any later transaction begins; unlike `work` it is called once.
        """
        self._refuse_if_closed()
        ask = _Ask(work, asyncio.get_running_loop().create_future(), committed)
        self._asks.append(ask)
        self._wake.set()
        result: T = await ask.done
        return result

    async def run(self) -> None:
        """Write until `stop` was called and nothing waits any more."""
        while not (self._closing and not self.queued):
            await self._wake.wait()
            self._wake.clear()
            while self.queued:
                await self.run_once()
            if self._broken is not None:
                raise self._broken

    def give_up(self, error: StoreBroken) -> None:
        """Write nothing more, and let `run` raise `error`: somebody else has found the disk at fault."""
        self._broken = error
        self._tell(self._appends, self._asks, error)
        self._appends, self._asks = [], []
        self._wake.set()

    def stop(self) -> None:
        """Let `run` return as soon as everything asked for so far is on disk."""
        self._closing = True
        self._wake.set()

    async def close(self, last: Callable[[sqlite3.Connection], None]) -> None:
        """Do a last thing outside any transaction, and end the connection and its thread."""

        def end() -> None:
            if self._connection is not None:
                last(_driver(self._connection))
                self._connection.close()
            self._engine.dispose()
            self._log.close()

        await self._in_thread(end)
        self._thread.shutdown()

    async def run_once(self) -> None:
        """One transaction with whatever waits now."""
        most = _fitting(self._appends[:_MOST_APPENDS])
        appends, self._appends = self._appends[:most], self._appends[most:]
        asks, self._asks = self._asks[:_MOST_WORKS], self._asks[_MOST_WORKS:]
        failure = await self._try(appends, asks)
        if failure is None or len(asks) + bool(appends) == 1:
            self._tell(appends, asks, failure)
            return
        # Everybody again, each alone, so that only the guilty one is told of it.
        parts: list[tuple[list[_Append], list[_Ask]]] = [(appends, [])] if appends else []
        for rows, works in (*parts, *(([], [ask]) for ask in asks)):
            self._tell(rows, works, await self._try(rows, works))

    async def _try(self, appends: list[_Append], asks: list[_Ask]) -> Exception | None:
        """One transaction; the reason if it came to nothing."""
        try:
            await self._in_thread(lambda: self._commit([append.row for append in appends], asks))
        except StoreBroken as error:
            self._tell(appends, asks, error)
            self.give_up(error)
            raise
        except Exception as error:  # noqa: BLE001 - whatever happened belongs to those who wait
            if isinstance(error, StoreFull):
                self._full()
            return error
        return None

    def _commit(self, rows: list[Row], asks: list[_Ask]) -> None:
        assert self._connection is not None, "open comes first"
        try:
            if not asks and len(rows) <= _ROWS_AT_ONCE:
                _insert(_driver(self._connection), rows)  # alone, a statement is a transaction
            else:
                with self._connection.begin():
                    if rows:
                        _insert(_driver(self._connection), rows)
                    for ask in asks:
                        ask.result = ask.work(self._connection)
            for ask in asks:
                ask.committed(ask.result)
            self._log.keep_short(_driver(self._connection))
        except (sqlite3.Error, SQLAlchemyError) as error:
            known = translate(error, self._engine.url.database or "")
            if known is None:
                raise
            raise known from error

    def _tell(self, appends: list[_Append], asks: list[_Ask], failure: Exception | None) -> None:
        """Wake whoever waits; one that has gone away is passed over, and the work stands."""
        if appends and failure is None:
            self._appended()
        for append in appends:
            _end(append.done, None, failure)
        for ask in asks:
            _end(ask.done, ask.result, failure)

    async def _in_thread(self, step: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, step)

    def _refuse_if_closed(self) -> None:
        if self._broken is not None:
            raise self._broken
        if self._closing:
            raise StoreError("the database is being closed")


def _fitting(appends: list[_Append]) -> int:
    """How many of them one transaction takes: at least one, and then as long as there is room."""
    room = _MOST_BYTES
    for number, append in enumerate(appends):
        room -= append.size
        if room < 0:
            return max(1, number)
    return len(appends)


def _insert(driver: sqlite3.Connection, rows: list[Row]) -> None:
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        some = rows[start : start + _ROWS_AT_ONCE]
        driver.execute(_APPEND + ", ".join([_ROW] * len(some)), list(chain.from_iterable(some)))


def _driver(connection: Connection) -> sqlite3.Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


def _end(done: asyncio.Future[T], result: T, failure: Exception | None) -> None:
    if done.done():
        return
    if failure is None:
        done.set_result(result)
    else:
        done.set_exception(failure)
