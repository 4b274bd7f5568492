"""Keeping the write-ahead log short: what it holds is moved into the database, by the one hand that writes."""

from __future__ import annotations

import os
import sqlite3
import sys
from pathlib import Path

from alertbridge.errors import StoreBroken
from alertbridge.store.engine import BUSY_TIMEOUT, log_of, size_of, translate

_MANY = 4000  # pages, 16 MiB: then they are moved, as far as no reader needs them where they are
_LONG = 64 * 1024 * 1024  # bytes: then readers are waited for, so that it can begin anew
_STEP = 8 * 1024 * 1024  # bytes it may grow before they are waited for again
_OVERLONG = 2 * _LONG  # bytes: then nobody begins to read before it has begun anew
_PATIENCE = 100  # milliseconds


class Log:
    """The log of the database at `path`.

    SQLite moves it by itself too, but says nothing when that fails, and never gets to its end where readers take
    turns without a pause. `overlong` says that those who want to read should wait for those who do.
    """

    def __init__(self, path: Path) -> None:
        self.overlong = False
        self._path = path
        self._tried_at = 0
        self._index: int | None = None  # a descriptor

    def frames(self) -> int:
        """How many pages it holds since it was last begun anew: its file stays as long as it ever was.

        SQLite says so in bytes 16 to 19 of its index, in the order of this machine (walformat.html, 2.1). The index stays
        open until the database is closed: closing it would give up the locks that this process holds on it, and the next
        one to open the database would take it for nobody's and begin the index anew, under our feet.
        """
        if self._index is None:
            try:
                self._index = os.open(
                    self._path.with_name(self._path.name + "-shm"), os.O_RDONLY | os.O_CLOEXEC
                )
            except FileNotFoundError:
                return 0
        return int.from_bytes(os.pread(self._index, 4, 16), sys.byteorder)

    def close(self) -> None:
        """Let go of the index, when no connection is open any more."""
        if self._index is not None:
            os.close(self._index)
            self._index = None

    def keep_short(self, driver: sqlite3.Connection) -> None:
        """After a commit: move what has gathered. Raises StoreBroken when the disk cannot be trusted.

        Where there is no room for it, or somebody reads, it stays as long as it is until the next time.
        """
        if self.frames() < _MANY:
            self.overlong = False
            return
        try:
            if self._has_grown():
                self._begin_anew(driver)
            else:
                driver.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            known = translate(error)
            if isinstance(known, StoreBroken):
                raise known from error

    def _has_grown(self) -> bool:
        size = size_of(log_of(self._path))
        if size < _LONG:
            self._tried_at = 0
            return False
        return self.overlong or size >= self._tried_at + _STEP

    def _begin_anew(self, driver: sqlite3.Connection) -> None:
        self._tried_at = size_of(log_of(self._path))
        driver.execute(f"PRAGMA busy_timeout={_PATIENCE}")
        try:
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            driver.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT}")
            self.overlong = size_of(log_of(self._path)) >= _OVERLONG
