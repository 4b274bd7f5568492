"""The life of a daemon process: from its start through signals and failures to its end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import NoReturn, Protocol

import structlog

from alertbridge.clock import Clock
from alertbridge.errors import ConfigurationError
from alertbridge.operate.notify import Notifier

_KILLED = 128  # what a shell adds to the number of the signal


class Daemon(Protocol):
    """What lives here; `App` is one."""

    port: int

    async def start(self) -> None:
        """Begin to serve."""
        ...

    async def ended(self) -> None:
        """Return never, or raise what ended it."""
        ...

    async def reload(self) -> object:
        """Read the configuration again; raises ConfigurationError once it has said why it could not."""
        ...

    async def stop(self) -> None:
        """Drain and end."""
        ...


class Lifetime:
    """Runs `app` until SIGTERM or SIGINT drains it. A second signal, or a loop that dies, calls `leave` at once.

    SIGHUP reloads it, one that comes before it is ready too.

    The service manager behind `notifier` hears when it is ready and when it stops, and every `watchdog` that it lives.
    """

    def __init__(
        self,
        *,
        app: Daemon,
        notifier: Notifier,
        watchdog: timedelta | None,
        clock: Clock,
        leave: Callable[[int], NoReturn],
    ) -> None:
        self._app = app
        self._notifier = notifier
        self._watchdog = watchdog
        self._clock = clock
        self._leave = leave
        self._asked = asyncio.Event()
        self._hung_up = asyncio.Event()
        self._log = structlog.get_logger().bind()

    async def run(self) -> None:
        """Return after a drain. Whatever stops the daemon from starting is raised."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._hear, number)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._hung_up.set)
        await self._app.start()
        self._notifier.ready(f"listening on port {self._app.port}")
        beating = asyncio.create_task(self._beat())
        reloading = asyncio.create_task(self._reload())
        died = asyncio.create_task(self._app.ended())
        await self._unless(died, self._asked.wait())
        self._notifier.stopping()
        await self._unless(died, self._app.stop())
        beating.cancel()
        reloading.cancel()
        died.cancel()

    def _hear(self, number: signal.Signals) -> None:
        if self._asked.is_set():
            self._log.warning("daemon.killed", signal=number.name)
            self._leave(_KILLED + number)
        self._asked.set()

    async def _reload(self) -> None:
        while True:
            await self._hung_up.wait()
            self._hung_up.clear()
            with suppress(ConfigurationError):  # the app has said it
                await self._app.reload()

    async def _unless(self, died: asyncio.Task[None], step: Coroutine[object, object, object]) -> None:
        """Do `step`; leave without a drain as soon as a loop has died, for the disk may be the reason."""
        doing = asyncio.ensure_future(step)
        await asyncio.wait((doing, died), return_when=asyncio.FIRST_COMPLETED)
        error = died.exception() if died.done() else doing.exception()
        if error is not None:
            self._log.critical("daemon.died", error=str(error), kind=type(error).__name__)
            self._leave(1)

    async def _beat(self) -> None:
        while self._watchdog is not None:
            self._notifier.watchdog()
            await self._clock.sleep(self._watchdog)
