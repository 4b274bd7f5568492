"""`explain` and `test` know of heartbeats."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from alertbridge.cli.main import group
from tests.support.configuration import MAIN

CONFIGURATION = (
    MAIN
    + """
heartbeats:
  - {name: watchdog, when: [alertname = Watchdog], every: 1m, send: [elven]}
  - {name: later, when: [alertname = Watchdog, team = ops], every: 1h, send: [elven]}
rules: [{name: everything, send: [elven]}]
"""
)
BEAT = "{labels: {alertname: Watchdog, team: ops}}"


def call(folder: Path, *arguments: str, tests: str = "") -> Result:
    path = folder / "alertbridge.yaml"
    path.write_text(CONFIGURATION + tests, encoding="utf-8")
    command, *rest = arguments
    return CliRunner().invoke(group, [command, "--config", str(path), *rest])


def test_explain_says_that_a_beat_opens_no_incident(tmp_path: Path) -> None:
    result = call(tmp_path, "explain", "--labels", "alertname=Watchdog")

    assert result.output.splitlines()[1:] == [
        "  rule: none is asked: it is a beat of the heartbeat watchdog, and opens no incident"
    ]


def test_explain_names_every_heartbeat_for_programs(tmp_path: Path) -> None:
    result = call(tmp_path, "explain", "--json", "--labels", "alertname=Watchdog,team=ops")

    (alert,) = json.loads(result.output)["alerts"]
    assert (alert["heartbeats"], alert["rules"], alert["messages"]) == (["watchdog", "later"], [], [])
    result = call(tmp_path, "explain", "--json", "--labels", "alertname=Down")
    assert json.loads(result.output)["alerts"][0]["heartbeats"] == []


@pytest.mark.parametrize(
    ("alert", "expect", "told"),
    [
        (BEAT, "{heartbeat: [watchdog, later], unmatched: false, elven: none}", ""),
        ("{labels: {alertname: Watchdog}}", "{heartbeat: watchdog}", ""),
        (BEAT, "{heartbeat: watchdog}", "watchdog, later"),
        ("{labels: {alertname: Down}}", "{heartbeat: watchdog}", "a beat of none"),
        (BEAT, "{rule: everything}", "a beat of the heartbeat watchdog, later"),
        (BEAT, "{heartbeat: wachdog}", 'did you mean "watchdog"?'),
    ],
)
def test_a_test_may_expect_a_beat(tmp_path: Path, alert: str, expect: str, told: str) -> None:
    result = call(tmp_path, "test", tests=f"tests: [{{name: a test, alert: {alert}, expect: {expect}}}]\n")

    assert result.exit_code == (1 if told else 0), result.output
    assert told in result.output
