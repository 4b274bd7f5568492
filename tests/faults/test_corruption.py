"""A damaged database is refused with what is wrong and what to do, or set aside; never used, never deleted."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest
from sqlalchemy import text

from alertbridge.clock import SystemClock
from alertbridge.errors import StoreCorrupt
from alertbridge.model import Event
from alertbridge.simulate.server import Simulation
from alertbridge.store import soundness
from alertbridge.store.store import Store
from tests.support.clock import NOON
from tests.support.daemon import CONFIGURATION, Daemon

PAGE = 4096
FRAME = PAGE + 24
START_FRESH = CONFIGURATION.replace("storage: {{", "storage: {{on_corruption: start_fresh, ")
Damage = Callable[[Path], None]


def firing(name: str, *, size: int = 0) -> bytes:
    alert = {
        "status": "firing",
        "labels": {"alertname": "Down", "name": name, "severity": "critical", "service": "checkout"},
        "annotations": {"padding": "x" * size},
        "startsAt": "2026-11-22T03:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": name,
    }
    return json.dumps({"version": "4", "status": "firing", "alerts": [alert]}).encode()


def overwrite(path: Path, offset: int, *, size: int = PAGE) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(random.Random(offset).randbytes(size))


def log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def into_database(path: Path) -> None:
    """Put what the log holds into the database, and the log away, as a daemon that ends does."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def root_of(path: Path, name: str) -> int:
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,)).fetchone()
    return (int(found[0]) - 1) * PAGE


def header(path: Path) -> None:
    into_database(path)
    overwrite(path, 0, size=100)


def table(path: Path) -> None:
    into_database(path)
    overwrite(path, root_of(path, "deliveries"))


def index(path: Path) -> None:
    into_database(path)
    with closing(sqlite3.connect(path)) as connection:
        (name,) = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'deliveries' AND sql IS NOT NULL"
        ).fetchone()
    overwrite(path, root_of(path, name))


def leaf(path: Path) -> None:
    """A page far behind, to which no root leads at once: one that belongs to a body."""
    into_database(path)
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute(
            "SELECT pageno FROM dbstat WHERE name = 'events' AND pagetype = 'leaf' ORDER BY pageno DESC LIMIT 1"
        ).fetchone()
    overwrite(path, (page - 1) * PAGE)


def truncated(path: Path) -> None:
    into_database(path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def no_database(path: Path) -> None:
    into_database(path)
    path.write_text("This is what the backup script left here.\n" * 200)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def gone(path: Path) -> None:
    path.unlink()


def log_frame(path: Path) -> None:
    frames = log_of(path).stat().st_size // FRAME
    assert frames > 40
    overwrite(log_of(path), 32 + 20 * FRAME + 500, size=8)


def log_header(path: Path) -> None:
    overwrite(log_of(path), 16, size=8)


DAMAGES: list[tuple[Damage, str]] = [
    (header, "file is not a database"),
    (table, "in database main"),
    (index, "in database main"),
    (leaf, "in database main"),
    (truncated, "malformed"),
    (no_database, "file is not a database"),
    (emptied, "it is empty or gone, but its write-ahead log is there"),
    (gone, "it is empty or gone, but its write-ahead log is there"),
    (log_frame, "its write-ahead log cannot be read before frame"),
    (log_header, "the header of its write-ahead log cannot be read"),
]
each_damage = pytest.mark.parametrize(("damage", "problem"), DAMAGES, ids=[d.__name__ for d, _ in DAMAGES])


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a daemon that was killed has left: a database, and a log with all that happened."""
    folder = tmp_path_factory.mktemp("left")

    async def live() -> None:
        async with Simulation(clock=SystemClock()) as simulation:
            daemon = Daemon(folder, stand_ins=simulation.base_url)
            try:
                await daemon.start()
                for number in range(12):
                    assert await daemon.post(firing(f"a{number}", size=8000)) == 202
                await daemon.settled()
                daemon.kill()
            finally:
                daemon.end_if_running()

    asyncio.run(live())
    return folder / "alertbridge.db"


@pytest.fixture
async def simulation() -> AsyncIterator[Simulation]:
    async with Simulation(clock=SystemClock()) as running:
        yield running


def take_over(left: Path, daemon: Daemon) -> None:
    for part in ("", "-wal"):
        shutil.copy(left.with_name(left.name + part), daemon.database.with_name(daemon.database.name + part))


def files_of(path: Path) -> dict[str, bytes]:
    """What the database and its log hold, where they hold anything."""
    both = (path, log_of(path))
    return {one.name: held for one in both if one.exists() and (held := one.read_bytes())}


@each_damage
async def test_a_damaged_database_is_refused_with_what_to_do_and_left_as_it_is(
    tmp_path: Path, left: Path, simulation: Simulation, damage: Damage, problem: str
) -> None:
    daemon = Daemon(tmp_path, stand_ins=simulation.base_url)
    take_over(left, daemon)
    damage(daemon.database)
    before = files_of(daemon.database)
    await daemon.start(ready=False)
    assert await daemon.ended() == 1
    said = daemon.log.read_text().splitlines()[-1]
    assert said.startswith(f"Error: {daemon.database}: the database is damaged: ")
    assert problem in said
    for remedy in ("Restore a backup", ".recover", "storage.on_corruption"):
        assert remedy in said
    assert files_of(daemon.database) == before
    assert not simulation.received


@pytest.mark.parametrize(("damage", "problem"), DAMAGES[::2], ids=[d.__name__ for d, _ in DAMAGES[::2]])
async def test_a_damaged_database_is_set_aside_and_a_fresh_one_begun_only_if_configured_so(
    tmp_path: Path, left: Path, simulation: Simulation, damage: Damage, problem: str
) -> None:
    daemon = Daemon(tmp_path, stand_ins=simulation.base_url, main=START_FRESH)
    take_over(left, daemon)
    damage(daemon.database)
    before = files_of(daemon.database)
    try:
        await daemon.start()
        (said,) = daemon.said("database.set_aside")
        assert said["level"] == "critical"
        assert problem in said["error"]
        moved = files_of(Path(said["moved_to"]))
        assert sorted(moved.values()) == sorted(before.values())
        assert (await daemon.get("/api/v1/events"))["items"] == []
        assert await daemon.post(firing("fresh")) == 202
        await daemon.settled()
        assert daemon.stop() == 0
        await daemon.start()
        assert len((await daemon.get("/api/v1/events"))["items"]) == 1
        assert len(daemon.said("database.set_aside")) == 1
    finally:
        daemon.end_if_running()


@pytest.mark.parametrize("main", [CONFIGURATION, START_FRESH], ids=["refuse", "start_fresh"])
@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("UPDATE alembic_version SET version_num = '9999'", "newer alertbridge"),
        ("DROP TABLE alembic_version", "the database of another program"),
    ],
    ids=["newer", "foreign"],
)
async def test_a_sound_database_of_somebody_else_is_refused_and_never_set_aside(
    tmp_path: Path, left: Path, simulation: Simulation, main: str, change: str, problem: str
) -> None:
    daemon = Daemon(tmp_path, stand_ins=simulation.base_url, main=main)
    take_over(left, daemon)
    with closing(sqlite3.connect(daemon.database)) as connection:
        connection.execute(change)
        connection.commit()
    await daemon.start(ready=False)
    assert await daemon.ended() == 1
    said = daemon.log.read_text().splitlines()[-1]
    assert said.startswith(f"Error: {daemon.database}: ")
    assert problem in said
    assert daemon.database.name in files_of(daemon.database)


@pytest.mark.parametrize(
    ("main", "code"), [(CONFIGURATION, 1), (START_FRESH, None)], ids=["refuse", "start_fresh"]
)
async def test_damage_that_shows_while_it_runs_ends_the_process_and_the_next_start_knows(
    tmp_path: Path, left: Path, simulation: Simulation, main: str, code: int | None
) -> None:
    daemon = Daemon(tmp_path, stand_ins=simulation.base_url, main=main)
    take_over(left, daemon)
    into_database(daemon.database)
    try:
        await daemon.start()
        overwrite(daemon.database, root_of(daemon.database, "deployments"))
        async with aiohttp.ClientSession() as session:
            body = {"id": "4711", "service": "checkout", "status": "success", "environment": "production"}
            async with session.post(f"{daemon.url}/v1/deployments", json=body) as answer:
                assert answer.status >= 500
        assert await daemon.ended() == 1
        (said,) = daemon.said("daemon.died")
        assert said["level"] == "critical"
        assert f"{daemon.database}: the database is damaged" in said["error"]
        assert daemon.database.with_name("alertbridge.db.suspect").exists()
        await daemon.start(ready=code is None)
        if code is None:
            assert len(daemon.said("database.set_aside")) == 1
            assert not daemon.database.with_name("alertbridge.db.suspect").exists()
        else:
            assert await daemon.ended() == code
            assert "storage.on_corruption" in daemon.log.read_text().splitlines()[-1]
    finally:
        daemon.end_if_running()


async def test_damage_that_a_reader_finds_ends_the_writer_too(tmp_path: Path, left: Path) -> None:
    path = tmp_path / "a.db"
    shutil.copy(left, path)
    shutil.copy(log_of(left), log_of(path))
    into_database(path)
    store = await Store.open(path)
    writing = asyncio.create_task(store.run())
    overwrite(path, root_of(path, "incidents"))
    with pytest.raises(StoreCorrupt, match=r"a\.db: the database is damaged"):
        await store.read(lambda connection: connection.execute(text("SELECT * FROM incidents")).all())
    with pytest.raises(StoreCorrupt):
        await store.accept(Event("E1", "prod", NOON, b"{}"))
    with pytest.raises(StoreCorrupt):
        await writing
    await store.close()
    assert (tmp_path / "a.db.suspect").exists()


def recovers(folder: Path) -> bool:
    """Whether the `sqlite3` of this machine can do it at all: that of Debian 12 cannot."""
    command = "sqlite3 sound.db 'CREATE TABLE a (b)' && sqlite3 sound.db .recover"
    return (
        b"CREATE TABLE"
        in subprocess.run(command, shell=True, check=False, cwd=folder, capture_output=True).stdout
    )


@pytest.mark.program("sqlite3")
async def test_what_can_be_salvaged_is_taken_up_again(
    tmp_path: Path, left: Path, simulation: Simulation
) -> None:
    daemon = Daemon(tmp_path, stand_ins=simulation.base_url)
    take_over(left, daemon)
    index(daemon.database)
    await daemon.start(ready=False)
    assert await daemon.ended() == 1
    remedy = daemon.log.read_text().split("then `")[1].split("`")[0]
    if not recovers(tmp_path):
        remedy = remedy.replace(".recover", ".dump | sed 's/^ROLLBACK.*/COMMIT;/'")
    subprocess.run(remedy, shell=True, check=True, cwd=tmp_path)  # noqa: ASYNC221 - nothing else goes on here
    (tmp_path / "salvaged.db").replace(daemon.database)
    try:
        await daemon.start()
        events = (await daemon.get("/api/v1/events?limit=100"))["items"]
        deliveries = (await daemon.get("/api/v1/deliveries?limit=100"))["items"]
        assert len(events) == 12
        assert {d["state"] for d in deliveries} == {"delivered"}
        assert await daemon.post(firing("later")) == 202
        await daemon.settled()
    finally:
        daemon.end_if_running()


def test_of_a_large_database_only_the_beginning_is_read_unless_it_is_suspected(
    tmp_path: Path, left: Path
) -> None:
    path = tmp_path / "a.db"
    for part in ("", "-wal"):
        shutil.copy(left.with_name(left.name + part), path.with_name(path.name + part))
    leaf(path)
    soundness.examine(path, whole=0)
    soundness.suspect(path, "a query failed")
    with pytest.raises(StoreCorrupt, match="in database main"):
        soundness.examine(path, whole=0)


def test_a_suspicion_that_proves_wrong_is_forgotten(tmp_path: Path, left: Path) -> None:
    path = tmp_path / "a.db"
    shutil.copy(left, path)
    shutil.copy(log_of(left), log_of(path))
    soundness.suspect(path, "a query failed")
    soundness.examine(path)
    assert not (tmp_path / "a.db.suspect").exists()


def test_a_torn_end_of_the_log_is_no_damage(tmp_path: Path, left: Path) -> None:
    """Whatever is missing of its last transaction was never acknowledged."""
    path = tmp_path / "a.db"
    whole = log_of(left).read_bytes()
    frames = len(whole) // FRAME
    commits = [
        number
        for number in range(frames)
        if int.from_bytes(whole[32 + number * FRAME + 4 : 32 + number * FRAME + 8])
    ]
    for torn in range(commits[-2] + 1, frames):
        shutil.copy(left, path)
        log_of(path).write_bytes(whole)
        overwrite(log_of(path), 32 + torn * FRAME + 100, size=8)
        soundness.examine(path)
    log_of(path).write_bytes(whole)
    overwrite(log_of(path), 32 + commits[-2] * FRAME + 100, size=8)
    with pytest.raises(StoreCorrupt, match="write-ahead log"):
        soundness.examine(path)
