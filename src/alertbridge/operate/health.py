"""`/-/healthy` and `/-/ready`: whether this process works, and whether it wants work."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiohttp import web

from alertbridge.problems import problem

_STARTING = "the daemon is starting"
_DRAINING = "the daemon is draining: it takes nothing new and finishes what it has"


class Health:
    """Answers probes. `dead` names the loops that have ended though they should go on; not ready at first."""

    def __init__(self, *, dead: Callable[[], Sequence[str]]) -> None:
        self._dead = dead
        self._unready = _STARTING

    def ready(self) -> None:
        """The daemon has started."""
        self._unready = ""

    def draining(self) -> None:
        """The daemon has begun to end."""
        self._unready = _DRAINING

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
        return web.Response(text="ready\n")
