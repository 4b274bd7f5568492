"""`/-/healthy` and `/-/ready`: whether this process works, and whether it wants work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from aiohttp import web

from alertbridge.errors import Problem
from alertbridge.model import instant
from alertbridge.problems import problem

_STARTING = "the daemon is starting"
_DRAINING = "the daemon is draining: it takes nothing new and finishes what it has"


class Health:
    """Answers probes; not ready at first.

    `dead` names the loops that have ended though they should go on; `short_of` says why new work is refused now, if so.
    """

    def __init__(self, *, dead: Callable[[], Sequence[str]], short_of: Callable[[], str] = str) -> None:
        self._dead = dead
        self._short_of = short_of
        self._unready = _STARTING
        self._remark = ""

    def ready(self) -> None:
        """The daemon has started."""
        self._unready = ""

    def draining(self) -> None:
        """The daemon has begun to end."""
        self._unready = _DRAINING

    def reloaded(self) -> None:
        """The configuration in use is the one on disk."""
        self._remark = ""

    def not_reloaded(self, problems: Sequence[Problem], *, at: datetime) -> None:
        """A reload has failed: that does not make the daemon unready, and is said to who asks."""
        lines = [
            f"the reload at {instant(at)} failed; the configuration before it goes on:",
            *map(str, problems),
        ]
        self._remark = "\n".join(lines) + "\n"

    def routes(self) -> list[web.RouteDef]:
        """What to serve."""
        return [web.get("/-/healthy", self._answer_healthy), web.get("/-/ready", self._answer_ready)]

    async def _answer_healthy(self, _request: web.Request) -> web.Response:
        loops = list(self._dead())
        if not loops:
            return web.Response(text="ok\n")
        return problem(503, "Unhealthy", f"no longer running: {', '.join(loops)}; restart", loops=list(loops))

    async def _answer_ready(self, _request: web.Request) -> web.Response:
        if self._unready:
            return problem(503, "Not ready", self._unready)
        if short_of := self._short_of():
            return problem(503, "Not ready", f"nothing new is taken: {short_of}")
        return web.Response(text="ready\n" + self._remark)
