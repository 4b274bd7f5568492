"""Alertmanagers that forget, are silenced, inhibited, killed or truncated; the real daemon asks them what fires."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from alertbridge.clock import SystemClock
from alertbridge.simulate.server import Simulation
from tests.support.alertmanager import PROGRAM, ROUTE, Alertmanager, Firing
from tests.support.daemon import CONFIGURATION, TOKEN, Daemon, free_port

pytestmark = pytest.mark.program(PROGRAM)
QUICK = "every: 200ms, absent_for: 1500ms, grace: 1s"
KEYS = 'rules: [{name: by-name, key: "{{ labels.alertname }}", send: [elven, hivel]}]\n'
SLOW_GROUPS = ROUTE.replace("group_interval: 1s", "group_interval: 1h")
INHIBITING = (
    ROUTE
    + """
inhibit_rules:
  - source_matchers: [alertname="Boss"]
    target_matchers: [alertname="Minion"]
"""
)


@dataclass
class Scene:
    """The daemon, its Alertmanagers, and the stand-ins."""

    daemon: Daemon
    peers: list[Alertmanager]
    simulation: Simulation

    async def tell(self, *alerts: Firing) -> None:
        await asyncio.gather(*(peer.tell(alerts) for peer in self.peers))

    def elven(self, key: str) -> str:
        found: dict[str, Any] = self.simulation.incidents["elven"].get(key, {})
        return str(found.get("state"))

    async def until(self, key: str, state: str) -> None:
        await until(lambda: self.elven(key) == state)

    async def rounds(self, key: str, state: str, *, seconds: float = 3) -> None:
        """Twice as long as an absence must last, and nothing changes."""
        await asyncio.sleep(seconds)
        assert self.elven(key) == state

    def said(self, key: str, action: str) -> list[dict[str, Any]]:
        bodies = [one.body for one in self.simulation.received if one.destination == "elven"]
        return [
            body
            for body in bodies
            if isinstance(body, dict) and (body["external_aggregate_key"], body["action"]) == (key, action)
        ]

    def inferred(self, key: str) -> bool:
        """What the last `resolved` said of it."""
        return {"name": "inferred", "value": "true"} in self.said(key, "resolved")[-1]["tags"]

    async def reasons(self, how: str) -> list[str]:
        return [one[how] for one in (await self.daemon.get("/api/v1/events?limit=500"))["items"] if one[how]]


async def until(what: Callable[[], bool], *, within: float = 40) -> None:
    async with asyncio.timeout(within):
        while not what():  # noqa: ASYNC110 - other processes are watched
            await asyncio.sleep(0.05)


def firing(name: str, **labels: str) -> Firing:
    labels = {"alertname": name, "service": "checkout", "severity": "critical", **labels}
    return Firing(labels, {"summary": name}, datetime.now(UTC))


@asynccontextmanager
async def scene(
    folder: Path,
    *,
    number: int = 1,
    settings: str = QUICK,
    route: str = ROUTE,
    source: str = "",
    rules: str = KEYS,
) -> AsyncIterator[Scene]:
    """`number` Alertmanagers, a cluster if they are two, and the daemon that is told of them."""
    async with Simulation(clock=SystemClock()) as simulation:
        daemon = Daemon(folder, stand_ins=simulation.base_url, rules=rules)
        url = f"{daemon.url}/v1/sources/prod"
        gossip: list[int | None] = [free_port() for _ in range(number)] if number > 1 else [None]
        peers = [
            Alertmanager(
                folder / f"am{n}",
                url=url,
                token=TOKEN,
                route=route,
                gossip=port,
                joins=gossip[0] if n else None,
            )
            for n, port in enumerate(gossip)
        ]
        urls = ", ".join(f'"{peer.url}"' for peer in peers)
        told = source or f"reconcile: {{urls: [{urls}], {settings}}}"
        text = daemon.configuration.read_text(encoding="utf-8")
        assert "    type: alertmanager\n" in CONFIGURATION
        changed = text.replace("    type: alertmanager\n", f"    type: alertmanager\n    {told}\n")
        daemon.configuration.write_text(changed, encoding="utf-8")
        try:
            await asyncio.gather(*(peer.start() for peer in peers))
            await daemon.start()
            yield Scene(daemon, peers, simulation)
            await daemon.settled()
            assert all(item.problem is None for item in simulation.received)
            assert daemon.stop() == 0
        finally:
            for peer in peers:
                peer.stop()
            daemon.end_if_running()


async def test_what_an_alertmanager_forgot_in_a_restart_without_its_data_ends_as_inferred(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as it:
        (peer,) = it.peers
        await it.tell(firing("Down"))
        await it.until("Down", "alarmed")
        await it.rounds("Down", "alarmed")
        peer.kill(forget=True)
        await it.rounds("Down", "alarmed")  # it does not answer: nothing is known
        await peer.start()
        await it.until("Down", "resolved")
        assert it.inferred("Down")
        await until(lambda: len(it.simulation.incidents["hivel"]) == 1)
        (record,) = [one.body for one in it.simulation.received if one.destination == "hivel"]
        assert isinstance(record, dict)
        assert record["reported_by"].endswith("(end inferred)")
        (reason,) = await it.reasons("inferred")
        assert re.fullmatch(r"absent on its peer since [0-9T:-]+Z", reason)
        (incident, _) = (await it.daemon.get("/api/v1/incidents"))["items"]
        assert (incident["state"], incident["inferred"]) == ("closed", True)
        assert len(it.said("Down", "resolved")) == 1


async def test_a_resolve_that_died_with_its_alertmanager_is_made_up_for(tmp_path: Path) -> None:
    """Killed between the resolve and the next flush: Alertmanager never sends it, started again or not."""
    async with scene(tmp_path, route=SLOW_GROUPS) as it:
        (peer,) = it.peers
        alert = firing("Down")
        await it.tell(alert)
        await it.until("Down", "alarmed")
        alert.ends_at = datetime.now(UTC)
        await it.tell(alert)
        peer.kill()
        await peer.start()
        await it.until("Down", "resolved")
        assert it.inferred("Down")


async def test_an_end_that_alertmanager_tells_in_time_is_not_inferred(tmp_path: Path) -> None:
    """A Prometheus that fell silent: its Alertmanager resolves the alert by itself, and says so."""
    async with scene(tmp_path, settings=QUICK.replace("1500ms", "30s")) as it:
        alert = firing("Down")
        await it.tell(alert)
        await it.until("Down", "alarmed")
        alert.ends_at = datetime.now(UTC)
        await it.tell(alert)
        await it.until("Down", "resolved")
        assert not it.inferred("Down")
        assert await it.reasons("inferred") == []


async def test_as_long_as_one_of_two_peers_lists_it_or_does_not_answer_an_alert_fires(tmp_path: Path) -> None:
    async with scene(tmp_path, number=2) as it:
        first, second = it.peers
        await it.tell(firing("Down"))
        await it.until("Down", "alarmed")
        first.kill(forget=True)
        await it.rounds("Down", "alarmed")
        await first.start()
        await it.rounds("Down", "alarmed", seconds=5)  # the second still lists it
        second.kill(forget=True)
        await it.rounds("Down", "alarmed")  # the first has forgotten it, the second does not answer
        await second.start()
        await it.until("Down", "resolved")
        assert it.inferred("Down")
        assert (await it.reasons("inferred"))[0].startswith("absent on all 2 peers since ")


@pytest.mark.parametrize("number", [1, 2])
async def test_a_silence_keeps_an_incident_open(tmp_path: Path, number: int) -> None:
    async with scene(tmp_path, number=number) as it:
        alert = firing("Down")
        await it.tell(alert)
        await it.until("Down", "alarmed")
        await it.peers[0].silence(alertname="Down")
        await it.rounds("Down", "alarmed")
        assert await it.reasons("inferred") == []


@pytest.mark.parametrize("number", [1, 2])
async def test_a_silence_ends_an_incident_where_that_is_wanted_and_its_end_begins_another(
    tmp_path: Path, number: int
) -> None:
    async with scene(tmp_path, number=number, settings=f"{QUICK}, suppressed: resolve") as it:
        await it.tell(firing("Down"))
        await it.until("Down", "alarmed")
        silence = await it.peers[0].silence(alertname="Down")
        await it.until("Down", "resolved")
        assert it.inferred("Down")
        assert (await it.reasons("inferred"))[0].startswith(
            "silenced or inhibited, and active on no peer at "
        )
        await it.peers[0].end_silence(silence)
        await it.until("Down", "alarmed")
        assert len(it.said("Down", "alarmed")) == 2
        assert (await it.reasons("adopted"))[0].endswith(", after its end was inferred")


async def test_an_inhibited_alert_ends_where_that_is_wanted(tmp_path: Path) -> None:
    async with scene(tmp_path, route=INHIBITING, settings=f"{QUICK}, suppressed: resolve") as it:
        await it.tell(firing("Minion"))
        await it.until("Minion", "alarmed")
        boss = firing("Boss")
        await it.tell(boss)
        await it.until("Minion", "resolved")
        await it.until("Boss", "alarmed")
        assert it.inferred("Minion")
        boss.ends_at = datetime.now(UTC)
        await it.tell(boss)
        await it.until("Minion", "alarmed")
        await it.until("Boss", "resolved")
        assert not it.inferred("Boss")


async def test_what_a_truncated_notification_leaves_out_is_adopted(tmp_path: Path) -> None:
    route = ROUTE.replace("name: bridge", "name: bridge.eu+us").replace(
        "receiver: bridge", "receiver: bridge.eu+us"
    )
    route = route.replace("      - url: {url}", "      - url: {url}\n        max_alerts: 1")
    keys = KEYS.replace("labels.alertname", "labels.instance")
    async with scene(tmp_path, route=route, rules=keys, settings="every: 1h, grace: 0s") as it:
        await it.tell(*(firing("Down", instance=f"web-{n}") for n in range(4)))
        for n in range(4):
            await it.until(f"web-{n}", "alarmed")
        (reason,) = await it.reasons("adopted")
        place = it.peers[0].url.removeprefix("http://")
        assert reason == f"active on {place}, left out of a truncated notification"


async def test_a_peer_is_shown_as_it_stands_and_its_secrets_are_not(tmp_path: Path) -> None:
    nobody = free_port()
    source = (
        f'reconcile: {{urls: ["http://me:hush-hush-hush@127.0.0.1:{nobody}/?t=canary-of-the-url"], {QUICK}}}'
    )
    async with scene(tmp_path, source=source) as it:
        await until(lambda: "peer.unknown" in it.daemon.log.read_text())
        metrics = await page(it.daemon)
        assert f'alertbridge_peer_up{{peer="127.0.0.1:{nobody}",source="prod"}} 0.0' in metrics
        assert "no connection: " in it.daemon.log.read_text()
        for shown in (metrics, it.daemon.log.read_text()):
            assert "hush" not in shown
            assert "canary" not in shown


@pytest.mark.parametrize("choice", ["flag", "resolve"])
async def test_without_peers_an_alert_that_is_not_repeated_is_stale(tmp_path: Path, choice: str) -> None:
    source = f"expect_repeat: 2s\n    stale_alerts: {choice}"
    async with scene(tmp_path, source=source) as it:
        await it.tell(firing("Down"))
        await it.until("Down", "alarmed")
        (one, _) = (await it.daemon.get("/api/v1/incidents"))["items"]
        assert [alert["stale"] for alert in one["alerts"]] == [False]
        if choice == "flag":
            await asyncio.sleep(2.5)
            (one, _) = (await it.daemon.get("/api/v1/incidents"))["items"]
            assert (one["state"], [alert["stale"] for alert in one["alerts"]]) == ("open", [True])
            assert 'alertbridge_alerts_stale{source="prod"} 1.0' in await page(it.daemon)
            (traced, _) = (await it.daemon.get("/api/v1/trace/Down"))["incidents"]
            assert [alert["stale"] for alert in traced["alerts"]] == [True]
        else:
            await it.until("Down", "resolved")
            assert it.inferred("Down")
            assert (await it.reasons("inferred"))[0].startswith("not heard of since ")


async def page(daemon: Daemon) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"{daemon.url}/metrics") as answer:
        return await answer.text()


async def test_a_reload_begins_exchanges_and_ends_the_asking(tmp_path: Path) -> None:
    source = 'reconcile: {urls: ["http://127.0.0.1:9"], every: 100ms}'
    async with scene(tmp_path, source=source) as it:
        text = it.daemon.configuration.read_text(encoding="utf-8")

        async def reloaded(line: str) -> str:
            it.daemon.configuration.write_text(text.replace(source, line), encoding="utf-8")
            async with (
                aiohttp.ClientSession() as session,
                session.post(f"{it.daemon.url}/-/reload") as answer,
            ):
                assert answer.status == 200, await answer.text()
            await asyncio.sleep(1)
            return "\n".join(re.findall(r"^alertbridge_peer_up.*$", await page(it.daemon), re.MULTILINE))

        assert await reloaded("allow_from: []") == ""
        assert await reloaded(source) == 'alertbridge_peer_up{peer="127.0.0.1:9",source="prod"} 0.0'
        live = source.replace("http://127.0.0.1:9", it.peers[0].url).replace("100ms", "100ms, grace: 0s")
        place = it.peers[0].url.removeprefix("http://")
        assert await reloaded(live) == f'alertbridge_peer_up{{peer="{place}",source="prod"}} 1.0'
