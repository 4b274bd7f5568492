"""The database as the rest of the daemon sees it: opened whole, written by one hand, read by many."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as SQLAlchemyTimeout
from sqlalchemy.ext.asyncio import AsyncEngine

from alertbridge.errors import StoreBroken, StoreCorrupt, StoreError
from alertbridge.model import Event, EventOutcome
from alertbridge.store import engine, inbox, soundness
from alertbridge.store.migrate import migrate
from alertbridge.store.writer import Writer

T = TypeVar("T")


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
        damaged: Callable[[StoreCorrupt], None] | None = None,
    ) -> Store:
        """Lock, examine, open and migrate the database at `path`, making it if it is not there.

        `accepted` is called whenever events have come onto the disk, many of them together. `damaged` is asked to clear the
        place of a database that is; without it StoreCorrupt is raised, and the database is as it was.
        Raises StoreLocked if another daemon holds it, StoreError if it cannot be used.
        """
        held = engine.lock(path)
        try:
            try:
                await asyncio.to_thread(soundness.examine, path)
                writer, revisions = await _writing(path, accepted)
            except StoreCorrupt as error:
                if damaged is None:
                    raise
                await asyncio.to_thread(damaged, error)
                writer, revisions = await _writing(path, accepted)
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

    def accept(self, event: Event) -> asyncio.Future[None]:
        """Done once `event` is on disk; StoreFull when there is no room. Cancelling it does not take the event back."""
        return self._writer.append(inbox.row(event, EventOutcome.RECEIVED))

    async def keep_malformed(self, event: Event, problem: str) -> None:
        """Keep a refused body for inspection."""
        await self._writer.append(inbox.row(event, EventOutcome.MALFORMED, problem))

    async def write(
        self, work: Callable[[Connection], T], *, committed: Callable[[T], None] = lambda _result: None
    ) -> T:
        """Run `work` in a transaction, in the writing thread; return its result once that is on disk.

        `work` may be run again if what shared its transaction failed. `committed` is called once, with the result,
        in the same thread and before any later transaction.
        """
        return await self._writer.write(work, committed=committed)

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run `query` on a connection that can only read, on one consistent view. Raises StoreError where the disk fails."""
        try:
            async with self._reading.connect() as connection:
                return await connection.run_sync(query)
        except SQLAlchemyTimeout as error:
            raise StoreError("every connection for reading is busy") from error
        except DBAPIError as error:
            known = engine.translate(error, self.path)
            if known is None:
                raise
            if isinstance(known, StoreBroken):
                self._note(known)
                self._writer.give_up(known)
            raise known from error

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


async def _writing(path: Path, accepted: Callable[[], None]) -> tuple[Writer, tuple[str | None, str]]:
    """The writer of a database that has the newest schema, with its revisions before and after."""
    writer = Writer(engine=engine.writing_engine(path), appended=accepted)
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


def _checkpoint(driver: sqlite3.Connection) -> None:
    driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
