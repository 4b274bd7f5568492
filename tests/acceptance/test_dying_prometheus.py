"""A Prometheus that dies, as its Alertmanager tells it: leases that run out, of the real one, to the real daemon."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from alertbridge.clock import SystemClock
from alertbridge.simulate.server import Simulation
from tests.support.alertmanager import PROGRAM, Alertmanager, Firing
from tests.support.daemon import TOKEN, Daemon, surroundings

HEARTBEAT = "alertbridge/heartbeat/watchdog"
LEASE = timedelta(seconds=6)
RULES = """
heartbeats:
  - name: watchdog
    when: [alertname = Watchdog, source = prod]
    every: 5m
    grace: 5m
    hold_resolves: 5s
    send: [elven]
rules:
  - name: everything
    key: "{{ labels.alertname }}"
    send: [elven]
"""
ROUTE = """
route:
  receiver: bridge
  group_by: [alertname]
  group_wait: 0s
  group_interval: 4s
  repeat_interval: 1h
  routes:
    - matchers: [alertname = Watchdog]
      receiver: bridge
      group_wait: 0s
      group_interval: 1s
      repeat_interval: 1s
receivers:
  - name: bridge
    webhook_configs:
      - url: {url}
        http_config: {{authorization: {{credentials: {token}}}}}
"""


@dataclass
class Outage:
    """What is told by a Prometheus, and what becomes of it at the other end."""

    daemon: Daemon
    source: Alertmanager
    simulation: Simulation

    async def lease(self, *names: str, span: timedelta = LEASE) -> None:
        """These fire, as of now, and nothing more is said of them."""
        now = datetime.now(UTC)
        await self.source.tell(Firing({"alertname": name}, {}, now, now + span) for name in names)

    def states(self) -> dict[str, str]:
        return {key: str(one["state"]) for key, one in self.simulation.incidents["elven"].items()}

    def told(self) -> list[tuple[str, str]]:
        return [(one.body["action"], str(one.key)) for one in self.simulation.received]

    def listed(self) -> Any:
        """What `alertbridge heartbeats --json` prints of the one heartbeat."""
        command = [sys.executable, "-m", "alertbridge", "heartbeats", "--json"]
        command += ["--config", str(self.daemon.configuration)]
        run = subprocess.run(command, capture_output=True, check=True, env=surroundings(), timeout=30)
        (one,) = json.loads(run.stdout)
        return one

    async def held(self) -> dict[str, Any]:
        open_ones = (await self.daemon.get("/api/v1/incidents?state=open"))["items"]
        alerts = {one["key"]: one["alerts"][0] for one in open_ones}
        return {key: alert["held"] for key, alert in alerts.items() if alert["held"]}


@asynccontextmanager
async def outage(folder: Path, rules: str) -> AsyncIterator[Outage]:
    async with Simulation(clock=SystemClock()) as simulation:
        daemon = Daemon(folder, stand_ins=simulation.base_url, rules=rules)
        source = Alertmanager(folder / "am", url=f"{daemon.url}/v1/sources/prod", token=TOKEN, route=ROUTE)
        try:
            await daemon.start()
            await source.start()
            yield Outage(daemon, source, simulation)
            assert daemon.stop() == 0
        finally:
            source.stop()
            daemon.end_if_running()


async def until(what: Callable[[], Awaitable[bool]], *, within: float = 60) -> None:
    async with asyncio.timeout(within):
        while not await what():  # noqa: ASYNC110 - other processes are watched
            await asyncio.sleep(0.1)


@pytest.mark.program(PROGRAM)
@pytest.mark.parametrize("restarts", [False, True], ids=["", "killed in between"])
async def test_only_what_does_not_come_back_with_its_prometheus_is_resolved(
    tmp_path: Path, *, restarts: bool
) -> None:
    async with outage(tmp_path, RULES) as it:

        async def all_alarmed() -> bool:
            return it.states() == {"Down": "alarmed", "Full": "alarmed"}

        async def both_held() -> bool:
            return set(await it.held()) == {"Down", "Full"} and HEARTBEAT in it.states()

        async def down_is_over() -> bool:
            return it.states()["Down"] == "resolved"

        await it.lease("Watchdog", "Down", "Full")
        await until(all_alarmed)
        await until(both_held)
        assert (await it.held())["Down"]["heartbeat"] == "watchdog"
        if restarts:
            await it.daemon.settled()  # or what was sent before the kill is in doubt, and is sent again
            it.daemon.kill()
            await it.daemon.start()
        await asyncio.sleep(8)  # longer than they would be held after a return
        assert it.states() == {"Down": "alarmed", "Full": "alarmed", HEARTBEAT: "alarmed"}
        assert (it.listed()["silent"], it.listed()["held"]) == (True, 2)

        await it.lease("Watchdog", "Full", span=timedelta(minutes=5))
        await until(down_is_over)
        await it.daemon.settled()
        assert it.states() == {"Down": "resolved", "Full": "alarmed", HEARTBEAT: "resolved"}
        assert sorted(it.told()) == sorted(
            [("alarmed", name) for name in ("Down", "Full", HEARTBEAT)]
            + [("resolved", name) for name in (HEARTBEAT, "Down")]
        )
        assert (it.listed()["silent"], it.listed()["held"]) == (False, 0)


@pytest.mark.program(PROGRAM)
async def test_without_hold_resolves_what_a_dying_prometheus_resolves_is_passed_on(tmp_path: Path) -> None:
    async with outage(tmp_path, RULES.replace("    hold_resolves: 5s\n", "")) as it:

        async def all_resolved() -> bool:
            return it.states() == {"Down": "resolved", "Full": "resolved", HEARTBEAT: "alarmed"}

        await it.lease("Watchdog", "Down", "Full")
        await until(all_resolved)
