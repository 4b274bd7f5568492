"""The database as the rest of the daemon sees it: opened whole, written by one hand, read by many."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO, TypeVar

import aiosqlite
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as SQLAlchemyTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from alertbridge.errors import StoreBroken, StoreCorrupt, StoreError
from alertbridge.model import Event, EventOutcome
from alertbridge.store import engine, inbox, soundness
from alertbridge.store.migrate import migrate
from alertbridge.store.writer import Writer

T = TypeVar("T")
_LONGEST_LOOK = 10.0  # seconds


class Store:
    """One SQLite database, held by this process alone. Made by `Store.open`, ended by `close`."""

    def __init__(
        self,
        *,
        path: Path,
        held: IO[str],
        writer: Writer,
        reading: AsyncEngine,
        revisions: tuple[str | None, str],
    ) -> None:
        self.path = path
        self.revisions = revisions
        self._held = held
        self._writer = writer
        self._reading = reading

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        accepted: Callable[[], None] = lambda: None,
        full: Callable[[], None] = lambda: None,
        damaged: Callable[[StoreCorrupt], None] | None = None,
    ) -> Store:
        """Lock, examine, open and migrate the database at `path`, making it if it is not there.

        `accepted` is called whenever events have come onto the disk, many of them together; `full` whenever something
        could not be written for want of room. `damaged` is asked to clear the place of a database that is; without it
        StoreCorrupt is raised, and the database is as it was.
        Raises StoreLocked if another daemon holds it, StoreError if it cannot be used.
        """
        held = engine.lock(path)
        try:
            try:
                await asyncio.to_thread(soundness.examine, path)
                writer, revisions = await _writing(path, accepted, full)
            except StoreCorrupt as error:
                if damaged is None:
                    raise
                await asyncio.to_thread(damaged, error)
                writer, revisions = await _writing(path, accepted, full)
        except BaseException:
            held.close()
            raise
        return cls(
            path=path, held=held, writer=writer, reading=engine.reading_engine(path), revisions=revisions
        )

    @property
    def queued(self) -> int:
        """How many requests and works wait to be written."""
        return self._writer.queued

    def sizes(self) -> dict[str, int]:
        """The bytes that the database and its write-ahead log take on disk."""
        files = {"database": self.path, "wal": engine.log_of(self.path)}
        return {name: engine.size_of(path) for name, path in files.items()}

    def free_bytes(self) -> int:
        """The bytes that are free on the filesystem of the database."""
        return engine.free_bytes(self.path)

    def accept(self, event: Event) -> asyncio.Future[None]:
        """Done once `event` is on disk; StoreFull when there is no room. Cancelling it does not take the event back."""
        return self._writer.append(inbox.row(event, EventOutcome.RECEIVED), size=len(event.body))

    async def keep_malformed(self, event: Event, problem: str) -> None:
        """Keep a refused body for inspection."""
        row = inbox.row(event, EventOutcome.MALFORMED, problem)
        await self._writer.append(row, size=len(event.body))

    async def write(
        self, work: Callable[[Connection], T], *, committed: Callable[[T], None] = lambda _result: None
    ) -> T:
        """Run `work` in a transaction, in the writing thread; return its result once that is on disk.

        `work` may be run again if what shared its transaction failed. `committed` is called once, with the result,
        in the same thread and before any later transaction.
        """
        return await self._writer.write(work, committed=committed)

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run `query` on a connection that can only read, on one consistent view.

        Raises StoreError where the disk fails, and after ten seconds: as long as somebody looks at an old view, the log
        of all that is written since cannot begin anew. Where it is far too long already, who comes waits for who is there.
        """
        if self._writer.log_is_overlong:
            await self._let_the_log_begin_anew()
        try:
            async with self._reading.connect() as connection, _bounded(connection):
                return await connection.run_sync(query)
        except SQLAlchemyTimeout as error:
            raise StoreError("every connection for reading is busy") from error
        except DBAPIError as error:
            if engine.was_interrupted(error):
                raise StoreError(
                    f"reading took longer than {_LONGEST_LOOK:.0f} s and was given up; ask for less at once"
                ) from error
            known = engine.translate(error, self.path)
            if known is None:
                raise
            if isinstance(known, StoreBroken):
                self._note(known)
                self._writer.give_up(known)
            raise known from error

    async def _let_the_log_begin_anew(self) -> None:
        """Return when it has, or when whoever reads takes longer than anybody may: then it is another program."""
        with suppress(TimeoutError, StoreError):
            async with asyncio.timeout(_LONGEST_LOOK):
                while self._writer.log_is_overlong:
                    await self._writer.write(lambda _connection: None)

    async def run(self) -> None:
        """Write what is asked for until `stop`. Raises StoreBroken when the disk cannot be trusted, whoever found it out."""
        try:
            await self._writer.run()
        except StoreBroken as error:
            self._note(error)
            raise

    def stop(self) -> None:
        """Refuse further writes and let `run` end once all that was asked for is on disk."""
        self._writer.stop()

    async def close(self) -> None:
        """Move the write-ahead log into the database, close every connection and let go of the lock."""
        await self._reading.dispose()
        await self._writer.close(_checkpoint)
        self._held.close()

    def _note(self, error: StoreBroken) -> None:
        """What is damaged is examined whole at the next start, however large it is."""
        if isinstance(error, StoreCorrupt):
            soundness.suspect(self.path, str(error))


async def _writing(
    path: Path, accepted: Callable[[], None], full: Callable[[], None]
) -> tuple[Writer, tuple[str | None, str]]:
    """The writer of a database that has the newest schema, with its revisions before and after."""
    writer = Writer(path=path, engine=engine.writing_engine(path), appended=accepted, full=full)
    try:
        return writer, await writer.open(migrate)
    except Exception as error:
        await writer.close(lambda _: None)
        if isinstance(error, StoreError):  # of the schema, which does not know the path
            raise type(error)(f"{path}: {error}") from error
        known = engine.translate(error, path) if isinstance(error, DBAPIError) else None
        if known is None:
            raise
        if isinstance(known, StoreCorrupt):
            known = soundness.damaged(path, str(error.__cause__ or error))
        raise known from error


@asynccontextmanager
async def _bounded(connection: AsyncConnection) -> AsyncIterator[None]:
    """Interrupts what `connection` does when it takes too long."""
    driver = (await connection.get_raw_connection()).driver_connection
    assert isinstance(driver, aiosqlite.Connection)
    loop = asyncio.get_running_loop()
    interrupting: list[asyncio.Task[None]] = []
    timer = loop.call_later(_LONGEST_LOOK, lambda: interrupting.append(loop.create_task(driver.interrupt())))
    try:
        yield
    finally:
        timer.cancel()


def _checkpoint(driver: sqlite3.Connection) -> None:
    driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
