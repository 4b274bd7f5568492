"""A disk that fills up: what was answered with 202 is delivered all the same, and the daemon lives on."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from alertbridge.clock import SystemClock
from alertbridge.simulate.server import Simulation
from tests.support.daemon import CONFIGURATION, Daemon
from tests.support.small_disk import SmallDisk, in_a_namespace, small_disk

MIB = 2**20
STORAGE = 'storage: {{url: "sqlite:///{folder}/alertbridge.db"}}'
LIMITED = 'storage: {{url: "sqlite:///{folder}/disk/alertbridge.db", min_free: %s, inbox: {{bytes: %s}}}}'


@dataclass
class House:
    """A daemon whose database lies on a small disk, and who posts to it."""

    daemon: Daemon
    disk: SmallDisk
    simulation: Simulation
    accepted: set[str] = field(default_factory=set)
    answers: Counter[int] = field(default_factory=Counter)

    async def post(self, name: str, *, alerts: int, text: str) -> int:
        """One body of so many alerts, each an incident of its own."""
        names = [f"{name}-{number}" for number in range(alerts)]
        status = await self.daemon.post(body(names, text))
        self.answers[status] += 1
        if status == 202:
            self.accepted.update(names)
        return status

    async def behave(self, **behaviour: object) -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.put(f"{self.simulation.base_url}/behaviour/elven", json=behaviour) as answer,
        ):
            assert answer.status < 300

    async def recover(self) -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.delete(f"{self.simulation.base_url}/behaviour/elven") as answer,
        ):
            assert answer.status < 300

    async def status(self, path: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.get(f"{self.daemon.url}{path}") as answer:
            return answer.status, await answer.text()

    def delivered(self) -> set[str]:
        return {
            str(item.body["title"])
            for item in self.simulation.received
            if item.taken and item.destination == "elven"
        }

    def log(self) -> str:
        return self.daemon.log.read_text(encoding="utf-8")


def body(names: list[str], text: str) -> bytes:
    started = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    alerts = [
        {
            "status": "firing",
            "labels": {"alertname": name, "severity": "critical", "service": "checkout"},
            "annotations": {"description": text},
            "startsAt": started,
            "endsAt": "0001-01-01T00:00:00Z",
            "fingerprint": name,
        }
        for name in names
    ]
    return json.dumps({"version": "4", "status": "firing", "alerts": alerts}).encode()


RULES = """
rules:
  - name: everything
    send:
      elven: {title: "{{ labels.alertname }}", description: "{{ annotations.description }}"}
"""


@pytest_asyncio.fixture
async def simulation() -> AsyncIterator[Simulation]:
    async with Simulation(clock=SystemClock()) as running:
        yield running


def limited(min_free: str, inbox: str) -> str:
    assert STORAGE in CONFIGURATION
    return CONFIGURATION.replace(STORAGE, LIMITED % (min_free, inbox))


async def test_what_was_accepted_is_finished_in_the_space_that_is_kept_for_it(
    tmp_path: Path, request: pytest.FixtureRequest, simulation: Simulation
) -> None:
    if not in_a_namespace(request):
        return
    with small_disk(tmp_path / "disk", mib=64) as disk:
        daemon = Daemon(tmp_path, stand_ins=simulation.base_url, rules=RULES, main=limited("24MiB", "2MiB"))
        house = House(daemon, disk, simulation)
        try:
            await daemon.start()
            await house.behave(mode="delay", seconds=0.01)
            lowest = disk.free
            for number in range(2000):
                status = await house.post(f"b{number}", alerts=20, text="x" * 2000)
                lowest = min(lowest, disk.free)
                if status != 202 and "storage.min_free" in (await house.status("/-/ready"))[1]:
                    break
            assert house.answers.keys() == {202, 503}
            assert (await house.status("/-/ready"))[0] == 503
            await daemon.settled(within=90)
            lowest = min(lowest, disk.free)
            print(
                f"answers {dict(house.answers)}, lowest {lowest / MIB:.1f} MiB, free {disk.free / MIB:.1f} MiB"
            )
            assert house.delivered() == house.accepted
            assert lowest > 0
            assert " is full" not in house.log()
            assert daemon.stop() == 0
        finally:
            daemon.end_if_running()


@pytest.mark.parametrize("killed", [False, True], ids=["alive", "killed"])
async def test_a_disk_that_somebody_else_fills_to_the_last_byte_loses_nothing(
    tmp_path: Path, request: pytest.FixtureRequest, simulation: Simulation, *, killed: bool
) -> None:
    if not in_a_namespace(request):
        return
    with small_disk(tmp_path / "disk", mib=32) as disk:
        daemon = Daemon(tmp_path, stand_ins=simulation.base_url, rules=RULES, main=limited("1MiB", "4MiB"))
        house = House(daemon, disk, simulation)
        try:
            await daemon.start()
            await house.behave(mode="delay", seconds=0.2)
            posting = asyncio.create_task(post_on(house))
            while len(house.accepted) < 300:  # noqa: ASYNC110 - another process is watched
                await asyncio.sleep(0.01)
            await asyncio.to_thread(disk.fill)
            await asyncio.sleep(5)  # everything is tried several times meanwhile
            assert disk.free == 0
            assert house.answers[503] > 0
            assert (await house.status("/-/healthy"))[0] == 200
            ready, said = await house.status("/-/ready")
            assert (ready, "the disk says that it is full" in said) == (503, True)
            posting.cancel()
            await asyncio.wait([posting])
            assert len(house.delivered()) < len(house.accepted)
            if killed:
                daemon.kill()
                await daemon.start(ready=False)
                await refused_or_waiting(house)
            disk.clear()
            await house.recover()
            if killed:
                await daemon.start()
            await daemon.settled(within=90)
            print(f"answers {dict(house.answers)}, accepted {len(house.accepted)}")
            assert house.delivered() == house.accepted
            await daemon.ready()
            assert await house.post("afterwards", alerts=1, text="x") == 202
            await daemon.settled()
            assert daemon.stop() == 0
        finally:
            daemon.end_if_running()


async def refused_or_waiting(house: House) -> None:
    """Started on the full disk, it ends with a word on it where it must write first, or else takes nothing."""
    try:
        assert await asyncio.to_thread(house.daemon.wait, within=10) == 1
        assert "is full" in house.log().splitlines()[-1]
    except subprocess.TimeoutExpired:
        assert (await house.status("/-/ready"))[0] == 503
        house.daemon.kill()


async def post_on(house: House) -> None:
    number = 0
    while True:
        number += 1
        assert await house.post(f"p{number}", alerts=20, text="x" * 200) in {202, 503}
        await asyncio.sleep(0.02)
