"""The stand-ins over HTTP: `/elven/{token}`, `/hivel/api/hooks/v1/incident`, and the control routes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Self

from aiohttp import web

from alertbridge.clock import Clock
from alertbridge.simulate.control import Control
from alertbridge.simulate.elven import Elven, ElvenMessage
from alertbridge.simulate.exchange import Arrival, Content
from alertbridge.simulate.hivel import Hivel, HivelDeployment, HivelMessage
from alertbridge.simulate.ledger import Ledger, Received
from alertbridge.simulate.standin import StandIn

_KEEP = 100_000
_TURNS_TO_LET_IN = 4  # of the event loop
_CONTROL = web.AppKey("control", Control)


def simulation(
    *, elven_tokens: frozenset[str] | None = None, hivel_token: str | None = None, clock: Clock
) -> web.Application:
    """An application that stands in for Elven and Hivel; None accepts any token that is not empty.

    Everything is held in memory: the last 100,000 requests, incidents and records.
    """
    ledger = Ledger(keep=_KEEP)
    elven: StandIn[ElvenMessage] = StandIn(
        destination="elven", vendor=Elven(tokens=elven_tokens, keep=_KEEP), ledger=ledger, clock=clock
    )
    hivel: StandIn[HivelMessage | HivelDeployment] = StandIn(
        destination="hivel", vendor=Hivel(token=hivel_token, keep=_KEEP), ledger=ledger, clock=clock
    )
    control = Control(ledger=ledger, stand_ins={"elven": elven, "hivel": hivel})
    application = web.Application()
    application[_CONTROL] = control
    application.on_shutdown.append(control.end)
    application.add_routes(control.routes())

    async def to_elven(request: web.Request) -> web.Response:
        return await _exchange(request, elven)

    async def to_hivel(request: web.Request) -> web.Response:
        return await _exchange(request, hivel)

    application.router.add_route("*", "/elven", to_elven)
    application.router.add_route("*", "/elven/{path:.*}", to_elven)
    application.router.add_route("*", "/hivel/{path:.*}", to_hivel)
    return application


async def _exchange(request: web.Request, stand_in: StandIn[Any]) -> web.Response:
    try:
        content = Content.of(await request.read())
    except web.HTTPRequestEntityTooLarge:
        content = Content(oversize=True)
    arrival = Arrival(
        method=request.method,
        path=request.match_info.get("path", ""),
        query=request.query,
        headers=request.headers,
        content_type=request.content_type,
        content=content,
    )
    reply = await stand_in.receive(arrival)
    if reply is None:
        if request.transport is not None:
            request.transport.abort()
        return web.Response()  # goes nowhere: the connection is gone
    response = web.Response(status=reply.status, body=reply.body, headers=reply.headers)
    response.headers.setdefault("Content-Type", "application/json")
    return response


class Simulation:
    """Runs the stand-ins in this event loop; also an asynchronous context manager on a free port."""

    def __init__(
        self, *, elven_tokens: frozenset[str] | None = None, hivel_token: str | None = None, clock: Clock
    ) -> None:
        self._application = simulation(elven_tokens=elven_tokens, hivel_token=hivel_token, clock=clock)
        # No access log: Elven's token stands in the path.
        self._runner = web.AppRunner(self._application, access_log=None, shutdown_timeout=5)
        self._clock = clock
        self._base_url = ""

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Serve; the port, which is a free one for 0."""
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        bound: int = self._runner.addresses[0][1]
        self._base_url = f"http://[{host}]:{bound}" if ":" in host else f"http://{host}:{bound}"
        return bound

    async def stop(self) -> None:
        """Stop serving, cutting whatever still waits for its answer; what was received stays readable."""
        # Let in who has knocked: what is accepted in the moment of closing, Python 3.11 forgets to close.
        for _ in range(_TURNS_TO_LET_IN):
            await self._clock.sleep(timedelta(0))
        await self._runner.cleanup()

    @property
    def base_url(self) -> str:
        """Where it serves, without a trailing slash: append `/elven/{token}`, or `/hivel` as Hivel's base."""
        return self._base_url

    @property
    def received(self) -> list[Received]:
        """Everything that arrived, in order."""
        return self._application[_CONTROL].received()

    @property
    def incidents(self) -> dict[str, Any]:
        """`{"elven": {key: incident}, "hivel": [record]}`, what `GET /incidents` answers."""
        return self._application[_CONTROL].incidents()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
