"""The real daemon and a destination that refuses, limits or fails: what it does, and what it remembers over a kill."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession

from alertbridge.clock import SystemClock
from alertbridge.simulate.ledger import Received
from alertbridge.simulate.server import Simulation
from tests.support.daemon import Daemon

MAIN = """
server: {{listen: "127.0.0.1:{port}", drain_timeout: 1s}}
storage: {{url: "sqlite:///{folder}/alertbridge.db"}}
log: {{level: info, format: json}}
sources:
  prod: {{type: alertmanager, auth: {{bearer_token: {token}}}}}
destinations:
  elven: {{type: elven, url_file: elven-url, timeout: 2s, probe_interval: 1h}}
  hivel: {{type: hivel, base_url: "{stand_ins}/hivel", token: token-of-hivel, timeout: 2s}}
"""
RULES = "rules: [{name: everything, send: {elven: {title: by the first}}}]\n"


@dataclass
class Night:
    """A daemon whose stand-in of Elven takes two tokens."""

    daemon: Daemon
    simulation: Simulation
    session: ClientSession

    def token(self, token: str) -> None:
        path = self.daemon.folder / "elven-url"
        path.write_text(f"{self.simulation.base_url}/elven/{token}\n", encoding="utf-8")

    async def fire(self, name: str) -> None:
        alert = {"status": "firing", "labels": {"alertname": name}, "fingerprint": name}
        assert await self.daemon.post(json.dumps({"alerts": [alert]}).encode()) == 202

    async def behave(self, **behaviour: object) -> None:
        url = f"{self.simulation.base_url}/behaviour/elven"
        async with self.session.put(url, json=behaviour) as answer:
            assert answer.status == 200, await answer.text()

    async def restore(self) -> None:
        async with self.session.delete(f"{self.simulation.base_url}/behaviour/elven") as answer:
            assert answer.status == 204

    async def shown(self) -> Any:
        return await self.daemon.get("/api/v1/destinations/elven")

    async def stands(self, state: str, reason: str | None = None) -> None:
        async def so() -> bool:
            shown = await self.shown()
            return (shown["state"], shown["reason"]) == (state, reason)

        await self.until(so)

    async def delivered(self, number: int, *, within: float = 60) -> list[Received]:
        async def so() -> bool:
            return len(self.good) >= number

        await self.until(so, within=within)
        return self.good

    @property
    def good(self) -> list[Received]:
        return [one for one in self.simulation.received if one.taken]

    async def until(self, holds: Callable[[], Awaitable[bool]], *, within: float = 60) -> None:
        async with asyncio.timeout(within):
            while not await holds():  # noqa: ASYNC110 - another process is watched
                await asyncio.sleep(0.05)


@pytest_asyncio.fixture
async def night(tmp_path: Path) -> AsyncIterator[Night]:
    tokens = frozenset({"token-of-elven", "token-of-tomorrow"})
    async with Simulation(elven_tokens=tokens, clock=SystemClock()) as simulation, ClientSession() as session:
        daemon = Daemon(tmp_path, stand_ins=simulation.base_url, rules=RULES, main=MAIN)
        night = Night(daemon, simulation, session)
        night.token("token-of-elven")
        await daemon.start()
        try:
            yield night
        finally:
            daemon.end_if_running()


async def refused(night: Night) -> None:
    night.token("token-that-is-wrong")
    assert night.daemon.stop() == 0
    await night.daemon.start()
    await night.fire("one")
    await night.stands("paused", "unauthorized")


async def test_a_new_token_in_its_file_is_taken_up_without_a_reload(night: Night) -> None:
    await refused(night)
    rules = night.daemon.configuration.read_text(encoding="utf-8").replace("first", "second")
    # That waits for a reload, for files are not watched.
    night.daemon.configuration.write_text(rules, encoding="utf-8")
    (night.daemon.folder / "elven-url").write_text(
        "", encoding="utf-8"
    )  # as an editor may leave it for a moment
    await asyncio.sleep(3)
    assert night.good == []
    night.token("token-of-tomorrow")

    await night.delivered(1, within=30)

    await night.stands("ok")
    await night.fire("two")
    last = (await night.delivered(2))[-1]
    assert last.body["title"] == "by the first", "nothing else was read again"
    log = night.daemon.log.read_text(encoding="utf-8")
    assert (log.count("secret.unusable"), log.count("secret.taken_up")) == (1, 1)
    assert "token-of-tomorrow" not in log
    assert "config.reloaded" not in log
    await night.daemon.settled()  # or what was sent before the kill is in doubt, and is sent again
    night.daemon.kill()
    await night.daemon.start()
    await night.fire("three")
    assert (await night.delivered(3))[-1].body["title"] == "by the second"


async def test_a_reload_takes_up_a_new_token_and_tries_at_once_where_the_old_one_is_right_again(
    night: Night,
) -> None:
    await night.behave(mode="status", status=403)
    await night.fire("one")
    await night.stands("paused", "forbidden")
    await night.restore()  # the vendor lets this address in now
    async with night.session.post(f"{night.daemon.url}/-/reload") as answer:
        assert answer.status == 200
    await night.delivered(1, within=30)
    await night.stands("ok")

    await night.behave(mode="status", status=401, times=1)
    await night.fire("two")
    await night.stands("paused", "unauthorized")
    night.token("token-of-tomorrow")
    async with night.session.post(f"{night.daemon.url}/-/reload") as answer:
        assert answer.status == 200
    await night.delivered(2, within=30)


@pytest.mark.parametrize("how", ["kill", "stop"])
async def test_a_restart_sends_nothing_before_a_retry_after_has_run_out(night: Night, how: str) -> None:
    await night.behave(mode="status", status=429, headers={"Retry-After": "10"}, times=1)
    await night.fire("one")
    await night.stands("paused", "rate_limited")

    async def stored() -> bool:
        (delivery,) = (await night.daemon.get("/api/v1/deliveries"))["items"]
        return bool(delivery["last_outcome"] == "paused")

    await night.until(stored)
    (limited,) = night.simulation.received
    if how == "kill":
        night.daemon.kill()
    else:
        assert night.daemon.stop() == 0

    await night.daemon.start()
    await night.fire("two")
    first = (await night.delivered(2, within=60))[0]

    assert first.at - limited.at >= timedelta(seconds=10)
    await night.stands("ok")


async def test_a_destination_that_fails_is_shown_with_an_open_breaker(night: Night) -> None:
    await night.behave(mode="status", status=503)
    for number in range(12):
        await night.fire(f"alert-{number}")
    await night.stands("breaker", "breaker")
    shown = await night.shown()
    assert shown["resumes_at"] is not None
    assert "attempts failed within a minute; the last: HTTP 503" in shown["detail"]
    assert shown["concurrency"] == 1
    async with night.session.get(f"{night.daemon.url}/metrics") as answer:
        page = await answer.text()
    assert 'alertbridge_destination_paused{destination="elven",reason="breaker"} 1.0' in page
    assert 'alertbridge_concurrency{destination="elven"} 1.0' in page
    assert 'alertbridge_concurrency{destination="hivel"} 4.0' in page
    await night.restore()
    await night.stands("ok")
    await night.delivered(12)
