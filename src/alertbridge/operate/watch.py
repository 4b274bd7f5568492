"""The loop that reloads by itself: `server.watch`.

The kernel says where something happens; whether that is a change is told by looking, and by nothing else. So a touch, a
swap of links to the same content, or a change that another reload has met already, reloads nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import structlog

from alertbridge.clock import Clock, rest
from alertbridge.config.places import Places, find_places
from alertbridge.config.sight import Sight
from alertbridge.errors import ConfigurationError

_EVERY = timedelta(seconds=5)  # where the kernel does not tell
_SETTLED = timedelta(milliseconds=200)
_NOW = timedelta(0)
_LIMITS = {  # what watchfiles says, and the kernel's setting
    "watch limit": "fs.inotify.max_user_watches",
    "os error 28": "fs.inotify.max_user_watches",
    "os error 24": "fs.inotify.max_user_instances",
}


class Told(Protocol):
    """Yields each time that the kernel tells of something in `places`, until `stop`; raises what keeps it from that."""

    def __call__(self, places: Places, *, stop: asyncio.Event) -> AsyncIterator[object]:
        """Listens from the first step on."""
        ...


class Watcher:
    """Reloads when a file differs from what the last load found there, and goes on to look the same for 0.2 s.

    `saw` is to be called with what each load looked at, one that failed too. `reload` is called by whoever has the
    `turn`; it has said what came of it when it raises ConfigurationError.
    """

    def __init__(
        self,
        *,
        sight: Sight,
        turn: asyncio.Lock,
        reload: Callable[[], Awaitable[object]],
        clock: Clock,
        told: Told | None = None,
    ) -> None:
        self._sight = sight
        self._turn = turn
        self._reload = reload
        self._clock = clock
        self._told = told or of_the_kernel
        self._on = False
        self._closing = False
        self._wake = asyncio.Event()
        self._places: Places | None = None
        self._deaf = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None
        self._complaint = ""
        self._log = structlog.get_logger().bind()

    def saw(self, sight: Sight) -> None:
        """The configuration has been read; this is what it was made of, or what it could not be made of."""
        self._sight = sight
        self._wake.set()

    def switch(self, *, on: bool) -> None:
        """Watch from now on, or leave it."""
        self._on = on
        self._wake.set()

    def close(self) -> None:
        """Let `run` end at once, or after the reload at hand."""
        self._closing = True
        self._wake.set()

    async def run(self) -> None:
        """Look whenever the kernel tells of something, and every five seconds, until `close`."""
        while not self._closing:
            self._wake.clear()
            if self._on:
                await self._listen()
                await self.run_once()
            else:
                await self._stop_listening()
            await rest(self._clock, _EVERY, until=self._wake)
        await self._stop_listening()

    async def run_once(self) -> bool:
        """Reload if something has changed since the last load, and say whether that was so."""
        if not await self._has_settled():
            return False
        async with self._turn:
            known = self._sight
            found = await asyncio.to_thread(known.again)
            if found == known or self._closing:
                return False
            self._log.info("config.changed", files=known.differing(found))
            with suppress(ConfigurationError):
                await self._reload()
            if self._sight is known:  # the load came to nothing that it could have looked at
                self._sight = found
            return True

    async def _has_settled(self) -> bool:
        """Whether something has changed; returns when it looks the same twice, so that no half of a file is loaded."""
        found = await asyncio.to_thread(self._sight.again)
        while found != self._sight and not self._closing:
            before = found
            await self._clock.sleep(_SETTLED)
            found = await asyncio.to_thread(self._sight.again)
            if found == before:
                return True
        return False

    async def _listen(self) -> None:
        """Listen to the kernel where a change would matter now."""
        places = await asyncio.to_thread(find_places, self._sight)
        if self._listening is not None and not self._listening.done() and places == self._places:
            return
        await self._stop_listening()
        self._places, self._deaf = places, asyncio.Event()
        self._listening = asyncio.create_task(self._hear(places, self._deaf), name="watcher's ear")
        await self._clock.sleep(
            _NOW
        )  # from here on it listens: what comes after the look that follows is told

    async def _stop_listening(self) -> None:
        self._deaf.set()
        if self._listening is not None:
            await self._listening
            self._listening = None

    async def _hear(self, places: Places, deaf: asyncio.Event) -> None:
        try:
            async for _ in self._told(places, stop=deaf):
                self._complaint = ""
                self._wake.set()
        except FileNotFoundError:  # a folder went away just now
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, looking every five seconds does not need it
            complaint = f"{type(error).__name__}: {error}"
            if complaint != self._complaint:
                self._complaint = complaint
                self._log.warning("config.not_told", error=complaint, remedy=_remedy(error))


async def of_the_kernel(places: Places, *, stop: asyncio.Event) -> AsyncIterator[object]:
    """Yield after each burst of changes that concern `places`. Raises FileNotFoundError, or what watchfiles raises."""
    from watchfiles import awatch  # noqa: PLC0415 - 50 ms that only those pay who watch

    bursts = awatch(
        *places.names,
        watch_filter=lambda _, path: places.concern(Path(path)),
        debounce=400,
        step=50,
        stop_event=stop,
        recursive=False,
        ignore_permission_denied=True,
    )
    async for burst in bursts:
        yield burst


def _remedy(error: Exception) -> str:
    """What lets the kernel tell again."""
    for said, setting in _LIMITS.items():
        if said in str(error):
            return f"raise {setting} by sysctl; until then the files are looked at every 5 s"
    return "the files are looked at every 5 s instead"
