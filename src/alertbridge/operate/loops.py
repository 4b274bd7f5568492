"""The loops that make up a daemon: begun by name, watched, and ended in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import structlog


class Worker(Protocol):
    """Something that goes on until it is closed."""

    def run(self) -> Coroutine[Any, Any, None]:
        """Work until `close`."""

    def close(self) -> None:
        """Let `run` end when the work at hand is done."""


class Loops:
    """Tasks that go on until they are asked to end. One that breaks is what `ended` raises."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._log = structlog.get_logger().bind()

    def begin(self, name: str, loop: Coroutine[Any, Any, None]) -> None:
        """Let `loop` run under `name`."""
        task = asyncio.create_task(loop, name=name)
        self._tasks[name] = task
        task.add_done_callback(self._on_end(name))

    def dead(self) -> list[str]:
        """The names of those that have ended though they should go on."""
        return [name for name, task in self._tasks.items() if task.done()]

    async def ended(self) -> None:
        """Return never, or raise what ended a loop that should have gone on."""
        await self._ended

    async def end(self, *names: str) -> None:
        """Wait for loops that have been asked to end; those that are not there any more are passed over."""
        await asyncio.gather(*(self._tasks.pop(name) for name in names if name in self._tasks))

    def _on_end(self, name: str) -> Callable[[asyncio.Task[None]], None]:
        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None and not self._ended.done():
                self._log.critical("daemon.loop_died", loop=name, error=str(error))
                self._ended.set_exception(error)

        return ended
