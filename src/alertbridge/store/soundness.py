"""Whether a database can be trusted with alerts, asked before it is opened; and where it is put if not.

A file of up to 256 MiB is read whole; of a larger one the header, the schema and the beginning of every table, so that a
start takes seconds. Damage elsewhere shows when it is met: then the process ends, and the next start reads all of it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from alertbridge.errors import StoreCorrupt
from alertbridge.store import wal
from alertbridge.store.engine import translate

_READ_WHOLE = 256 * 1024 * 1024  # bytes: about a second from memory, a few from a slow disk
_PARTS = ("", "-wal", "-shm", "-journal")
_PATIENCE = 5.0  # seconds


def examine(path: Path, *, whole: int = _READ_WHOLE) -> None:
    """Raises StoreCorrupt if the database at `path` is damaged, with what it is and what to do; changes nothing.

    StoreError if it cannot be read. A database that is not there yet is sound. `whole` is the largest that is read whole.
    """
    log = path.with_name(path.name + "-wal")
    suspected = _suspicion(path).exists()
    if not _size(path):
        if _size(log) > wal.HEADER:
            raise damaged(path, "it is empty or gone, but its write-ahead log is there")
        return
    found = _problem(path, log, thorough=suspected, deep=suspected or _size(path) + _size(log) <= whole)
    if found:
        raise damaged(path, found)
    _suspicion(path).unlink(missing_ok=True)


def suspect(path: Path, reason: str) -> None:
    """Let the next `examine` read the whole database, because of `reason`; as far as this disk still takes anything."""
    try:
        _suspicion(path).write_text(reason + "\n", encoding="utf-8")
    except OSError:
        return


def set_aside(path: Path, *, now: datetime) -> Path:
    """Move the database out of the way, with its write-ahead log, as `<name>.corrupt-<instant>`; return that path.

    The database goes first: without it the log that is left is known to be damaged, without its log the database would
    seem to be sound, and lack what was said last.
    """
    aside = path.with_name(f"{path.name}.corrupt-{now.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}")
    for part in _PARTS:
        source = path.with_name(path.name + part)
        if source.exists():
            source.rename(aside.with_name(aside.name + part))
    _suspicion(path).unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return aside


def damaged(path: Path, problem: str) -> StoreCorrupt:
    """What is said of a database that is damaged: the file, what is wrong, and what can be done."""
    return StoreCorrupt(
        f"{path}: the database is damaged: {problem}; it was left as it is. Restore a backup, or salvage what can be read: "
        f"keep a copy of {path}*, then `sqlite3 {path} .recover | sqlite3 salvaged.db` (or .dump: "
        "docs/how-to/after-a-disk-failure.md). Or begin anew: move these files away, or set "
        f"`storage.on_corruption: start_fresh`, which moves them to {path.name}.corrupt-<instant>"
    )


def _problem(path: Path, log: Path, *, thorough: bool, deep: bool) -> str | None:
    """What is wrong with it; None if nothing is."""
    # A power cut while the file was made leaves a journal: then it is rolled back first, as at any opening.
    mode = "rw" if _size(path.with_name(path.name + "-journal")) else "ro"
    uri = f"file:{quote(str(path))}?mode={mode}"
    try:
        with (
            ExitStack() as read,  # closed after the connection: closing them gives up its locks on them
            closing(sqlite3.connect(uri, uri=True, timeout=_PATIENCE, isolation_level=None)) as connection,
        ):
            connection.execute("BEGIN")
            tables = [
                row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
            ]
            (page_size,) = connection.execute("PRAGMA page_size").fetchone()
            index = path.with_name(path.name + "-shm")
            if lost := wal.lost(log, index, page_size=page_size, read=read):
                return lost
            if not deep:
                for table in tables:
                    quoted = table.replace('"', '""')
                    connection.execute(f'SELECT * FROM "{quoted}" LIMIT 1').fetchall()  # noqa: S608 - quoted
                return None
            check = "integrity_check" if thorough else "quick_check"
            return next(_complaints(connection, check), None)
    except sqlite3.Error as error:
        known = translate(error, path)
        if isinstance(known, StoreCorrupt):
            return str(error)
        if known is None:
            raise
        raise known from error


def _complaints(connection: sqlite3.Connection, check: str) -> Iterator[str]:
    for (line,) in connection.execute(f"PRAGMA {check}(1)"):
        if line != "ok":
            yield " ".join(str(line).split())


def _suspicion(path: Path) -> Path:
    return path.with_name(path.name + ".suspect")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
