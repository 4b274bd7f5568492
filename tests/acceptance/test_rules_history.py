"""Looking back, as an operator does it: the real daemon, and the commands that ask it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio
import yaml

from alertbridge.clock import SystemClock
from alertbridge.simulate.server import Simulation
from tests.support.daemon import Daemon, surroundings
from tests.support.payloads import captured


@pytest_asyncio.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    async with Simulation(clock=SystemClock()) as stand_ins:
        daemon = Daemon(tmp_path, stand_ins=stand_ins.base_url)
        await daemon.start()
        yield daemon
        daemon.end_if_running()


async def command(daemon: Daemon, *arguments: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "alertbridge", *arguments, "--config", str(daemon.configuration)],
        capture_output=True,
        text=True,
        cwd=daemon.folder,
        env=surroundings(),
        timeout=60,
        check=False,
    )


async def printed(daemon: Daemon, *arguments: str) -> str:
    done = await command(daemon, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def history(daemon: Daemon) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads(await printed(daemon, "rules", "history", "--json"))["items"]
    return items


async def change_rules(daemon: Daemon) -> None:
    text = daemon.configuration.read_text(encoding="utf-8")
    daemon.configuration.write_text(text.replace("name: everything", "name: changed"), encoding="utf-8")


async def test_every_set_that_decided_can_be_shown_after_reloads_and_restarts(daemon: Daemon) -> None:
    assert await daemon.post(captured("01")) == 202
    await daemon.settled()
    await change_rules(daemon)
    assert "reloaded: hash" in await printed(daemon, "reload")
    assert daemon.stop() == 0
    await daemon.start()

    second, first = await history(daemon)

    assert (first["in_use"], second["in_use"]) == (False, True)
    assert (first["open_incidents"], second["open_incidents"]) == (2, 0)
    assert second["first_loaded_at"] < second["last_loaded_at"], "loaded again at the restart"
    for kind in ("events", "incidents", "deliveries"):
        (*items,) = (await daemon.get(f"/api/v1/{kind}"))["items"]
        assert {item["rules_hash"] for item in items} == {first["hash"]}, kind
    for one, name in ((first, "everything"), (second, "changed")):
        text = await printed(daemon, "rules", "show", one["short"])
        assert text.startswith(f"# rule set {one['hash']}\n# alertbridge.yaml\n")
        (content,) = yaml.safe_load_all(text)
        assert content["rules"] == [{"name": name, "send": ["elven", "hivel"]}]
        assert content["services"]["checkout"]["pr_number"] == 44
    lines = (await printed(daemon, "rules", "history")).splitlines()
    assert [line[:14] for line in lines[1:]] == [f"* {second['short']}", f"  {first['short']}"]


async def test_what_is_not_there_is_said_in_one_line(daemon: Daemon) -> None:
    (one,) = await history(daemon)
    other = "0" if one["hash"][0] != "0" else "1"

    absent = await command(daemon, "rules", "show", other)
    daemon.kill()
    gone = await command(daemon, "rules", "history")

    assert (absent.returncode, gone.returncode) == (1, 1)
    assert absent.stderr == f'Error: no set of rules that is kept has a hash that begins with "{other}"\n'
    assert gone.stderr.startswith(f"Error: no answer from {daemon.url}: ")


async def test_a_stored_event_is_explained_beside_what_was_decided(daemon: Daemon) -> None:
    assert await daemon.post(captured("01")) == 202
    await daemon.settled()
    ((event,), (one,)) = ((await daemon.get("/api/v1/events"))["items"], await history(daemon))

    same = json.loads(await printed(daemon, "explain", event["id"], "--json"))
    await change_rules(daemon)
    other = json.loads(await printed(daemon, "explain", event["id"], "--json"))
    text = await printed(daemon, "explain", event["id"])

    told = {
        name: event[name]
        for name in ("id", "source", "received_at", "outcome", "rules_hash", "error", "alerts")
    }
    assert same["event"] == {**told, "same_rules": True}
    assert other["event"] == {**told, "same_rules": False}
    assert (same["rules_hash"], other["rules_hash"] == same["rules_hash"]) == (one["hash"], False)
    assert [rule["name"] for alert in (same, other) for rule in alert["alerts"][0]["rules"]] == [
        "everything",
        "changed",
    ]
    (first, second) = (incident["id"] for incident in event["alerts"][0]["incidents"])
    assert text.startswith(
        f"event {event['id']} of prod, received {event['received_at']}: decided\n"
        f"  bdc4a5686971790d firing: everything: opened {first}, opened {second}\n"
        f"  by other rules ({one['short']}) than below ({other['rules_hash'][:12]}); "
        f"`alertbridge rules show {one['short']}` prints those\n"
        "\nalert 1 of 1: firing HighErrorRate"
    )


async def test_an_event_that_cannot_be_explained_says_why(daemon: Daemon) -> None:
    assert await daemon.post(b'{"alerts": [{}]}') == 400
    (event,) = (await daemon.get("/api/v1/events"))["items"]

    malformed = await command(daemon, "explain", event["id"])
    unknown = await command(daemon, "explain", "01M805Q3C5BSA6173TWSK32SPX")

    assert (malformed.returncode, unknown.returncode) == (1, 1)
    assert malformed.stderr.startswith(f"Error: event {event['id']}: alerts[0].status: expected ")
    assert malformed.stderr.endswith("; the daemon answered 400\n")
    assert unknown.stderr.startswith('Error: "01M805Q3C5BSA6173TWSK32SPX" is not among the events; ')
