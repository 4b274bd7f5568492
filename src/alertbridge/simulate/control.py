"""The routes by which a test looks at the stand-ins, and tells them to misbehave."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from alertbridge.simulate.behaviour import read_behaviour
from alertbridge.simulate.exchange import Content
from alertbridge.simulate.ledger import Ledger, Received
from alertbridge.simulate.refusals import reasons
from alertbridge.simulate.standin import StandIn


class _Filters(BaseModel):
    """The query of `GET /received`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    destination: Literal["elven", "hivel"] | None = None
    status: int | None = None
    key: str | None = None


class Control:
    """Looks at all stand-ins together; destinations are called `elven` and `hivel`."""

    def __init__(self, *, ledger: Ledger, stand_ins: Mapping[str, StandIn[Any]]) -> None:
        self._ledger = ledger
        self._stand_ins = stand_ins

    def routes(self) -> Iterable[web.RouteDef]:
        """The control routes, to be added to an application."""
        return [
            web.get("/received", self._list),
            web.delete("/received", self._forget),
            web.get("/incidents", self._incidents),
            web.get("/behaviour", self._behaviours),
            web.put("/behaviour/{destination}", self._misbehave),
            web.delete("/behaviour/{destination}", self._restore),
        ]

    def received(self) -> list[Received]:
        """Everything that arrived, in order."""
        return self._ledger.items()

    def incidents(self) -> dict[str, Any]:
        """What each destination believes, by its name."""
        return {name: stand_in.believed() for name, stand_in in self._stand_ins.items()}

    async def end(self, _: web.Application) -> None:
        """Cut every request that still waits for its answer."""
        for stand_in in self._stand_ins.values():
            stand_in.end()

    async def _list(self, request: web.Request) -> web.Response:
        try:
            filters = _Filters.model_validate(dict(request.query))
        except ValidationError as error:
            return _problem(400, reasons(error))
        return _json({"items": self._ledger.items(**dict(filters))})

    async def _forget(self, _: web.Request) -> web.Response:
        self._ledger.forget()
        for stand_in in self._stand_ins.values():
            stand_in.forget()
        return web.Response(status=204)

    async def _incidents(self, _: web.Request) -> web.Response:
        return _json(self.incidents())

    async def _behaviours(self, _: web.Request) -> web.Response:
        return _json({name: _shown(stand_in) for name, stand_in in self._stand_ins.items()})

    async def _misbehave(self, request: web.Request) -> web.Response:
        stand_in = self._stand_ins.get(request.match_info["destination"])
        if stand_in is None:
            return self._unknown()
        content = Content.of(await request.read())
        if content.malformed is not None:
            return _problem(400, content.malformed)
        behaviour = read_behaviour(content.body)
        if isinstance(behaviour, str):
            return _problem(400, behaviour)
        stand_in.temper.become(behaviour)
        return _json(_shown(stand_in))

    async def _restore(self, request: web.Request) -> web.Response:
        stand_in = self._stand_ins.get(request.match_info["destination"])
        if stand_in is None:
            return self._unknown()
        stand_in.temper.become(None)
        return web.Response(status=204)

    def _unknown(self) -> web.Response:
        return _problem(404, f"destination: must be one of {', '.join(self._stand_ins)}")


def _shown(stand_in: StandIn[Any]) -> dict[str, Any] | None:
    behaviour = stand_in.temper.behaviour
    return None if behaviour is None else behaviour.model_dump(exclude_none=True)


def _json(value: Any, status: int = 200) -> web.Response:
    body = orjson.dumps(value, option=orjson.OPT_UTC_Z)
    return web.Response(status=status, body=body, content_type="application/json")


def _problem(status: int, reason: str) -> web.Response:
    return _json({"message": reason}, status)
