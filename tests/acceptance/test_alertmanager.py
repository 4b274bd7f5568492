"""A real Alertmanager in, the stand-ins of Elven and Hivel out, the real daemon between them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from alertbridge.clock import SystemClock
from alertbridge.simulate.server import Simulation
from tests.support.alertmanager import PROGRAM, Alertmanager, Firing
from tests.support.daemon import TOKEN, Daemon

GROUP = "demo/HighErrorRate"
RULES = """
rules:
  - name: by-group
    key: "{{ labels.cluster }}/{{ labels.alertname }}"
    send: [elven, hivel]
    continue: true
  - name: by-alert
    key: "{{ labels.instance }}"
    send: [elven, hivel]
"""


def firing(instance: str) -> Firing:
    labels = {
        "alertname": "HighErrorRate",
        "service": "checkout",
        "cluster": "demo",
        "instance": instance,
        "severity": "critical",
    }
    return Firing(labels, {"summary": f"High error rate on {instance}"}, datetime.now(UTC))


async def until(what: Callable[[], bool], *, within: float = 30) -> None:
    async with asyncio.timeout(within):
        while not what():  # noqa: ASYNC110 - the stand-in has no event to wait for
            await asyncio.sleep(0.05)


@pytest.mark.program(PROGRAM)
async def test_the_main_job_from_a_real_alertmanager(tmp_path: Path) -> None:
    """It fires, the group grows, one resolves, all resolve, it fires again."""
    async with Simulation(clock=SystemClock()) as simulation:
        daemon = Daemon(tmp_path, stand_ins=simulation.base_url, rules=RULES)
        source = Alertmanager(tmp_path / "am", url=f"{daemon.url}/v1/sources/prod", token=TOKEN)
        try:
            await daemon.start()
            await source.start()
            await story(source, simulation)
            await daemon.settled()
            await asyncio.sleep(2.5)  # two more flushes, which must be silent
            judge(simulation)
            await judge_api(daemon)
            assert daemon.stop() == 0
        finally:
            source.stop()
            daemon.end_if_running()


def elven(simulation: Simulation, key: str) -> str:
    found: dict[str, Any] = simulation.incidents["elven"].get(key, {})
    return str(found.get("state"))


async def story(source: Alertmanager, simulation: Simulation) -> None:
    one, two = firing("web-1"), firing("web-2")
    await source.tell([one])
    await until(lambda: [elven(simulation, k) for k in ("web-1", GROUP)] == ["alarmed"] * 2)
    await source.tell([one, two])
    await until(lambda: elven(simulation, "web-2") == "alarmed")
    one.ends_at = datetime.now(UTC)
    await source.tell([one, two])
    await until(lambda: elven(simulation, "web-1") == "resolved")
    assert elven(simulation, GROUP) == "alarmed"
    two.ends_at = datetime.now(UTC)
    await source.tell([two])
    await until(lambda: [elven(simulation, k) for k in ("web-2", GROUP)] == ["resolved"] * 2)
    await until(lambda: len(simulation.incidents["hivel"]) == 3)
    again = firing("web-1")
    await source.tell([again])
    await until(lambda: [elven(simulation, k) for k in ("web-1", GROUP)] == ["alarmed"] * 2)


def judge(simulation: Simulation) -> None:
    """Elven's final state and Hivel's records are exactly right."""
    assert all(item.problem is None for item in simulation.received)
    assert {
        key: (one["state"], one["alarmed"], one["resolved"])
        for key, one in simulation.incidents["elven"].items()
    } == {"web-1": ("alarmed", 2, 1), "web-2": ("resolved", 1, 1), GROUP: ("alarmed", 2, 1)}
    records = [item.body for item in simulation.received if item.destination == "hivel"]
    assert len(records) == 3
    assert len({record["provider_id"] for record in records if isinstance(record, dict)}) == 3
    for record in records:
        assert isinstance(record, dict)
        assert (record["repo_url"], record["pr_number"]) == ("https://github.com/acme/checkout", "44")
        assert record["severity"] == "critical"
        assert record["reported_time"] <= record["resolution_time"]


async def judge_api(daemon: Daemon) -> None:
    """What the admin API tells of it is the same."""
    incidents = (await daemon.get("/api/v1/incidents"))["items"]
    assert sorted((i["key"], i["destination"]) for i in incidents if i["state"] == "open") == [
        (GROUP, "elven"),
        (GROUP, "hivel"),
        ("web-1", "elven"),
        ("web-1", "hivel"),
    ]
    (grouped,) = (
        i for i in incidents if (i["key"], i["state"], i["destination"]) == (GROUP, "closed", "elven")
    )
    assert sorted(a["status"] for a in grouped["alerts"]) == ["resolved", "resolved"]
    deliveries = (await daemon.get("/api/v1/deliveries?destination=elven&key=web-1"))["items"]
    assert [d["action"] for d in deliveries] == ["alarmed", "resolved", "alarmed"]
    assert {d["state"] for d in deliveries} == {"delivered"}
    assert {d["attempts"] for d in deliveries} == {1}
