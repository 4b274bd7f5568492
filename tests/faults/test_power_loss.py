"""The power goes, again and again: whatever the disk then holds, the store opens and all that was acknowledged ends right.

One run of the real daemon is recorded: what it writes and syncs, and what it says to whom. From that are rebuilt the disks
that a power cut at some moment may leave, torn and out of order; on each the daemon's own parts are started.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog

from alertbridge.app import App
from alertbridge.clock import SystemClock
from alertbridge.config.load import load
from alertbridge.errors import StoreCorrupt
from alertbridge.model import DeliveryState
from alertbridge.simulate.server import Simulation
from alertbridge.store import census, inbox
from tests.support import power
from tests.support.daemon import Daemon, surroundings
from tests.support.disk import Disk, compiled
from tests.support.load import Acknowledged, Load, Said, judge, said

CUTS = int(os.environ.get("CUTS", "40"))
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
pytestmark = pytest.mark.timeout(0 if CUTS > 40 else 600)
ROOT = Path(__file__).parents[2]
NAME = "alertbridge.db"
_EVENT = re.compile(rb'^HTTP/1\.1 202 .*\{"event":"([^"]+)"\}', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Recording:
    """A run: what happened on the disk, and what was acknowledged or said before which entry."""

    entries: Sequence[power.Entry]
    acked: Mapping[int, Acknowledged]
    told: Mapping[int, Said]
    left: Mapping[str, bytes]

    def acked_before(self, moment: int) -> list[Acknowledged]:
        return [one for number, one in self.acked.items() if number < moment]

    def told_before(self, moment: int) -> list[Said]:
        return [one for number, one in self.told.items() if number < moment]


async def record(folder: Path, library: Path, *pragmas: str) -> Recording:
    """Two lives of a daemon, from an empty folder, with checkpoints under load and at each end."""
    async with Simulation(clock=SystemClock()) as simulation:
        daemon = Daemon(folder, stand_ins=simulation.base_url, module="tests.support.tampered")
        disk = Disk(library, daemon.database)
        path = {"PYTHONPATH": f"{surroundings().get('PYTHONPATH', '')}:{ROOT}"}
        environ = {**disk.recording(), **path, "PRAGMAS": ",".join(("wal_autocheckpoint=150", *pragmas))}
        telling = Load(daemon.url, padding=10_000)
        try:
            for life in ("a", "b"):
                await daemon.start(environ=environ)
                await telling.episodes([f"{life}{number}" for number in range(10)])
                await telling.tell(f"{life}-open", "firing")
                await daemon.settled()
                assert daemon.stop() == 0
        finally:
            daemon.end_if_running()
    entries = power.read(disk.record)
    known = {one.event: one for one in telling.acked}
    acked = {n: known[event] for n, entry in enumerate(entries) if (event := event_in(entry)) in known}
    told = {n: what for n, entry in enumerate(entries) if (what := message_in(entry)) is not None}
    assert {one.event for one in acked.values()} == known.keys(), "every 202 is in the record"
    left = {suffix: daemon.database.with_name(NAME + suffix) for suffix in power.NAMES.values()}
    return Recording(entries, acked, told, {s: p.read_bytes() for s, p in left.items() if p.exists()})


def event_in(entry: power.Entry) -> str:
    found = _EVENT.match(entry.data) if entry.operation == "s" else None
    return found.group(1).decode() if found else ""


def message_in(entry: power.Entry) -> Said | None:
    """What this entry says to a destination: a request's body, with its head before it or without."""
    if entry.operation != "s" or (
        b'"external_aggregate_key"' not in entry.data and b'"provider_id"' not in entry.data
    ):
        return None
    body = entry.data[entry.data.index(b"{") :]
    read = json.loads(body)
    if "provider_id" in read:
        return str(read["provider_id"]), "record"
    return str(read["external_aggregate_key"]), str(read["action"])


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("disk"))


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory, library: Path) -> Recording:
    return asyncio.run(record(tmp_path_factory.mktemp("recorded"), library))


def moments(recording: Recording, number: int, chance: random.Random) -> list[int]:
    """When the power goes: half of the times just after something was acknowledged or said, else anywhere."""
    loud = [*recording.acked, *recording.told]
    anywhere = range(1, len(recording.entries) + 1)
    return sorted(
        chance.choice(loud) + 1 if chance.random() < 0.5 else chance.choice(anywhere) for _ in range(number)
    )


def test_the_record_is_the_whole_truth(recording: Recording) -> None:
    disk = power.Disk()
    for entry in recording.entries:
        disk.take(entry)
    assert disk.whole() == recording.left
    operations = Counter((entry.operation, entry.file) for entry in recording.entries)
    for file in (power.DATABASE, power.LOG):
        assert operations["w", file] > 50
        assert operations["y", file] > 2
    assert operations["y", power.FOLDER]
    assert operations["u", power.LOG]
    assert len(recording.acked) == 42


async def test_whatever_a_power_cut_leaves_all_that_was_acknowledged_ends_right(
    tmp_path: Path, recording: Recording, record_property: Callable[[str, object], None]
) -> None:
    chance = random.Random(SEED)
    when = moments(recording, CUTS, chance)
    torn = 0
    for number, (moment, image) in enumerate(
        zip(when, power.cuts(recording.entries, when, chance), strict=True)
    ):
        try:
            torn += await live_on(tmp_path / str(number), recording, moment, image, chance)
        except Exception as error:
            error.add_note(f"SEED={SEED}, image {number}, power cut before entry {moment}")
            raise
    acked = len(recording.acked_before(when[-1]))
    record_property(
        "counts",
        f"{CUTS} power cuts (SEED={SEED}): {torn} torn images, up to {acked} acknowledged events, none lost",
    )


async def live_on(
    folder: Path, recording: Recording, moment: int, image: Mapping[str, bytes], chance: random.Random
) -> bool:
    """Start on what the cut has left, let everything end, and judge; return whether the image was torn at all."""
    write(folder, image, chance)
    async with Simulation(clock=SystemClock()) as simulation:
        with structlog.testing.capture_logs():
            await finish(folder, simulation)
        taken = said(simulation.received)
    before = recording.told_before(moment)
    await asyncio.to_thread(judge, recording.acked_before(moment), [*before, *taken], folder / NAME)
    every_attempt_is_known(folder / NAME, Counter([*before, *taken]))
    await asyncio.to_thread(remove, folder)
    return image != whole_before(recording, moment)


async def test_the_power_may_go_while_the_database_is_being_made(
    tmp_path: Path, recording: Recording
) -> None:
    chance = random.Random(SEED)
    when = sorted([*range(1, 16)] * 2)
    for number, (moment, image) in enumerate(
        zip(when, power.cuts(recording.entries, when, chance), strict=True)
    ):
        await live_on(tmp_path / str(number), recording, moment, image, chance)


def write(folder: Path, image: Mapping[str, bytes], chance: random.Random) -> None:
    folder.mkdir()
    for suffix, content in image.items():
        (folder / f"{NAME}{suffix}").write_bytes(content)
    (folder / f"{NAME}-shm").write_bytes(
        chance.randbytes(32_768)
    )  # it is never synced: anything may stand there


def remove(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


def whole_before(recording: Recording, moment: int) -> Mapping[str, bytes]:
    disk = power.Disk()
    for entry in recording.entries[:moment]:
        disk.take(entry)
    return disk.whole()


async def finish(folder: Path, simulation: Simulation) -> None:
    """One life of the daemon's parts, in this process, until nothing waits any more."""
    Daemon(folder, stand_ins=simulation.base_url)  # writes the configuration
    configuration = load(folder / "alertbridge.yaml", environ={})
    app = App(configuration=configuration, clock=SystemClock())
    await app.start()
    try:
        async with asyncio.timeout(60):
            while not await settled(app):  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)
    finally:
        await app.stop()


async def settled(app: App) -> bool:
    if await app._store.read(inbox.count_undecided):
        return False
    counted = (await app._store.read(census.take)).deliveries
    return not any(
        number
        for (_, state), number in counted.items()
        if state in {DeliveryState.PENDING, DeliveryState.SENDING}
    )


def every_attempt_is_known(database: Path, sent: Counter[Said]) -> None:
    """Whatever was sent had been claimed on disk before: no request is ever made that nobody would know of."""
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(
            "SELECT CASE d.action WHEN 'record' THEN d.incident ELSE d.key END, d.action, sum(d.attempts) FROM deliveries d"
            " GROUP BY 1, 2"
        ).fetchall()
    known = {(what, action): number for what, action, number in rows}
    unknown = {what: number for what, number in sent.items() if known.get(what, 0) < number}
    assert not unknown


async def test_a_daemon_that_answers_before_the_sync_would_be_found_out(
    tmp_path: Path, library: Path
) -> None:
    recording = await record(tmp_path, library, "synchronous=NORMAL")
    chance = random.Random(SEED)
    found = 0
    when = sorted(chance.sample(sorted(recording.acked), 12))
    for number, (moment, image) in enumerate(
        zip(when, power.cuts(recording.entries, when, chance), strict=True)
    ):
        try:
            await live_on(tmp_path / str(number), recording, moment + 1, image, chance)
        except (
            AssertionError,
            StoreCorrupt,
        ):  # what it lost stands before what it kept: the start sees that, too
            found += 1
    assert found > 3
