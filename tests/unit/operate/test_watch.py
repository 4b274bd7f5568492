from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from alertbridge.config.places import Places
from alertbridge.config.sight import Reader, Sight
from alertbridge.errors import ConfigurationError
from alertbridge.operate.watch import Watcher
from tests.support.clock import ManualClock

QUIET = timedelta(milliseconds=200)
TICK = timedelta(seconds=5)


@dataclass
class Kernel:
    """Tells of something whenever a test says so."""

    news: asyncio.Queue[Exception | None] = field(default_factory=asyncio.Queue)
    heard: list[Places] = field(default_factory=list)

    async def told(self, places: Places, *, stop: asyncio.Event) -> AsyncIterator[object]:
        self.heard.append(places)
        while not stop.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(0.01):
                    one = await self.news.get()
                if one is not None:
                    raise one
                yield None


class Bench:
    """A watcher of one file; a reload reads it, and refuses it where it says so."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.clock = ManualClock()
        self.kernel = Kernel()
        self.turn = asyncio.Lock()
        self.read: list[str] = []
        self.watcher = Watcher(
            sight=self.load(), turn=self.turn, reload=self.reload, clock=self.clock, told=self.kernel.told
        )
        self.watcher.switch(on=True)

    def load(self) -> Sight:
        reader = Reader()
        self.read.append(reader.read(self.file, most=100).decode())
        return reader.sight

    async def reload(self) -> None:
        assert self.turn.locked()
        sight = self.load()
        if self.read[-1] == "no sight":
            raise ConfigurationError(())
        self.watcher.saw(sight)
        if self.read[-1] == "bad":
            raise ConfigurationError(())

    async def look(self) -> bool:
        """One look, however long it takes to settle."""
        looking = asyncio.create_task(self.watcher.run_once())
        await self.until(looking.done, advancing=True)
        return await looking

    async def until(self, holds: Callable[[], Any], *, advancing: bool = False) -> None:
        async with asyncio.timeout(20):
            while not holds():
                await asyncio.sleep(0.005)
                if advancing:
                    self.clock.advance(QUIET)


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> Bench:
    file = tmp_path / "file"
    file.write_text("first", encoding="utf-8")
    return Bench(file)


async def test_what_has_not_changed_is_not_read_again(bench: Bench) -> None:
    bench.file.write_text("first", encoding="utf-8")
    assert not await bench.look()
    assert bench.read == ["first"]


async def test_a_change_is_read_once(bench: Bench) -> None:
    bench.file.write_text("second", encoding="utf-8")
    with capture_logs() as logs:
        assert await bench.look()
        assert not await bench.look()
    assert bench.read == ["first", "second"]
    assert logs == [{"event": "config.changed", "log_level": "info", "files": [str(bench.file)]}]


@pytest.mark.parametrize("content", ["bad", "no sight"])
async def test_what_cannot_be_used_is_tried_once_and_the_next_change_again(
    bench: Bench, content: str
) -> None:
    bench.file.write_text(content, encoding="utf-8")
    assert await bench.look()
    assert not await bench.look()
    bench.file.write_text("first", encoding="utf-8")
    assert await bench.look()
    assert bench.read == ["first", content, "first"]


async def test_a_file_that_is_being_written_is_read_when_it_looks_the_same_twice(bench: Bench) -> None:
    bench.file.write_text("sec", encoding="utf-8")
    looking = asyncio.create_task(bench.watcher.run_once())
    for half in ("seco", "secon", "second"):
        await bench.until(lambda: bench.clock._sleepers)
        bench.file.write_text(half, encoding="utf-8")
        bench.clock.advance(QUIET)
    await bench.until(looking.done, advancing=True)
    assert bench.read == ["first", "second"]


async def test_what_changes_and_changes_back_while_it_settles_is_not_read(bench: Bench) -> None:
    bench.file.write_text("second", encoding="utf-8")
    looking = asyncio.create_task(bench.watcher.run_once())
    await bench.until(lambda: bench.clock._sleepers)
    bench.file.write_text("first", encoding="utf-8")
    bench.clock.advance(QUIET)
    assert not await looking
    assert bench.read == ["first"]


async def test_what_another_reload_has_met_meanwhile_is_not_read_twice(bench: Bench) -> None:
    bench.file.write_text("second", encoding="utf-8")
    async with bench.turn:
        looking = asyncio.create_task(bench.watcher.run_once())
        await bench.until(lambda: bench.turn._waiters, advancing=True)
        await bench.reload()
    assert not await looking
    assert bench.read == ["first", "second"]


async def test_a_change_is_found_where_the_kernel_says_nothing(bench: Bench) -> None:
    running = asyncio.create_task(bench.watcher.run())
    await bench.until(lambda: bench.clock._sleepers)
    bench.file.write_text("second", encoding="utf-8")
    bench.clock.advance(TICK)
    await bench.until(lambda: bench.read == ["first", "second"], advancing=True)
    bench.watcher.close()
    await running


async def test_what_the_kernel_tells_of_is_looked_at_at_once_and_a_close_ends_it(bench: Bench) -> None:
    running = asyncio.create_task(bench.watcher.run())
    await bench.until(lambda: bench.clock._sleepers)
    bench.file.write_text("second", encoding="utf-8")
    bench.kernel.news.put_nowait(None)
    await bench.until(lambda: len(bench.clock._sleepers) > 1)  # it waits for the file to settle
    bench.clock.advance(QUIET)
    await bench.until(lambda: bench.read == ["first", "second"])
    bench.watcher.close()
    async with asyncio.timeout(20):
        await running


async def test_a_kernel_that_cannot_tell_is_complained_of_once_with_the_remedy_and_looking_goes_on(
    bench: Bench,
) -> None:
    full = OSError("Error watching: OS file watch limit reached.")
    for one in (full, full, FileNotFoundError()):
        bench.kernel.news.put_nowait(one)
    with capture_logs() as logs:
        running = asyncio.create_task(bench.watcher.run())
        await bench.until(bench.kernel.news.empty, advancing=True)
        bench.file.write_text("second", encoding="utf-8")
        await bench.until(lambda: bench.read == ["first", "second"], advancing=True)
        bench.watcher.close()
        await running
    (line,) = (line for line in logs if line["event"] == "config.not_told")
    assert line["log_level"] == "warning"
    assert "fs.inotify.max_user_watches" in line["remedy"]
    assert len(bench.kernel.heard) >= 4, "it is tried again"


async def test_a_folder_that_is_replaced_is_listened_to_anew(bench: Bench) -> None:
    running = asyncio.create_task(bench.watcher.run())
    await bench.until(lambda: bench.kernel.heard)
    bench.file.parent.rename(bench.file.parent.with_name("away"))
    bench.file.parent.mkdir()
    bench.file.write_text("first", encoding="utf-8")
    bench.kernel.news.put_nowait(None)
    await bench.until(lambda: len(bench.kernel.heard) == 2)
    assert bench.kernel.heard[0].names == bench.kernel.heard[1].names
    assert bench.read == ["first"]
    bench.watcher.close()
    await running


async def test_switched_off_it_neither_listens_nor_looks(bench: Bench) -> None:
    bench.watcher.switch(on=False)
    running = asyncio.create_task(bench.watcher.run())
    bench.file.write_text("second", encoding="utf-8")
    for _ in range(3):
        await bench.until(lambda: bench.clock._sleepers)
        bench.clock.advance(TICK)
    assert bench.kernel.heard == []
    bench.watcher.switch(on=True)
    await bench.until(lambda: bench.read == ["first", "second"], advancing=True)
    bench.watcher.switch(on=False)
    await bench.until(lambda: bench.watcher._listening is None)
    bench.watcher.close()
    await running
