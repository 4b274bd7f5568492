"""The loop that notices a new secret of a destination that refuses the old one, whether or not files are watched.

Of the configuration nothing else is read again: that waits for a reload.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

import structlog

from alertbridge.clock import Clock, rest
from alertbridge.config.load import Configuration
from alertbridge.config.rotation import rotated
from alertbridge.config.secrets import UnreadableSecretError
from alertbridge.deliver.courier import Courier
from alertbridge.deliver.standing import REFUSED

_EVERY = timedelta(seconds=2)
_SETTLED = timedelta(milliseconds=200)


class Rotation:
    """Looks at the files of the secrets that a vendor refuses, every two seconds for as long as it does.

    `running` is the configuration in use; `rekey` takes up another one, which differs by the secrets of the destination
    that is named. It is called by whoever has the `turn`, so that no reload comes between.
    """

    def __init__(
        self,
        *,
        couriers: Mapping[str, Courier],
        running: Callable[[], Configuration],
        rekey: Callable[[str, Configuration], Awaitable[None]],
        turn: asyncio.Lock,
        clock: Clock,
    ) -> None:
        self._couriers = couriers
        self._running = running
        self._rekey = rekey
        self._turn = turn
        self._clock = clock
        self._complaints: dict[str, str] = {}
        self._stop = asyncio.Event()
        self._log = structlog.get_logger().bind()

    def close(self) -> None:
        """Let `run` end."""
        self._stop.set()

    async def run(self) -> None:
        """Look every two seconds until `close`."""
        while not self._stop.is_set():
            await self.run_once()
            await rest(self._clock, _EVERY, until=self._stop)

    async def run_once(self) -> list[str]:
        """Take up every new secret that is needed, and return the destinations that it was of."""
        done = []
        for name, courier in dict(self._couriers).items():
            pause = courier.standing.pause
            if pause is None or pause.reason not in REFUSED:
                self._complaints.pop(name, None)
            elif await self._look(name):
                done.append(name)
        return done

    async def _look(self, name: str) -> bool:
        try:
            if await self._read(name) is None:
                return False
            await self._clock.sleep(_SETTLED)  # whoever writes the file may be in the middle of it
            async with self._turn:
                wanted = await self._read(name)
                if wanted is None or self._stop.is_set():
                    return False
                await self._rekey(name, wanted)
        except (UnreadableSecretError, OSError) as error:  # OSError: `ca_file` may have gone
            if self._complaints.get(name) != str(error):
                self._complaints[name] = str(error)
                self._log.warning("secret.unusable", destination=name, error=str(error))
            return False
        self._complaints.pop(name, None)
        self._log.info("secret.taken_up", destination=name)
        return True

    async def _read(self, name: str) -> Configuration | None:
        running = self._running()
        if name not in running.settings.destinations:
            return None
        return await asyncio.to_thread(rotated, running, name)
