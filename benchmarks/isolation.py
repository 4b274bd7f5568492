"""What one destination that hangs costs the others: end-to-end times as a ratio to those without it, interleaved in one run.

The daemon, a process of its own, gets an alert every 20 ms and tells two destinations of each. In every other turn one of
them takes every request and never answers; what is measured is from the webhook to the arrival at the other one.
Between turns everything is delivered. Times depend on the machine and its other users; their ratio much less.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import uvloop
from aiohttp import web

from benchmarks.__main__ import TOKEN, body, listening, start

ROUNDS = int(os.environ.get("ROUNDS", "7"))
SECONDS = float(os.environ.get("SECONDS", "4"))
EVERY = 0.02
CONFIGURATION = """
server: {{listen: "127.0.0.1:{port}"}}
storage: {{url: "sqlite:///{folder}/alertbridge.db"}}
log: {{level: info, format: json}}
sources:
  prod: {{type: alertmanager, auth: {{bearer_token: {token}}}}}
destinations:
  well: {{type: elven, url: "http://127.0.0.1:{vendors}/well", timeout: 1s, probe_interval: 1s}}
  sick: {{type: elven, url: "http://127.0.0.1:{vendors}/sick", timeout: 1s, probe_interval: 1s}}
rules:
  - {{name: only, send: [well, sick]}}
"""


@dataclass
class Vendors:
    """Both destinations: when each key arrived at the one that is well, and whether the other one hangs."""

    hanging: bool = False
    arrived: dict[str, float] = field(default_factory=dict)

    async def well(self, request: web.Request) -> web.Response:
        """Take it at once."""
        key = (await request.json())["external_aggregate_key"]
        self.arrived.setdefault(key, time.perf_counter())
        return web.Response(status=202)

    async def sick(self, request: web.Request) -> web.Response:
        """Take it at once, or never answer."""
        await request.read()
        while self.hanging:  # noqa: ASYNC110 - whoever waits for it gives up first
            await asyncio.sleep(0.05)
        return web.Response(status=202)


class Bench:
    """Turns with and without a destination that hangs, and what they come to."""

    def __init__(self, *, port: int, vendors: Vendors, session: aiohttp.ClientSession) -> None:
        self._url = f"http://127.0.0.1:{port}"
        self._vendors = vendors
        self._session = session
        self._numbers = itertools.count()
        self._spans: dict[bool, list[list[float]]] = {False: [], True: []}

    async def run(self) -> None:
        """One round to warm up, then those that count, and print the ratios."""
        for number in range(ROUNDS + 1):
            for hanging in (False, True) if number % 2 else (True, False):
                spans = await self._turn(hanging=hanging)
                if number:
                    self._spans[hanging].append(spans)
            if number:
                well, sick = (_quantile(self._spans[hanging][-1], 0.99) * 1000 for hanging in (False, True))
                print(f"round {number}: p99 {well:.1f} ms, while the other hangs {sick:.1f} ms", flush=True)
        for q, name in ((0.5, "p50"), (0.99, "p99")):
            self._sum_up(q, name)

    def _sum_up(self, q: float, name: str) -> None:
        without, hanging = self._spans[False], self._spans[True]
        each = [_quantile(bad, q) / _quantile(good, q) for bad, good in zip(hanging, without, strict=True)]
        together = [_quantile(list(itertools.chain(*rounds)), q) for rounds in (hanging, without)]
        print(
            f"end to end {name} while another destination hangs: {together[0] / together[1]:.2f} of what it is without "
            f"(median of the rounds {statistics.median(each):.2f}, from {min(each):.2f} to {max(each):.2f})"
        )

    async def _turn(self, *, hanging: bool) -> list[float]:
        self._vendors.hanging = hanging
        began: dict[str, float] = {}
        posts = set()
        until = time.perf_counter() + SECONDS
        while (now := time.perf_counter()) < until:
            fingerprint = f"{next(self._numbers):016x}"
            began[f"prod/{fingerprint}"] = now
            posts.add(asyncio.create_task(self._post(fingerprint)))
            await asyncio.sleep(max(0.0, now + EVERY - time.perf_counter()))
        await asyncio.gather(*posts)
        while not began.keys() <= self._vendors.arrived.keys():  # noqa: ASYNC110 - another process is watched
            await asyncio.sleep(0.05)
        self._vendors.hanging = False
        while await self._waiting():  # noqa: ASYNC110 - another process is watched
            await asyncio.sleep(0.1)
        return [self._vendors.arrived[key] - since for key, since in began.items()]

    async def _post(self, fingerprint: str) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        url = f"{self._url}/v1/sources/prod"
        async with self._session.post(url, data=body(fingerprint), headers=headers) as answer:
            assert answer.status == 202

    async def _waiting(self) -> int:
        async with self._session.get(f"{self._url}/api/v1/destinations") as answer:
            return sum(one["waiting"] for one in (await answer.json())["items"])


def _quantile(spans: list[float], q: float) -> float:
    return sorted(spans)[int(q * (len(spans) - 1))]


async def measure(folder: Path) -> None:
    """Run everything and print the ratios."""
    from tests.support.daemon import free_port  # noqa: PLC0415 - only here

    vendors, port, own = Vendors(), free_port(), free_port()
    application = web.Application()
    application.add_routes([web.post("/well", vendors.well), web.post("/sick", vendors.sick)])
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", own).start()
    text = CONFIGURATION.format(port=port, folder=folder, token=TOKEN, vendors=own)
    (folder / "alertbridge.yaml").write_text(text, encoding="utf-8")
    process = start(
        "alertbridge", "serve", "--config", str(folder / "alertbridge.yaml"), log=folder / "daemon.log"
    )
    try:
        await listening(port)
        async with aiohttp.ClientSession() as session:
            await Bench(port=port, vendors=vendors, session=session).run()
    finally:
        process.terminate()
        process.wait(timeout=60)
        await runner.cleanup()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="alertbridge-bench-") as temporary:
        uvloop.run(measure(Path(temporary)))
