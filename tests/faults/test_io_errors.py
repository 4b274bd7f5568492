"""A disk that fails: never a 202 for what is not on it, a loud end where it cannot be trusted, patience where it is full."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from alertbridge.clock import SystemClock
from alertbridge.simulate.server import Simulation
from tests.support.daemon import CONFIGURATION, Daemon
from tests.support.disk import Disk, compiled
from tests.support.load import Load, judge, said

START_FRESH = CONFIGURATION.replace("storage: {{", "storage: {{on_corruption: start_fresh, ")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("disk"))


@pytest.fixture
async def simulation() -> AsyncIterator[Simulation]:
    async with Simulation(clock=SystemClock()) as running:
        yield running


@pytest.mark.parametrize(
    "failure",
    ["wal:sync:1:EIO", "wal:sync:4+:EIO", "wal:sync:2:ENOSPC", "wal:write:1:EIO", "wal:write:7+:EIO"],
)
async def test_a_disk_that_fails_ends_the_process_and_the_next_one_goes_on(
    tmp_path: Path, library: Path, simulation: Simulation, failure: str
) -> None:
    daemon = Daemon(tmp_path, stand_ins=simulation.base_url)
    disk = Disk(library, daemon.database)
    load = Load(daemon.url)
    try:
        await daemon.start(environ=disk.failing(failure))
        await load.episodes(["before"])
        disk.gate.touch()
        telling = asyncio.create_task(load.episodes([f"a{n}" for n in range(4)]))
        assert await daemon.ended() == 1
        (died,) = daemon.said("daemon.died")
        assert died["level"] == "critical"
        assert died["kind"] == "StoreBroken"
        assert f"{daemon.database}: the disk failed" in died["error"]
        assert "SQLITE_IOERR" in died["error"]
        known = {one.event for one in load.acked}
        await daemon.start()
        events = {one["id"] for one in (await daemon.get("/api/v1/events?limit=500"))["items"]}
        assert known <= events
        await telling
        await daemon.settled()
        assert daemon.stop() == 0
    finally:
        daemon.end_if_running()
    judge(load.acked, said(simulation.received), daemon.database)


async def test_as_long_as_the_disk_fails_nothing_is_acknowledged(
    tmp_path: Path, library: Path, simulation: Simulation
) -> None:
    daemon = Daemon(tmp_path, stand_ins=simulation.base_url)
    disk = Disk(library, daemon.database)
    load = Load(daemon.url)
    try:
        await daemon.start(environ=disk.failing("wal:sync:1+:EIO"))
        disk.gate.touch()
        answers = await asyncio.gather(*(load.once(f"a{n}", "firing") for n in range(20)))
        assert set(answers) <= {503, 0}
        assert await daemon.ended() == 1
        await daemon.start(ready=False, environ=disk.failing("wal:sync:1+:EIO"))
        assert await daemon.ended() == 1
        last = daemon.log.read_text().splitlines()[-1]
        assert last.startswith(f"Error: {daemon.database}: the disk failed")
    finally:
        daemon.end_if_running()
    assert load.acked == []
    assert simulation.received == []


async def test_a_checkpoint_that_fails_ends_the_process(
    tmp_path: Path, library: Path, simulation: Simulation
) -> None:
    """SQLite itself passes over an error of an automatic checkpoint."""
    daemon = Daemon(tmp_path, stand_ins=simulation.base_url)
    disk = Disk(library, daemon.database)
    load = Load(daemon.url, padding=1_000_000)
    try:
        await daemon.start(environ=disk.failing("db:sync:1:EIO"))
        disk.gate.touch()
        telling = asyncio.create_task(load.episodes([f"a{n}" for n in range(16)]))
        assert await daemon.ended(within=10) == 1
        assert daemon.said("daemon.died")[0]["kind"] == "StoreBroken"
        await daemon.start()
        await telling
        await daemon.settled()
        assert daemon.stop() == 0
    finally:
        daemon.end_if_running()
    judge(load.acked, said(simulation.received), daemon.database)


@pytest.mark.parametrize("failure", ["any:write:1+:ENOSPC", "wal:write:5+:SHORT"])
async def test_a_full_disk_answers_503_and_goes_on_when_there_is_room(
    tmp_path: Path, library: Path, simulation: Simulation, failure: str
) -> None:
    daemon = Daemon(tmp_path, stand_ins=simulation.base_url)
    disk = Disk(library, daemon.database)
    load = Load(daemon.url)
    try:
        await daemon.start(environ=disk.failing(failure))
        await load.tell("before", "firing")
        disk.gate.touch()
        telling = asyncio.create_task(load.episodes([f"a{n}" for n in range(6)]))
        while load.refused[503] < 20:  # noqa: ASYNC110 - another process is asked
            await asyncio.sleep(0.05)
        assert set(load.refused) == {503}
        acked = len(load.acked)
        await asyncio.sleep(0.3)
        assert len(load.acked) == acked
        disk.gate.unlink()
        await telling
        await load.tell("before", "resolved")
        await daemon.settled()
        assert daemon.said("daemon.died") == []
        assert daemon.stop() == 0
    finally:
        daemon.end_if_running()
    judge(load.acked, said(simulation.received), daemon.database)


async def test_a_short_write_is_no_failure(tmp_path: Path, library: Path, simulation: Simulation) -> None:
    daemon = Daemon(tmp_path, stand_ins=simulation.base_url)
    disk = Disk(library, daemon.database)
    load = Load(daemon.url)
    try:
        await daemon.start(environ=disk.failing("wal:write:3:SHORT"))
        disk.gate.touch()
        await load.episodes(["a", "b", "c"])
        await daemon.settled()
        assert daemon.stop() == 0
    finally:
        daemon.end_if_running()
    judge(load.acked, said(simulation.received), daemon.database)


async def test_a_database_that_cannot_be_read_is_not_taken_for_damaged(
    tmp_path: Path, library: Path, simulation: Simulation
) -> None:
    daemon = Daemon(tmp_path, stand_ins=simulation.base_url, main=START_FRESH)
    disk = Disk(library, daemon.database)
    load = Load(daemon.url)
    try:
        await daemon.start()
        await load.episodes(["a"])
        await daemon.settled()
        assert daemon.stop() == 0
        disk.gate.touch()
        await daemon.start(ready=False, environ=disk.failing("db:read:1+:EIO"))
        assert await daemon.ended() == 1
        assert f"Error: {daemon.database}: the disk failed" in daemon.log.read_text()
        assert daemon.said("database.set_aside") == []
        await daemon.start()
        assert len((await daemon.get("/api/v1/events"))["items"]) == 2
    finally:
        daemon.end_if_running()
