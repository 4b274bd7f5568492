"""What an alert or a vendor says never steers the terminal of who reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click
import pytest

from alertbridge.cli import amend, bulk, records, replay, trace
from alertbridge.cli.table import table

EVIL = "\x1b]0;owned\x07 \x9b31m \u202e"
INCIDENT: dict[str, Any] = {
    "id": "I1",
    "destination": "elven",
    "state": "open",
    "severity": "low",
    "opened_at": "2026-01-01T12:00:00Z",
    "closed_at": None,
    "rule": EVIL,
    "rules_hash": "abc",
    "key": EVIL,
    "content": {"fields": {"title": EVIL, "repo_url": EVIL}, "origins": {"repo_url": EVIL}},
    "alerts": [
        {
            "fingerprint": EVIL,
            "status": "firing",
            "stale": False,
            "held": {"heartbeat": "w", "ends_at": "2026-01-01T12:00:00Z"},
        }
    ],
    "digest": None,
    "folded": [{"state": "open", "incident": "I2", "key": EVIL}],
}
SAID: dict[str, Any] = {
    "what": "said",
    "at": "2026-01-01T12:00:00Z",
    "id": "D1",
    "destination": "elven",
    "action": "alarmed",
    "state": "dead",
    "attempts": 1,
    "created_at": "2026-01-01T12:00:00Z",
    "next_attempt_at": None,
    "last_error": EVIL,
    "missing": [],
    "key": EVIL,
    "payload": {"title": EVIL},
}
ALERT = {"fingerprint": EVIL, "status": "firing", "rules": [EVIL], "note": ""}


@pytest.mark.parametrize(
    "tell",
    [
        pytest.param(
            lambda: table(records.INCIDENTS.head, [records.INCIDENTS.row(INCIDENT)]), id="incidents"
        ),
        pytest.param(lambda: table(records.DELIVERIES.head, [records.DELIVERIES.row(SAID)]), id="deliveries"),
        pytest.param(
            lambda: "".join(trace._told({"incidents": [INCIDENT], "story": [SAID], "complete": True})),
            id="trace",
        ),
        pytest.param(
            lambda: "".join(bulk._preview({"matched": 1, "groups": [], "examples": [SAID]}, "retry")),
            id="deliveries retry",
        ),
        pytest.param(lambda: "".join(amend._tried(_tried())), id="destinations test"),
        pytest.param(lambda: "".join(replay._change(_replayed())), id="replay --dry-run"),
    ],
)
def test_nothing_that_is_shown_steers_a_terminal(tell: Callable[[], str]) -> None:
    said = click.unstyle(tell()).replace("\n", "")
    assert "owned" in said
    assert said.isprintable()


def _tried() -> dict[str, Any]:
    step = {"step": "alarmed", "outcome": "rejected", "status": 400, "seconds": 0.1, "error": EVIL}
    return {"name": "elven", "ok": False, "steps": [step], "finding": "it was refused"}


def _replayed() -> Mapping[str, Any]:
    return {
        "event": "E1",
        "source": "prod",
        "received_at": "2026-01-01T12:00:00Z",
        "alerts": [{**ALERT, "effects": [{"effect": "opened", "destination": "elven", "key": EVIL}]}],
        "messages": [{"destination": "elven", "action": "alarmed", "key": EVIL}],
    }
