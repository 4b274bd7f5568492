"""How `explain` tells of a stored event; asking a real daemon for it is in the acceptance tests."""

from __future__ import annotations

from typing import Any

import click
import pytest

from alertbridge.cli.hindsight import as_data, as_text

EVENT: dict[str, Any] = {
    "id": "e01",
    "source": "prod",
    "received_at": "2026-01-01T12:00:00Z",
    "outcome": "decided",
    "rules_hash": "465ebb44bc017a1c",
    "truncated": 0,
    "error": None,
    "alerts": [],
    "body": "{}",
    "body_truncated": False,
}


def told(now: str = "465ebb44bc017a1c", **changed: object) -> list[str]:
    return [click.unstyle(line) for line in as_text({**EVENT, **changed}, rules_hash=now)]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "decided"),
        ({"outcome": "received", "rules_hash": None}, "not decided yet"),
        ({"outcome": "failed", "error": "it broke"}, "failed: it broke"),
        ({"outcome": "malformed", "rules_hash": None, "error": "no\x1b[2J"}, "malformed: no\\x1b[2J"),
    ],
)
def test_the_outcome_is_said_first(changed: dict[str, Any], said: str) -> None:
    assert told(**changed)[0] == f"event e01 of prod, received 2026-01-01T12:00:00Z: {said}"


def test_whether_the_rules_are_the_same_is_said_where_any_decided() -> None:
    assert told()[1:] == ["  by the same rules as below, 465ebb44bc01"]
    (_, other) = told("9d02aa7c1e55ffff")
    assert other.startswith("  by other rules (465ebb44bc01) than below (9d02aa7c1e55); ")
    assert "`alertbridge rules show 465ebb44bc01`" in other
    assert told(rules_hash=None, outcome="received")[1:] == []


def test_what_became_of_each_alert_is_one_line() -> None:
    alert = {"fingerprint": "f1", "status": "firing", "rules": ["a", "b"], "note": ""}
    opened = {**alert, "incidents": [{"id": "i01", "effect": "opened"}, {"id": "i02", "effect": "joined"}]}
    nothing = {**alert, "rules": [], "incidents": [], "note": "no rule matches"}

    assert told(alerts=[opened, nothing])[1:3] == [
        "  f1 firing: a, b: opened i01, joined i02",
        "  f1 firing: no rule: no incident (no rule matches)",
    ]


@pytest.mark.parametrize(
    ("then", "same"), [("465ebb44bc017a1c", True), ("9d02aa7c1e55ffff", False), (None, None)]
)
def test_programs_are_told_the_same_without_the_body(then: str | None, *, same: bool | None) -> None:
    said = as_data({**EVENT, "rules_hash": then}, rules_hash="465ebb44bc017a1c")

    assert said["same_rules"] is same
    assert said.keys() == {
        "id",
        "source",
        "received_at",
        "outcome",
        "rules_hash",
        "error",
        "alerts",
        "same_rules",
    }
