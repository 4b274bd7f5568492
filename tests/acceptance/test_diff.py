"""`alertbridge diff` and `check --last` as processes, against a real daemon that heard what a real Alertmanager sent."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from alertbridge.clock import SystemClock
from alertbridge.simulate.server import Simulation
from tests.support.daemon import Daemon, surroundings
from tests.support.payloads import FOLDER, captured

RULES = """
rules:
  - name: payments
    when: [team = payments]
    key: "{{ labels.cluster }}/{{ labels.alertname }}"
    send:
      elven: {severity: critical}
      hivel:
  - name: everything-else
    send: [elven]
"""
ONE, TWO = "bdc4a5686971790d", "646bacc84fcf1060"


@pytest_asyncio.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    """It has an open incident at each destination, for two alerts."""
    async with Simulation(clock=SystemClock()) as simulation:
        daemon = Daemon(tmp_path, stand_ins=simulation.base_url, rules=RULES)
        await daemon.start()
        for number in ("01", "02"):
            assert await daemon.post(captured(number)) == 202
        await daemon.settled()
        yield daemon
        daemon.end_if_running()


def candidate(daemon: Daemon, *changes: tuple[str, str]) -> Path:
    """The daemon's own configuration, changed."""
    text = daemon.configuration.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = daemon.folder / "new.yaml"
    path.write_text(text, encoding="utf-8")
    return path


async def diff(daemon: Daemon, new: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return await command(daemon, "diff", str(new), *arguments)


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


async def compared(daemon: Daemon, new: Path, *arguments: str, status: int = 0) -> Any:
    result = await diff(daemon, new, "--json", *arguments)
    assert (result.returncode, result.stderr) == (status, "")
    return json.loads(result.stdout)


def kinds(said: Any) -> dict[tuple[str, str], Any]:
    return {(one["kind"], one["destination"]): one for one in said["differences"]}


async def test_the_same_configuration_changes_nothing_and_strands_nothing(daemon: Daemon) -> None:
    said = await compared(daemon, candidate(daemon))

    assert said["ok"] is True
    assert (said["events"], said["alerts"], said["changed"], said["unchanged"]) == (2, 2, 0, 2)
    assert said["differences"] == []
    assert said["incidents"] == {
        "open": 2,
        "stranded": [],
        "rekeyed": [],
        "unknown": [],
        "undelivered": {},
        "undecided": {},
    }
    assert said["notices"] == []


async def test_a_renamed_rule_and_another_severity_are_told_with_the_alerts_they_concern(
    daemon: Daemon,
) -> None:
    new = candidate(daemon, ("name: payments", "name: money"), ("severity: critical", "severity: high"))

    said = await compared(daemon, new)

    found = kinds(said)
    assert found.keys() == {("rule", ""), ("severity", "elven")}
    rule, severity = found.values()
    assert (rule["before"], rule["after"], rule["alerts"]) == ("payments", "money", 2)
    assert {one["fingerprint"] for one in rule["examples"]} == {ONE, TWO}
    assert (severity["before"], severity["after"], severity["alerts"]) == ("critical", "high", 2)
    assert (said["changed"], said["unchanged"]) == (2, 0)

    text = (await diff(daemon, new)).stdout
    assert "  2 alerts go from rule payments to rule money\n" in text
    assert "  severity at elven goes from critical to high for 2 alerts\n" in text
    assert "2 of 2 alerts would change, 0 stay as they are\n" in text
    assert "\x1b" not in text


async def test_another_key_tells_which_open_incidents_get_one_beside_them(daemon: Daemon) -> None:
    new = candidate(daemon, ("{{ labels.alertname }}", "{{ labels.alertname }}/{{ labels.instance }}"))

    said = await compared(daemon, new)

    assert kinds(said)["key", "elven"]["keys"] == {"before": 1, "after": 2}
    moved = {one["destination"]: one for one in said["incidents"]["rekeyed"]}
    assert moved.keys() == {"elven", "hivel"}
    assert (moved["elven"]["how"], moved["elven"]["alerts"], moved["elven"]["firing"]) == ("rekeyed", 2, 2)
    assert {one["key"] for one in moved["elven"]["places"]} == {
        "demo/HighErrorRate/web-1.example:8080",
        "demo/HighErrorRate/web-2.example:8080",
    }
    assert said["incidents"]["stranded"] == []
    assert "re-keyed elven demo/HighErrorRate (rule payments, critical" in (await diff(daemon, new)).stdout


async def test_a_removed_destination_strands_its_open_incident_which_must_be_allowed(daemon: Daemon) -> None:
    hivel = next(
        line for line in daemon.configuration.read_text().splitlines() if line.startswith("  hivel:")
    )
    new = candidate(daemon, (f"{hivel}\n", ""), ("      hivel:\n", ""))

    result = await diff(daemon, new)

    assert result.returncode == 1
    assert "STRANDED hivel demo/HighErrorRate" in result.stdout
    assert "destination hivel is gone: it is never told that this is over" in result.stdout
    assert result.stdout.endswith("2 open incidents, 0 of them re-keyed; 1 incident stranded\n")
    allowed = await diff(daemon, new, "--allow-stranded")
    assert (allowed.returncode, allowed.stdout) == (0, result.stdout)
    said = await compared(daemon, new, status=1)
    assert said["ok"] is False
    assert [one["destination"] for one in said["incidents"]["stranded"]] == ["hivel"]


async def test_a_removed_source_strands_what_its_alerts_keep_open(daemon: Daemon) -> None:
    said = await compared(daemon, candidate(daemon, ("  prod:", "  staging:")), status=1)

    assert [one["kind"] for one in said["differences"]] == ["source"]
    assert {one["destination"] for one in said["incidents"]["stranded"]} == {"elven", "hivel"}
    assert "2 of 2 alerts that fire are from it" in said["incidents"]["stranded"][0]["reasons"][0]


async def test_alerts_that_still_fire_are_looked_for_before_the_time_that_is_compared(daemon: Daemon) -> None:
    new = candidate(daemon, ("{{ labels.alertname }}", "x"))

    said = await compared(daemon, new, "--since", "2999-01-01T00:00:00Z")

    assert (said["events"], said["alerts"], said["differences"]) == (0, 0, [])
    assert len(said["incidents"]["rekeyed"]) == 2
    assert said["incidents"]["unknown"] == []


async def test_large_and_many_notifications_are_all_compared(daemon: Daemon) -> None:
    assert await daemon.post(captured("35")) == 202
    for _ in range(30):
        assert await daemon.post(captured("36")) == 202
    await daemon.settled()

    said = await compared(daemon, candidate(daemon, ("name: everything-else", "name: rest")))

    assert said["events"] == 33
    assert (said["alerts"], said["changed"]) == (502, 500)
    assert said["truncated"] == 30 * 400


async def test_a_daemon_that_runs_something_else_is_noticed(daemon: Daemon) -> None:
    candidate(daemon, ("team = payments", "team = money")).replace(daemon.configuration)

    said = await compared(daemon, candidate(daemon))

    (notice,) = said["notices"]
    assert "the daemon does not run" in notice


async def test_without_a_daemon_it_says_so_and_captured_notifications_do_as_well(daemon: Daemon) -> None:
    new = candidate(daemon, ("name: payments", "name: money"))
    daemon.stop()

    result = await diff(daemon, new)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Error: no answer from {daemon.url}")

    said = await compared(daemon, new, "--payloads", str(FOLDER / "01-firing-single.json"))
    assert (said["daemon"], said["incidents"], said["events"], said["changed"]) == (None, None, 1, 1)


async def test_check_warns_of_a_label_that_no_stored_alert_has(daemon: Daemon) -> None:
    good = await command(daemon, "check", "--last", "7d", "--strict")
    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout.endswith(", labels of 2 notifications\n")

    candidate(daemon, ("{{ labels.cluster }}", "{{ labels.clutser }}")).replace(daemon.configuration)
    bad = await command(daemon, "check", "--last", "7d", "--strict")

    assert bad.returncode == 1
    assert (
        'rules[0].key: no alert in 2 notifications has the label "clutser"; did you mean "cluster"?'
    ) in bad.stdout
    assert (await command(daemon, "check", "--last", "7d")).returncode == 0
    assert (await command(daemon, "check", "--strict")).returncode == 0
    daemon.stop()
    assert (await command(daemon, "check", "--last", "7d")).returncode == 1
