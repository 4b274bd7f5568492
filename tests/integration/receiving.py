"""A served receiver for tests, and a client that speaks to it byte by byte."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from itertools import count
from typing import Any

from aiohttp import web

from alertbridge.metrics import Metrics
from alertbridge.model import Event, Notification, Secret
from alertbridge.operate.port import pass_router
from alertbridge.problems import problem_middleware
from alertbridge.receive.authentication import Authentication, Basic, Bearer, Hmac
from alertbridge.receive.intake import Intake, Limits
from alertbridge.receive.routes import Endpoint, Receiver
from alertbridge.sources.alertmanager import Alertmanager

NOW = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)
LIMIT = 4096
AMPLE = Limits(events=1000, bytes=2**20, min_free=2**20)
PROD = "/v1/sources/prod"
EMPTY = b'{"alerts": []}'
ENDPOINTS: dict[str, tuple[Authentication | None, list[str]]] = {
    "prod": (None, []),
    "local": (None, ["127.0.0.0/8"]),
    "elsewhere": (Bearer(Secret("test-token-123")), ["10.0.0.0/8"]),
    "bearer": (Bearer(Secret("test-token-123")), []),
    "basic": (Basic("relay", Secret("p@ss:wörd")), []),
    "signed": (Hmac("X-Signature", Secret("key")), []),
}


class StillClock:
    """Time that stands."""

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0

    def resume(self, latest: datetime) -> bool:
        raise AssertionError(latest)

    def ahead(self) -> timedelta:
        return timedelta(0)

    async def sleep(self, span: timedelta) -> None:
        raise AssertionError(span)


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def problem(self) -> dict[str, Any]:
        assert self.headers["content-type"] == "application/problem+json"
        members: dict[str, Any] = json.loads(self.body)
        assert members["status"] == self.status
        return members


@dataclass
class Bridge:
    """A served receiver, and what it handed on. `open_gate` lets commits end; `failure` makes them fail."""

    metrics: Metrics = field(default_factory=Metrics)
    accepted: list[Event] = field(default_factory=list)
    malformed: list[tuple[Event, str]] = field(default_factory=list)
    failure: Exception | None = None
    committing: asyncio.Event = field(default_factory=asyncio.Event)
    open_gate: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0
    limits: Limits = AMPLE
    free: int = 2**40

    def __post_init__(self) -> None:
        self.open_gate.set()
        ids = count(1)
        self.receiver = Receiver(
            endpoints={
                name: Endpoint(name, Alertmanager(), authentication, tuple(map(ip_network, networks)))
                for name, (authentication, networks) in ENDPOINTS.items()
            },
            max_body=LIMIT,
            accept=self.accept,
            keep_malformed=self.keep_malformed,
            intake=Intake(
                limits=self.limits, free=lambda: self.free, clock=StillClock(), metrics=self.metrics
            ),
            new_id=lambda: f"E{next(ids)}",
            clock=StillClock(),
            metrics=self.metrics,
        )

    async def accept(self, event: Event, _said: Notification) -> None:
        self.committing.set()
        await self.open_gate.wait()
        if self.failure:
            raise self.failure
        self.accepted.append(event)

    async def keep_malformed(self, event: Event, reason: str) -> None:
        if self.failure:
            raise self.failure
        self.malformed.append((event, reason))

    def counted(self, source: str, outcome: str) -> float:
        labels = {"source": source, "outcome": outcome}
        return self.metrics.registry.get_sample_value("alertbridge_events_total", labels) or 0

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def post(
        self, path: str = PROD, body: bytes = EMPTY, *, method: str = "POST", **headers: str
    ) -> Answer:
        """One request on its own connection; `_` in the names of headers stands for `-`."""
        reader, writer = await self.connect()
        try:
            writer.write(request(path, body, method=method, **headers))
            return await answer(reader, method)
        finally:
            writer.close()


def request(path: str, body: bytes, *, method: str = "POST", **headers: str) -> bytes:
    if "Transfer_Encoding" not in headers:
        headers.setdefault("Content_Length", str(len(body)))
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: bridge", *lines, "", ""]).encode() + body


async def answer(reader: asyncio.StreamReader, method: str = "POST") -> Answer:
    async with asyncio.timeout(10):
        status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        length = 0 if method == "HEAD" else int(headers["content-length"])
        return Answer(int(status.split()[1]), headers, await reader.readexactly(length))


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.005)


def chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))


@asynccontextmanager
async def served(**options: Any) -> AsyncIterator[Bridge]:
    bridge = Bridge()
    app = web.Application(middlewares=[problem_middleware])
    app.add_routes(bridge.receiver.routes())
    runner = web.AppRunner(app, auto_decompress=False, access_log=None, **options)
    await runner.setup()
    pass_router(runner, bridge.receiver.short_cut)
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        bridge.port = runner.addresses[0][1]
        yield bridge
    finally:
        bridge.open_gate.set()
        await runner.cleanup()
