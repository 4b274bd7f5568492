"""A stand-in of an Alertmanager's API, as 0.25.0 answers; it can be made to misbehave."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Self

from aiohttp import web

from alertbridge.model import instant

OVER = web.AppKey("over", asyncio.Event)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def listing(
    fingerprint: str, starts_at: datetime, *, state: str = "active", receiver: str = "bridge", **labels: str
) -> dict[str, Any]:
    """One alert as `GET /api/v2/alerts` lists it."""
    return {
        "annotations": {"summary": "as the peer has it"},
        "endsAt": instant(starts_at + timedelta(days=1)),
        "fingerprint": fingerprint,
        "generatorURL": "http://prometheus.example/graph",
        "receivers": [{"name": receiver}],
        "startsAt": instant(starts_at),
        "status": {"inhibitedBy": [], "silencedBy": [], "state": state},
        "updatedAt": instant(starts_at),
        "labels": labels,
    }


class Peer:
    """Lists `alerts`, up since `up_since`. What `misbehave` holds answers instead; `asked` keeps every request."""

    def __init__(self, *, up_since: datetime) -> None:
        self.alerts: list[dict[str, Any]] = []
        self.up_since = up_since
        self.cluster = "ready"
        self.misbehave: Handler | None = None
        self.asked: list[web.Request] = []
        self.url = ""

    async def __aenter__(self) -> Self:
        application = web.Application()
        self._over = application[OVER] = asyncio.Event()
        application.router.add_get("/{path:.*}", self._answer)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over.set()
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        if self.misbehave is not None:
            return await self.misbehave(request)
        if request.path.endswith("/api/v2/alerts"):
            return web.json_response(self.alerts)
        if request.path.endswith("/api/v2/status"):
            cluster = {"name": "01M8", "peers": [], "status": self.cluster}
            return web.json_response({"cluster": cluster, "uptime": instant(self.up_since), "config": {}})
        return web.Response(status=404)


async def hang(request: web.Request) -> web.StreamResponse:
    await request.app[OVER].wait()
    return web.Response()


async def fail(_: web.Request) -> web.StreamResponse:
    return web.Response(status=500, text="boom")


async def refuse(_: web.Request) -> web.StreamResponse:
    return web.Response(status=401)


async def babble(_: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>hello</html>", content_type="text/html")


async def redirect(request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound(f"/elsewhere{request.path}")


async def flood(_: web.Request) -> web.StreamResponse:
    return web.Response(body=b"[" + b" " * 3_000_000 + b"]")


async def flood_zipped(_: web.Request) -> web.StreamResponse:
    return web.Response(
        body=gzip.compress(b"[" + b" " * 3_000_000 + b"]"), headers={"Content-Encoding": "gzip"}
    )


async def lie_zipped(_: web.Request) -> web.StreamResponse:
    return web.Response(body=b"no gzip at all", headers={"Content-Encoding": "gzip"})


async def hang_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def break_off(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(json.dumps([]).encode())
    assert request.transport is not None
    request.transport.abort()
    return response
