from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from alertbridge.errors import StoreBroken, StoreError, StoreFull, StoreLocked
from alertbridge.model import Event, EventOutcome
from alertbridge.store import inbox, migrate
from alertbridge.store.columns import to_microseconds
from alertbridge.store.engine import lock, translate
from alertbridge.store.schema import metadata
from alertbridge.store.store import Store
from tests.support.clock import NOON


def event(number: int) -> Event:
    return Event(f"E{number:05d}", "prod", NOON, b'{"alerts": []}')


async def stored(store: Store) -> list[str]:
    def query(connection: Connection) -> list[str]:
        return [e.id for e in inbox.undecided(connection, most=10_000, most_bytes=10**9)]

    return await store.read(query)


async def test_an_accepted_event_is_on_disk_when_accept_returns(store: Store) -> None:
    await store.accept(event(1))
    with sqlite3.connect(store.path) as other:
        assert other.execute("SELECT id, source, outcome FROM events").fetchall() == [
            ("E00001", "prod", "received")
        ]
    other.close()


async def test_many_accepted_at_once_share_few_transactions(store: Store) -> None:
    commits = 0

    def count(connection: Connection) -> None:
        nonlocal commits
        commits += 1
        connection.execute(text("SELECT 1"))

    before = store._writer.run_once
    turns = 0

    async def counted() -> None:
        nonlocal turns
        turns += 1
        await before()

    store._writer.run_once = counted  # type: ignore[method-assign]
    await asyncio.gather(*(store.accept(event(n)) for n in range(500)), store.write(count))
    assert turns <= 3
    assert len(await stored(store)) == 500


async def test_who_waits_no_longer_does_not_take_the_event_back(store: Store) -> None:
    store.accept(event(1)).cancel()
    await store.accept(event(2))
    assert await stored(store) == ["E00001", "E00002"]


@pytest.mark.parametrize("number", [1, 64, 65, 300])
async def test_whoever_decides_hears_once_of_all_that_was_stored_together(
    tmp_path: Path, number: int
) -> None:
    heard: list[int] = []
    with sqlite3.connect(tmp_path / "a.db") as other:
        opened = await Store.open(
            tmp_path / "a.db",
            accepted=lambda: heard.extend(other.execute("SELECT count(*) FROM events").fetchone()),
        )
        writing = asyncio.create_task(opened.run())
        await asyncio.gather(*(opened.accept(event(n)) for n in range(number)))
        opened.stop()
        await writing
        await opened.close()
    other.close()
    assert heard == [number]


async def test_a_failing_work_takes_nobody_with_it(store: Store) -> None:
    def fails(connection: Connection) -> None:
        connection.execute(text("DELETE FROM events"))
        raise LookupError("on purpose")

    def counts(connection: Connection) -> int:
        return inbox.count_undecided(connection)

    results = await asyncio.gather(
        store.accept(event(1)),
        store.write(fails),
        store.accept(event(2)),
        store.write(counts),
        return_exceptions=True,
    )
    assert isinstance(results[1], LookupError)
    assert [results[0], results[2], results[3]] == [None, None, 2]
    assert await stored(store) == ["E00001", "E00002"]


async def test_what_follows_a_commit_happens_once_though_its_work_is_done_again(store: Store) -> None:
    order: list[str] = []

    def work(name: str) -> Callable[[Connection], str]:
        def run(connection: Connection) -> str:
            connection.exec_driver_sql("SELECT 1")
            order.append(f"{name} works")
            return name

        return run

    def broken(_: Connection) -> str:
        raise ZeroDivisionError

    def committed(name: str) -> None:
        order.append(f"{name} is on disk")

    results = await asyncio.gather(
        store.write(work("first"), committed=committed),
        store.write(work("second"), committed=committed),
        store.write(broken, committed=committed),
        return_exceptions=True,
    )

    assert [str(one) for one in results[:2]] == ["first", "second"]
    assert isinstance(results[2], ZeroDivisionError)
    assert order == [
        "first works",
        "second works",
        *("first works", "first is on disk"),
        *("second works", "second is on disk"),
    ]


async def test_a_duplicate_id_is_refused_alone(store: Store) -> None:
    await store.accept(event(1))
    results = await asyncio.gather(
        store.write(inbox.count_undecided), store.accept(event(1)), return_exceptions=True
    )
    assert results[0] == 1
    assert isinstance(results[1], Exception)


async def test_a_full_disk_is_said_and_passes(store: Store) -> None:
    def limit(connection: Connection, pages: int) -> None:
        connection.execute(text(f"PRAGMA max_page_count={pages}"))

    await store.write(lambda connection: limit(connection, 1))
    big = Event("E99999", "prod", NOON, b"x" * 1_000_000)
    with pytest.raises(StoreFull):
        await store.accept(big)
    await store.write(lambda connection: limit(connection, 1_000_000))
    await store.accept(big)
    assert await stored(store) == ["E99999"]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_FULL, StoreFull),
        (sqlite3.SQLITE_IOERR_SHMSIZE, StoreFull),
        (sqlite3.SQLITE_IOERR_WRITE, StoreBroken),
        (sqlite3.SQLITE_IOERR_FSYNC, StoreBroken),
    ],
)
def test_no_room_passes_and_a_failing_disk_does_not(code: int, kind: type[StoreError]) -> None:
    error = sqlite3.OperationalError("as the driver says it")
    error.sqlite_errorcode = code
    assert type(translate(error)) is kind


def test_a_lock_is_held_although_the_pid_finds_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", no_room)
        held = lock(tmp_path / "a.db")
    with pytest.raises(StoreLocked):
        lock(tmp_path / "a.db")
    held.close()


async def test_a_database_that_somebody_else_locks_passes_and_is_no_fault_of_the_work(store: Store) -> None:
    def hurry(connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA busy_timeout=50")

    await store.write(hurry)
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="just now"):
        await store.write(inbox.count_undecided)
    other.execute("ROLLBACK")
    other.close()
    assert await store.write(inbox.count_undecided) == 0


def test_a_folder_is_not_taken_for_a_database_whose_disk_failed(tmp_path: Path) -> None:
    folder = tmp_path / "alertbridge"
    folder.mkdir()
    with pytest.raises(StoreError, match="is a directory; write the path of a file") as refused:
        lock(folder)
    assert not isinstance(refused.value, StoreBroken)
    assert [*tmp_path.iterdir()] == [folder]


async def test_a_second_daemon_is_refused_and_told_by_whom(store: Store) -> None:
    with pytest.raises(StoreLocked, match=r"pid \d+"):
        await Store.open(store.path)


async def test_the_lock_is_free_again_after_close(tmp_path: Path) -> None:
    for _ in range(2):
        opened = await Store.open(tmp_path / "a.db")
        await opened.close()


async def test_everything_is_still_there_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    first = await Store.open(path)
    writing = asyncio.create_task(first.run())
    await first.accept(event(1))
    first.stop()
    await writing
    await first.close()
    second = await Store.open(path)
    assert second.revisions == ("0001", "0001")
    assert await stored(second) == ["E00001"]
    await second.close()


async def test_durability_is_switched_on(store: Store) -> None:
    def pragmas(connection: Connection) -> list[object]:
        return [
            (connection.execute(text(f"PRAGMA {name}"))).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]

    assert await store.write(pragmas) == ["wal", 2, 1]


async def test_readers_cannot_write(store: Store) -> None:
    def writes(connection: Connection) -> None:
        connection.execute(text("DELETE FROM events"))

    with pytest.raises(Exception, match="readonly"):
        await store.read(writes)


async def test_migrations_lead_to_the_schema_of_this_version(store: Store) -> None:
    def differences(connection: Connection) -> list[object]:
        found: list[object] = compare_metadata(MigrationContext.configure(connection), metadata)
        return found

    assert await store.read(differences) == []


def test_the_head_named_in_the_code_is_that_of_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).with_name("migrations")))
    assert ScriptDirectory.from_config(config).get_current_head() == migrate.HEAD


async def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    opened = await Store.open(path)
    await opened.close()
    with sqlite3.connect(path) as other:
        other.execute("UPDATE alembic_version SET version_num = '9999'")
    other.close()
    with pytest.raises(StoreError, match="newer alertbridge"):
        await Store.open(path)


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(StoreError, match="not a database"):
        await Store.open(path)


async def test_a_folder_that_cannot_be_made_is_refused_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"storage\.url"):
        await Store.open(tmp_path / "file" / "a.db")


async def test_a_batch_is_bounded_in_bytes_but_never_empty(store: Store) -> None:
    for number in range(4):
        await store.accept(Event(f"E{number}", "prod", NOON, b"x" * 1000))

    def batch(connection: Connection, most_bytes: int) -> list[str]:
        return [e.id for e in inbox.undecided(connection, most=100, most_bytes=most_bytes)]

    assert await store.read(lambda connection: batch(connection, 2500)) == ["E0", "E1"]
    assert await store.read(lambda connection: batch(connection, 10)) == ["E0"]


async def test_what_is_at_hand_is_not_read_again_and_keeps_its_turn(store: Store) -> None:
    for number in range(3):
        await store.accept(event(number))
    at_hand = Event("E00001", "prod", NOON, b"at hand")

    def batch(connection: Connection) -> list[Event]:
        return inbox.undecided(connection, most=10, most_bytes=1000, at_hand={"E00001": at_hand})

    assert await store.read(batch) == [event(0), at_hand, event(2)]


async def test_what_became_of_each_event_is_noted(store: Store) -> None:
    for number in range(4):
        await store.accept(event(number))
    decided = [
        inbox.Decided("E00000", EventOutcome.DECIDED, "hash", 3, ({"note": 'ü "'}, {"rules": ["a"]})),
        inbox.Decided("E00001", EventOutcome.FAILED, "other", error="why"),
        inbox.Decided("E00003", EventOutcome.DECIDED, "hash"),
    ]

    def mark(connection: Connection) -> None:
        inbox.mark(connection, decided, now=NOON)

    def noted(connection: Connection) -> list[tuple[object, ...]]:
        columns = "id, outcome, rules_hash, truncated, alerts, error, decided_at"
        rows = connection.exec_driver_sql(f"SELECT {columns} FROM events ORDER BY seq")
        return [tuple(row) for row in rows]

    await store.write(mark)
    at = to_microseconds(NOON)
    assert await store.read(noted) == [
        ("E00000", "decided", "hash", 3, '[{"note":"ü \\""},{"rules":["a"]}]', None, at),
        ("E00001", "failed", "other", 0, "[]", "why", at),
        ("E00002", "received", None, 0, None, None, None),
        ("E00003", "decided", "hash", 0, "[]", None, at),
    ]
    assert await stored(store) == ["E00002"]


async def test_a_reader_sees_one_view_however_long_it_looks(store: Store) -> None:
    seen: list[int] = []
    loop = asyncio.get_running_loop()

    def looks(connection: Connection) -> None:
        seen.append(inbox.count_undecided(connection))
        asyncio.run_coroutine_threadsafe(_accepted(store), loop)
        while not written.is_set():
            connection.exec_driver_sql("SELECT 1")
        seen.append(inbox.count_undecided(connection))

    written = asyncio.Event()

    async def _accepted(store: Store) -> None:
        await store.accept(event(1))
        written.set()

    await store.read(looks)
    assert seen == [0, 0]
    assert await store.read(inbox.count_undecided) == 1


@pytest.mark.parametrize("name", ["a#b.db", "a?b.db", "a%20b.db", "a b.db", "ä.db"])
async def test_readers_and_writer_mean_the_same_file_whatever_its_name(tmp_path: Path, name: str) -> None:
    opened = await Store.open(tmp_path / name)
    writing = asyncio.create_task(opened.run())
    await opened.accept(event(1))
    assert await opened.read(inbox.count_undecided) == 1
    opened.stop()
    await writing
    await opened.close()
    assert (tmp_path / name).exists()
