"""The database as the rest of the daemon sees it: opened whole, written by one hand, read by many."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import IO, Any, TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from alertbridge.errors import StoreError
from alertbridge.model import Event, EventOutcome
from alertbridge.store import engine, inbox
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
        writing: AsyncEngine,
        reading: AsyncEngine,
        connection: AsyncConnection,
        revisions: tuple[str | None, str],
    ) -> None:
        self.path = path
        self.revisions = revisions
        self._held = held
        self._writing = writing
        self._reading = reading
        self._connection = connection
        self._writer = Writer(connection=connection)

    @classmethod
    async def open(cls, path: Path) -> Store:
        """Lock, open and migrate the database at `path`, making it if it is not there.

        Raises StoreLocked if another daemon holds it, StoreError if it cannot be used.
        """
        held = engine.lock(path)
        writing = engine.writing_engine(path)
        try:
            connection = await writing.connect()
            revisions = await migrate(connection)
        except Exception as error:
            await writing.dispose()
            held.close()
            known = engine.translate(error) if isinstance(error, DBAPIError) else None
            if known is None:
                raise
            raise StoreError(f"{path}: {known}") from error
        return cls(
            path=path,
            held=held,
            writing=writing,
            reading=engine.reading_engine(path),
            connection=connection,
            revisions=revisions,
        )

    @property
    def queued(self) -> int:
        """How many requests and works wait to be written."""
        return self._writer.queued

    async def accept(self, event: Event) -> None:
        """Return once `event` is on disk. Raises StoreFull when there is no room."""
        await self._writer.append(inbox.row(event, EventOutcome.RECEIVED))

    async def keep_malformed(self, event: Event, problem: str) -> None:
        """Keep a refused body for inspection."""
        await self._writer.append(inbox.row(event, EventOutcome.MALFORMED, problem))

    async def write(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Run `work` in a transaction; return its result once that is on disk."""
        return await self._writer.write(work)

    async def read(self, query: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Run `query` on a connection that can only read, on one consistent view."""
        async with self._reading.connect() as connection:
            return await query(connection)

    async def run(self) -> None:
        """Write what is asked for until `close`. Raises StoreBroken when the disk cannot be trusted."""
        await self._writer.run()

    def stop(self) -> None:
        """Refuse further writes and let `run` end once all that was asked for is on disk."""
        self._writer.close()

    async def close(self) -> None:
        """Move the write-ahead log into the database, close every connection and let go of the lock."""
        await self._reading.dispose()
        raw = await self._connection.get_raw_connection()
        driver: Any = raw.driver_connection
        await driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        await self._connection.close()
        await self._writing.dispose()
        self._held.close()
