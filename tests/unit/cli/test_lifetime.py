"""The life of the daemon's process, with a daemon that only plays one."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import timedelta
from typing import NoReturn

import pytest
from typing_extensions import override

from alertbridge.cli.lifetime import Lifetime
from alertbridge.errors import ConfigurationError, Problem, StoreBroken, StoreLocked
from alertbridge.operate.notify import Notifier
from tests.support.clock import ManualClock


class Left(BaseException):
    """The process would have ended at once."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def leave(status: int) -> NoReturn:
    raise Left(status)


class Spoken(Notifier):
    """Keeps what is said to the service manager."""

    def __init__(self) -> None:
        super().__init__(None)
        self.said: list[str] = []

    @override
    def _send(self, *assignments: str) -> None:
        self.said += [each for each in assignments if not each.startswith("STATUS=")]


class Played:
    """A daemon whose steps end when the test says so."""

    def __init__(self) -> None:
        self.port = 1
        self.started = asyncio.Event()
        self.stopping = asyncio.Event()
        self.may_stop = asyncio.Event()
        self.death: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.refuses: Exception | None = None
        self.reloads: asyncio.Queue[None] = asyncio.Queue()
        self.mistake: Exception | None = None

    async def start(self) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.started.set()

    async def ended(self) -> None:
        await self.death

    async def reload(self) -> None:
        self.reloads.put_nowait(None)
        if self.mistake is not None:
            raise self.mistake

    async def stop(self) -> None:
        self.stopping.set()
        await self.may_stop.wait()


class Scene:
    def __init__(self, *, watchdog: timedelta | None = None) -> None:
        self.app = Played()
        self.spoken = Spoken()
        self.clock = ManualClock()
        self.lifetime = Lifetime(
            app=self.app, notifier=self.spoken, watchdog=watchdog, clock=self.clock, leave=leave
        )

    async def begin(self) -> asyncio.Task[None]:
        running = asyncio.create_task(self.lifetime.run())
        await self.app.started.wait()
        await asyncio.sleep(0)
        return running


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_first_signal_drains(number: signal.Signals) -> None:
    scene = Scene()
    running = await scene.begin()

    os.kill(os.getpid(), number)
    await asyncio.wait_for(scene.app.stopping.wait(), 5)
    assert scene.spoken.said == ["READY=1", "STOPPING=1"]
    assert not running.done()
    scene.app.may_stop.set()

    await asyncio.wait_for(running, 5)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
async def test_a_second_signal_leaves_at_once(number: signal.Signals, status: int) -> None:
    scene = Scene()
    running = await scene.begin()
    scene.lifetime._hear(signal.SIGTERM)
    await asyncio.wait_for(scene.app.stopping.wait(), 5)

    with pytest.raises(Left) as left:
        scene.lifetime._hear(number)

    assert left.value.status == status
    running.cancel()


async def test_a_loop_that_dies_ends_the_process_without_a_drain() -> None:
    scene = Scene()
    running = await scene.begin()

    scene.app.death.set_exception(StoreBroken("the disk lied"))

    with pytest.raises(Left) as left:
        await asyncio.wait_for(running, 5)
    assert left.value.status == 1
    assert not scene.app.stopping.is_set()
    assert "STOPPING=1" not in scene.spoken.said


async def test_a_loop_that_dies_while_draining_ends_the_process_too() -> None:
    scene = Scene()
    running = await scene.begin()
    scene.lifetime._hear(signal.SIGTERM)
    await asyncio.wait_for(scene.app.stopping.wait(), 5)

    scene.app.death.set_exception(StoreBroken("the disk lied"))

    with pytest.raises(Left) as left:
        await asyncio.wait_for(running, 5)
    assert left.value.status == 1


async def test_what_stops_it_from_starting_is_for_the_caller() -> None:
    scene = Scene()
    scene.app.refuses = StoreLocked("another daemon")

    with pytest.raises(StoreLocked):
        await scene.lifetime.run()
    assert scene.spoken.said == []


async def test_every_hangup_reloads_also_after_one_that_failed() -> None:
    scene = Scene()
    scene.app.mistake = ConfigurationError((Problem("alertbridge.yaml", 1, 1, "", "no"),))
    running = await scene.begin()

    for _ in range(2):
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.wait_for(scene.app.reloads.get(), 5)

    assert not running.done()
    scene.lifetime._hear(signal.SIGTERM)
    scene.app.may_stop.set()
    await asyncio.wait_for(running, 5)


async def test_the_watchdog_hears_of_it_again_and_again() -> None:
    scene = Scene(watchdog=timedelta(seconds=30))
    running = await scene.begin()

    for _ in range(3):
        await asyncio.sleep(0)
        scene.clock.advance(timedelta(seconds=30))
    await asyncio.sleep(0)

    assert scene.spoken.said.count("WATCHDOG=1") >= 3
    scene.lifetime._hear(signal.SIGTERM)
    scene.app.may_stop.set()
    await asyncio.wait_for(running, 5)
