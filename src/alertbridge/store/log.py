"""Keeping the write-ahead log short: what it holds is moved into the database, by the one hand that writes."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from alertbridge.errors import StoreBroken
from alertbridge.store.engine import BUSY_TIMEOUT, log_frames, log_of, size_of, translate

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

    def keep_short(self, driver: sqlite3.Connection) -> None:
        """After a commit: move what has gathered. Raises StoreBroken when the disk cannot be trusted.

        Where there is no room for it, or somebody reads, it stays as long as it is until the next time.
        """
        if log_frames(self._path) < _MANY:
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
