"""The real daemon listens for a Watchdog, from a real Alertmanager that dies, and tells a stand-in that it works."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import ClientSession, web

from alertbridge.clock import SystemClock
from alertbridge.simulate.server import Simulation
from tests.support.alertmanager import PROGRAM, Alertmanager, Firing
from tests.support.daemon import TOKEN, Daemon

KEY = "alertbridge/heartbeat/watchdog"
RULES = """
heartbeats:
  - name: watchdog
    when: [alertname = Watchdog, source = prod]
    every: 4s
    grace: 4s
    send: [elven]
rules:
  - name: everything
    send: [elven]
"""
ROUTE = """
route:
  receiver: bridge
  group_by: [alertname]
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 1s
receivers:
  - name: bridge
    webhook_configs:
      - url: {url}
        http_config: {{authorization: {{credentials: {token}}}}}
"""


def watchdog() -> Firing:
    return Firing({"alertname": "Watchdog", "severity": "none"}, {}, datetime.now(UTC))


async def until(what: Callable[[], bool], *, within: float = 60) -> None:
    async with asyncio.timeout(within):
        while not what():  # noqa: ASYNC110 - the stand-in has no event to wait for
            await asyncio.sleep(0.05)


@pytest.mark.program(PROGRAM)
async def test_a_dead_alertmanager_is_one_incident_that_ends_when_it_lives_again(tmp_path: Path) -> None:
    """It beats, dies, is missed; the daemon is killed and knows it still; it lives again."""
    async with Simulation(clock=SystemClock()) as simulation:
        daemon = Daemon(tmp_path, stand_ins=simulation.base_url, rules=RULES)
        source = Alertmanager(tmp_path / "am", url=f"{daemon.url}/v1/sources/prod", token=TOKEN, route=ROUTE)

        def state() -> str:
            return str(simulation.incidents["elven"].get(KEY, {}).get("state"))

        async def heartbeat() -> dict[str, object]:
            (one,) = (await daemon.get("/api/v1/heartbeats"))["items"]
            return dict(one)

        try:
            await daemon.start()
            await source.start()
            await source.tell([watchdog()])
            await asyncio.sleep(12)  # longer than it would take to be called silent
            assert simulation.incidents["elven"] == {}
            assert (await heartbeat())["last_beat"] is not None
            source.kill()
            await until(lambda: state() == "alarmed")
            assert (await heartbeat())["silent"] is True
            await daemon.settled()  # or what was sent before the kill is in doubt, and is sent again
            daemon.kill()
            await daemon.start()
            await asyncio.sleep(10)
            assert (await heartbeat())["silent"] is True
            assert len((await heartbeat())["incidents"]) == 1  # type: ignore[arg-type]
            await source.start()
            await source.tell([watchdog()])
            await until(lambda: state() == "resolved")
            await daemon.settled()
            assert (await heartbeat())["incidents"] == []
            assert [(one.body["action"], one.key) for one in simulation.received] == [
                ("alarmed", KEY),
                ("resolved", KEY),
            ]
            assert daemon.stop() == 0
        finally:
            source.stop()
            daemon.end_if_running()


@dataclass
class Listener:
    """A stand-in of a service that is to be called as long as all is well."""

    url: str
    calls: int = 0

    async def hear(self, _request: web.Request) -> web.Response:
        self.calls += 1
        return web.Response(text="OK")


@asynccontextmanager
async def listening() -> AsyncIterator[Listener]:
    listener = Listener("")
    application = web.Application()
    application.add_routes([web.get("/ping-secret-4711", listener.hear)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        listener.url = f"http://127.0.0.1:{runner.addresses[0][1]}/ping-secret-4711"
        yield listener
    finally:
        await runner.cleanup()


async def test_a_ping_is_called_only_while_the_destination_takes_messages(tmp_path: Path) -> None:
    async with (
        Simulation(clock=SystemClock()) as simulation,
        listening() as listener,
        ClientSession() as session,
    ):
        pings = f'pings: {{outside: {{url: "{listener.url}", every: 1s, destinations: [elven]}}}}\n'
        rules = f"{pings}rules: [{{name: everything, send: [elven]}}]\n"
        daemon = Daemon(tmp_path, stand_ins=simulation.base_url, rules=rules)

        async def behave(**behaviour: object) -> None:
            address = f"{simulation.base_url}/behaviour/elven"
            async with session.put(address, json=behaviour) as answer:
                assert answer.status == 200, await answer.text()

        async def paused() -> bool:
            return bool((await daemon.get("/api/v1/destinations/elven"))["state"] == "paused")

        try:
            await daemon.start()
            await until(lambda: listener.calls >= 3)
            await behave(mode="status", status=401)
            assert (
                await daemon.post(b'{"alerts": [{"status": "firing", "labels": {"alertname": "Down"}}]}')
                == 202
            )
            async with asyncio.timeout(30):
                while not await paused():  # noqa: ASYNC110 - another process is watched
                    await asyncio.sleep(0.05)
            await asyncio.sleep(1.5)  # one that was under way
            before = listener.calls
            await asyncio.sleep(4)
            assert listener.calls == before
            assert daemon.stop() == 0
            log = daemon.log.read_text(encoding="utf-8")
            assert log.count("ping.withheld") == 1
            assert "ping-secret-4711" not in log
        finally:
            daemon.end_if_running()
