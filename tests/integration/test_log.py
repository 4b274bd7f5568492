"""The write-ahead log stays short, whoever reads meanwhile. Limits are a sixty-fourth of the real ones, to be quick."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import Connection
from typing_extensions import override

from alertbridge.errors import StoreBroken, StoreError
from alertbridge.model import Event
from alertbridge.store import inbox, log
from alertbridge.store import store as stores
from alertbridge.store.log import Log
from alertbridge.store.store import Store
from tests.support.clock import NOON

MANY, LONG, STEP = 64, 2**20, 2**17
BODY = b"x" * 64 * 1024
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


@pytest.fixture(autouse=True)
def _limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_MANY", MANY)
    monkeypatch.setattr(log, "_LONG", LONG)
    monkeypatch.setattr(log, "_STEP", STEP)
    monkeypatch.setattr(log, "_OVERLONG", 2 * LONG)


@pytest_asyncio.fixture
async def write(store: Store) -> AsyncIterator[Load]:
    yield Load(store)


class Load:
    """Bodies of 64 KiB, one after the other; how long the log has become, and how long one had to wait."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.written = self.longest = 0
        self.slowest = 0.0

    async def run(self, number: int) -> None:
        for _ in range(number):
            self.written += 1
            began = time.monotonic()
            await self.store.accept(Event(f"E{self.written:05d}", "prod", NOON, BODY))
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.longest = max(self.longest, self.store.sizes()["wal"])

    def report(self, record_property: Callable[[str, object], None]) -> None:
        record_property(
            "counts",
            f"written {self.written * len(BODY) / 2**20:.0f} MiB, log at most {self.longest / 2**20:.1f} MiB,"
            f" slowest write {self.slowest * 1000:.0f} ms",
        )


async def test_without_readers_the_log_is_used_again_and_again(
    write: Load, record_property: Callable[[str, object], None]
) -> None:
    await write.run(200)
    write.report(record_property)
    assert write.longest < 2 * MANY * 4096 + 2 * len(BODY)


async def test_readers_that_take_turns_without_a_pause_do_not_keep_the_log_from_beginning_anew(
    write: Load, record_property: Callable[[str, object], None]
) -> None:
    def look(connection: Connection) -> None:
        inbox.count_undecided(connection)
        until = time.monotonic() + 0.05
        while time.monotonic() < until:
            connection.exec_driver_sql("SELECT 1")

    async def keep_looking(pause: float) -> None:
        await asyncio.sleep(pause)
        while True:
            await write.store.read(look)

    readers = [asyncio.create_task(keep_looking(number * 0.02)) for number in range(3)]
    await write.run(200)
    for reader in readers:
        reader.cancel()
    await asyncio.wait(readers)
    write.report(record_property)
    assert write.longest < 4 * LONG


async def test_a_reader_that_does_not_come_to_an_end_is_given_up_and_the_log_begins_anew(
    write: Load, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    monkeypatch.setattr(stores, "_LONGEST_LOOK", 1.0)

    def look(connection: Connection) -> None:
        inbox.count_undecided(connection)
        connection.exec_driver_sql(ENDLESS)

    reading = asyncio.create_task(write.store.read(look))
    await asyncio.sleep(0.1)
    while not reading.done():
        await write.run(10)
    with pytest.raises(StoreError, match="took longer than 1 s"):
        await reading
    await write.run(50)
    write.report(record_property)
    assert write.longest > LONG  # it was held up
    assert write.store._writer.log_frames < 2 * MANY
    assert await write.store.read(inbox.count_undecided) == write.written


async def test_long_readers_one_after_the_other_wait_for_each_other_where_the_log_is_far_too_long(
    write: Load, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    monkeypatch.setattr(stores, "_LONGEST_LOOK", 1.0)

    def look(connection: Connection) -> None:
        inbox.count_undecided(connection)
        connection.exec_driver_sql(ENDLESS)

    async def keep_looking(pause: float) -> None:
        await asyncio.sleep(pause)
        while True:
            with suppress(StoreError):
                await write.store.read(look)

    readers = [asyncio.create_task(keep_looking(number * 0.5)) for number in range(2)]
    await asyncio.sleep(0.1)
    lengths: list[int] = []
    async with asyncio.timeout(60):
        while not any(length < before for before, length in pairwise(lengths)):
            await write.run(1)
            lengths.append(write.store._writer.log_frames)
    for reader in readers:
        reader.cancel()
    await asyncio.wait(readers)
    write.report(record_property)
    assert write.longest > 2 * LONG  # else nobody would have waited


async def test_a_reader_that_stays_for_ever_costs_each_write_little(
    write: Load, record_property: Callable[[str, object], None]
) -> None:
    other = sqlite3.connect(write.store.path, isolation_level=None)
    other.execute("BEGIN")
    other.execute("SELECT count(*) FROM events").fetchall()
    await write.run(100)
    other.close()
    write.report(record_property)
    assert write.slowest < 1
    await write.run(20)
    assert write.store._writer.log_frames < 2 * MANY


def _failing(code: int) -> sqlite3.Connection:
    error = sqlite3.OperationalError("as the driver says it")
    error.sqlite_errorcode = code

    class Failing(sqlite3.Connection):
        @override
        def execute(self, *_: object) -> sqlite3.Cursor:
            raise error

    return Failing(":memory:")


def test_a_log_that_cannot_be_moved_for_want_of_room_stays_and_one_that_fails_ends_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Log, "frames", lambda _: MANY)
    Log(tmp_path / "a.db").keep_short(_failing(sqlite3.SQLITE_FULL))
    with pytest.raises(StoreBroken):
        Log(tmp_path / "a.db").keep_short(_failing(sqlite3.SQLITE_IOERR_FSYNC))


async def test_whoever_else_opens_the_database_finds_the_index_of_the_log_in_use(store: Store) -> None:
    await store.accept(Event("E1", "prod", NOON, b"{}"))
    probe = (
        "import fcntl, sys; index = open(sys.argv[1], 'r+b'); "
        "fcntl.lockf(index, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 128)"  # SQLite's dead man's switch on it
    )
    index = store.path.with_name(store.path.name + "-shm")
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", probe, str(index)], capture_output=True, check=False
    )
    assert b"BlockingIOError" in done.stderr


async def test_the_length_of_the_log_is_that_which_sqlite_tells(store: Store) -> None:
    for number in range(5):
        await store.accept(Event(f"E{number}", "prod", NOON, b"{}"))

    driver = sqlite3.connect(store.path)
    told = driver.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1]
    driver.close()
    assert store._writer.log_frames == told > 5
