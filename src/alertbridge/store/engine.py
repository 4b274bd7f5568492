"""Opening the database: one connection that writes, read-only ones that read, one daemon at a time."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import orjson
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry, StaticPool

from alertbridge.errors import StoreBroken, StoreCorrupt, StoreError, StoreFull, StoreLocked

BUSY_TIMEOUT = 5000  # milliseconds
_READERS = 4
_PREPARED = 512  # statements
_OPTIONS: dict[str, Any] = {
    "json_serializer": lambda value: orjson.dumps(value).decode(),
    "json_deserializer": orjson.loads,
    "hide_parameters": True,
}
_PASSING = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_PROTOCOL,
}
_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
# The index of the write-ahead log could not grow. It is made anew at every start, so nothing of value was lost with it.
_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE}


def database_path(url: str, state_directory: str | None = None) -> Path:
    """The file that a `sqlite:///…` URL names; a relative one lies in `state_directory`, else where we are."""
    path = Path(make_url(url).database or "")
    return Path(state_directory, path) if state_directory and not path.is_absolute() else path


def free_bytes(path: Path) -> int:
    """What an unprivileged user may still write to the filesystem that the database at `path` lies on."""
    told = os.statvfs(path.parent)
    return told.f_bavail * told.f_frsize


def size_of(path: Path) -> int:
    """The size of a file in bytes; 0 if there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def log_of(path: Path) -> Path:
    """The write-ahead log of the database at `path`."""
    return path.with_name(path.name + "-wal")


def writing_engine(path: Path) -> Engine:
    """An engine of exactly one connection, on which every transaction takes the write lock when it begins."""
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=StaticPool,
        connect_args={"cached_statements": _PREPARED},
        **_OPTIONS,
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        # SQLAlchemy says BEGIN itself, below: sqlite3 must not begin or commit behind its back.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            "auto_vacuum=INCREMENTAL",  # heeded by a new database only, and before anything else
            "journal_mode=WAL",
            "synchronous=FULL",
            f"busy_timeout={BUSY_TIMEOUT}",
            "foreign_keys=ON",
            "journal_size_limit=67108864",  # what the log's file is cut to when it begins anew
            "wal_autocheckpoint=0",  # the writer sees to it, and hears when it fails
            "cache_size=-32768",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def reading_engine(path: Path) -> AsyncEngine:
    """An engine whose connections can only read, each use of one on a single view of the database."""
    url = URL.create(
        "sqlite+aiosqlite", database=f"file:{quote(str(path))}", query={"mode": "ro", "uri": "true"}
    )
    engine = create_async_engine(
        url, poolclass=AsyncAdaptedQueuePool, pool_size=_READERS, max_overflow=0, **_OPTIONS
    )

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA query_only=ON")
        cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def lock(path: Path) -> IO[str]:
    """Hold the database at `path` for this process until the returned file is closed.

    The lock stands on a file of its own beside the database, because SQLite's own locks are released
    between transactions. Raises StoreLocked if another process holds it, StoreError if there can be no such file.
    """
    if path.is_dir():
        raise StoreError(f"{path}: the database is a directory; write the path of a file in storage.url")
    lock_path = path.with_name(path.name + ".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = lock_path.open("a+", encoding="ascii")
    except OSError as error:
        raise StoreError(
            f"{lock_path}: {error.strerror}; give the user that runs alertbridge write access to {path.parent}, "
            "or set storage.url"
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise StoreLocked(
            f"{path}: another alertbridge (pid {holder}) works on this database; stop it, or set another storage.url"
        ) from error
    with suppress(OSError):  # on a full disk a second daemon is told no pid
        os.ftruncate(file.fileno(), 0)
        os.write(file.fileno(), str(os.getpid()).encode())
    return file


def was_interrupted(error: DBAPIError) -> bool:
    """Whether a statement was ended because it took too long."""
    return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_INTERRUPT


def translate(error: Exception, path: Path | str = "") -> StoreError | None:
    """The StoreError that a driver's error about the database at `path` amounts to, or None if it says nothing of the disk."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(cause, sqlite3.Error):
        return None
    place = f"{path}: " if path else ""
    extended = getattr(cause, "sqlite_errorcode", 0)
    code = extended & 0xFF
    if _FULL & {code, extended}:
        return StoreFull(f"{place}the disk that holds the database is full")
    if code in _CORRUPT:
        return StoreCorrupt(f"{place}the database is damaged: {cause}")
    if code == sqlite3.SQLITE_IOERR:
        name = getattr(cause, "sqlite_errorname", "")
        return StoreBroken(f"{place}the disk failed, and what it holds is unknown: {cause} ({name})")
    if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}:
        return StoreError(f"{place}the database cannot be opened for writing: {cause}")
    if code in _PASSING:
        return StoreError(f"{place}the database could not be used just now: {cause}")
    return None
