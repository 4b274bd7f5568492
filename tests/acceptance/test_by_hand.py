"""What an operator asks and does at night, by the commands, at the real daemon."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest_asyncio

from alertbridge.clock import SystemClock
from alertbridge.simulate.server import Simulation
from tests.support.daemon import Daemon, surroundings

RULES = """
rules:
  - name: everything
    key: "{{ labels.cluster }}/{{ labels.alertname }}"
    send: [elven, hivel]
"""
LABELS = {"alertname": "Down", "cluster": "eu", "severity": "page", "service": "unknown"}


@dataclass
class Night:
    """A daemon with stand-ins, and the commands to ask it."""

    daemon: Daemon
    stand_ins: Simulation

    async def say(self, status: str) -> None:
        alert = {"status": status, "labels": LABELS, "annotations": {"summary": "eu is down"}}
        assert await self.daemon.post(orjson.dumps({"alerts": [alert]})) == 202
        await self.daemon.settled()

    async def run(self, *arguments: str, code: int = 0) -> str:
        """What the command says, with its complaints where it is to have any; it must end with `code`."""
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "alertbridge", *arguments, "--config", str(self.daemon.configuration)],
            capture_output=True,
            text=True,
            env={**surroundings(), "USER": "alice", "LOGNAME": "alice"},
            timeout=60,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stdout + done.stderr

    async def items(self, *arguments: str) -> Any:
        return json.loads(await self.run(*arguments, "--json"))

    def told(self, destination: str) -> list[Any]:
        """What a stand-in took, in order."""
        return [
            received.body
            for received in self.stand_ins.received
            if received.destination == destination and received.status == 200
        ]

    async def misbehave(self, destination: str, behaviour: dict[str, Any] | None) -> None:
        url = f"{self.stand_ins.base_url}/behaviour/{destination}"
        async with (
            aiohttp.ClientSession() as session,
            session.request("PUT" if behaviour else "DELETE", url, json=behaviour) as answer,
        ):
            assert answer.status < 300, await answer.text()


@pytest_asyncio.fixture
async def night(tmp_path: Path) -> AsyncIterator[Night]:
    async with Simulation(clock=SystemClock()) as stand_ins:
        daemon = Daemon(tmp_path, stand_ins=stand_ins.base_url, rules=RULES)
        try:
            await daemon.start()
            yield Night(daemon, stand_ins)
        finally:
            daemon.end_if_running()


async def test_a_held_record_is_found_completed_and_sent(night: Night) -> None:
    await night.say("firing")
    await night.say("resolved")
    (held,) = await night.items("deliveries", "--state", "held")
    assert held["missing"] == ["repo_url", "pr_number"]
    table = await night.run("deliveries", "--state", "held")
    assert "missing: repo_url, pr_number" in table
    assert not night.told("hivel")

    said = await night.run(
        "complete", held["incident"], "--repo-url", "git@github.com:acme/checkout.git", "--pr-number", "#44"
    )
    assert said == f"delivery {held['id']} to hivel: pending\n"
    await night.daemon.settled()

    (record,) = night.told("hivel")
    assert (record["repo_url"], record["pr_number"]) == ("https://github.com/acme/checkout", "44")
    again = await night.run("complete", held["incident"], "--pr-number", "45", code=1)
    assert again == "Error: its record is delivered and lacks nothing\n"
    (entry,) = await night.items("audit")
    assert (entry["who"], entry["action"]) == ("alice (this machine, without a token)", "complete")


async def test_a_record_that_nobody_wants_is_skipped(night: Night) -> None:
    await night.say("firing")
    (incident,) = await night.items("incidents", "--destination", "hivel")
    early = await night.run("skip", incident["id"], "--reason", "a drill", code=1)
    assert "a record is made when an incident is over" in early
    await night.say("resolved")
    assert "skipped" in await night.run("skip", incident["id"], "--reason", "a drill")
    assert not night.told("hivel")


async def test_a_dead_message_is_sent_again_when_its_cause_is_gone(night: Night) -> None:
    await night.misbehave("elven", {"mode": "status", "status": 422})
    await night.say("firing")
    (dead,) = await night.items("deliveries", "--state", "dead")
    assert "422" in dead["last_error"]
    await night.misbehave("elven", None)
    assert await night.run("deliveries", "retry", dead["id"]) == f"delivery {dead['id']} to elven: pending\n"
    await night.daemon.settled()
    assert [one["action"] for one in night.told("elven")] == ["alarmed"]
    shown = json.loads(await night.run("deliveries", "show", dead["id"]))
    assert [(one["number"], one["outcome"]) for one in shown["history"]] == [
        (1, "rejected"),
        (2, "delivered"),
    ]


async def test_a_dead_alarm_is_not_raised_when_its_incident_is_over_unless_forced(night: Night) -> None:
    await night.misbehave("elven", {"mode": "status", "status": 422})
    await night.say("firing")
    await night.misbehave("elven", None)
    await night.say("resolved")
    (dead,) = await night.items("deliveries", "--state", "dead")
    refused = await night.run("deliveries", "retry", dead["id"], code=1)
    assert "something newer was delivered on its key" in refused
    discarded = await night.run("deliveries", "discard", dead["id"], "--reason", "it is over")
    assert discarded == f"delivery {dead['id']} to elven: discarded\n"
    assert night.told("elven") == [], "of what it was never told of, it is not told the end either"


async def test_the_whole_story_of_an_alert_is_told_in_order(night: Night) -> None:
    await night.say("firing")
    await night.say("firing")
    await night.say("resolved")
    (held,) = await night.items("deliveries", "--state", "held")
    await night.run(
        "complete", held["incident"], "--repo-url", "https://github.com/acme/x", "--pr-number", "7"
    )
    await night.daemon.settled()

    story = await night.items("trace", "eu/Down")
    steps = [(entry["what"], entry.get("action") or entry.get("status")) for entry in story["story"]]
    assert steps == [
        ("heard", "firing"),
        ("said", "alarmed"),
        ("tried", "alarmed"),
        ("heard", "firing"),
        ("heard", "resolved"),
        ("said", "resolved"),
        ("said", "record"),
        ("tried", "resolved"),
        ("operator", "complete"),
        ("tried", "record"),
    ]
    assert story["complete"]

    incident = story["incidents"][0]
    fingerprint = incident["alerts"][0]["fingerprint"]
    for asked in (incident["id"], fingerprint, f"prod/{fingerprint}", held["id"], story["story"][0]["event"]):
        assert any(
            one["what"] == "heard" and one["status"] == "resolved"
            for one in (await night.items("trace", asked))["story"]
        ), asked

    text = await night.run("trace", "eu/Down")
    for words in (
        "elven: closed, critical",
        "key eu/Down, rule everything of rule set",
        "opened at elven, opened at hivel",
        "repeated at elven, repeated at hivel",
        "attempt   elven alarmed #1: delivered, HTTP 200",
        "hivel record: delivered",
        "by hand   complete by alice (this machine, without a token)",
    ):
        assert words in text, text
    unknown = await night.run("trace", "nobody", code=1)
    assert 'nothing is known of "nobody"' in unknown
    assert "`alertbridge incidents` lists keys" in unknown


async def test_a_destination_that_refuses_the_token_is_seen_at_a_glance(night: Night) -> None:
    await night.misbehave("elven", {"mode": "status", "status": 401})
    assert await night.daemon.post(orjson.dumps({"alerts": [{"status": "firing", "labels": LABELS}]})) == 202
    async with asyncio.timeout(20):
        while (await night.items("destinations", "show", "elven"))["state"] != "paused":
            pass
    table = await night.run("destinations")
    assert "paused" in table
    assert "unauthorized" in table
    assert len(await night.items("events", "--since", "1h")) == 1
    assert "no moment" in await night.run("events", "--since", "yesterday", code=2)


async def test_a_paused_destination_stays_paused_over_a_restart_until_somebody_resumes_it(
    night: Night,
) -> None:
    assert "resume elven" in await night.run("destinations", "pause", "elven", "--reason", "maintenance")
    alert = {"status": "firing", "labels": LABELS}
    assert await night.daemon.post(orjson.dumps({"alerts": [alert]})) == 202
    night.daemon.stop()
    await night.daemon.start()
    shown = json.loads(await night.run("destinations", "show", "elven"))
    assert (shown["state"], shown["reason"], shown["waiting"]) == ("paused", "operator", 1)
    assert not night.told("elven")
    assert await night.run("destinations", "resume", "elven") == "elven goes on\n"
    await night.daemon.settled()
    assert [one["action"] for one in night.told("elven")] == ["alarmed"]
    unknown = await night.run("destinations", "resume", "nobody", code=1)
    assert '"nobody" is not among the destinations' in unknown
