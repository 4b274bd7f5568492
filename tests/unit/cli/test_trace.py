from __future__ import annotations

from typing import Any

import pytest

from alertbridge.cli.trace import _head, _heard, _received, _said, _tried

DELIVERY = {
    "id": "D1",
    "destination": "elven",
    "action": "resolved",
    "state": "delivered",
    "next_attempt_at": None,
    "last_error": None,
    "payload": {"title": "Down"},
    "repeats": None,
}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, 'elven resolved: delivered, "Down", D1'),
        (
            {"state": "superseded", "last_error": "superseded by alarmed D2 of incident I2"},
            'elven resolved: superseded, by alarmed D2 of incident I2, "Down", D1',
        ),
        (
            {"id": "D1-again", "repeats": "D1"},
            'elven resolved once more, since an earlier attempt got no answer: delivered, "Down", D1-again',
        ),
        ({"state": "dead", "last_error": "HTTP 400"}, 'elven resolved: dead, HTTP 400, "Down", D1'),
        (
            {"state": "pending", "hindrance": "elven is paused (operator) until it is resumed"},
            'elven resolved: pending, elven is paused (operator) until it is resumed, "Down", D1',
        ),
    ],
)
def test_what_was_to_be_said_is_told_with_what_became_of_it(changes: dict[str, Any], line: str) -> None:
    assert _said({**DELIVERY, **changes}, {}) == ("to say", line)


@pytest.mark.parametrize(
    ("outcome", "error", "line"),
    [
        ("malformed", "the body is empty", "from prod: malformed: the body is empty (event E1)"),
        ("failed", "no source is called prod", "from prod: failed: no source is called prod (event E1)"),
        ("received", None, "from prod: not decided yet (event E1)"),
        ("decided", None, "from prod: decided; it held no alerts (event E1)"),
    ],
)
def test_an_event_without_alerts_is_told_with_the_reason(outcome: str, error: str | None, line: str) -> None:
    entry = {"source": "prod", "event": "E1", "outcome": outcome, "error": error}
    assert _received(entry, {}) == ("received", line)


def test_an_incident_that_was_not_asked_for_is_called_one() -> None:
    entry: dict[str, Any] = {
        "source": "prod",
        "fingerprint": "f1",
        "status": "firing",
        "event": "E1",
        "incidents": [{"id": "I1", "effect": "opened"}, {"id": "I2", "effect": "joined"}],
        "rules": ["all"],
        "note": "",
        **dict.fromkeys(("inferred", "adopted", "by_hand", "replay_of")),
    }
    _, said = _heard(entry, {"I1": "elven"})
    assert said == "prod/f1: opened at elven, joined at incident I2 (rule all; event E1)"


@pytest.mark.parametrize(
    ("status", "error", "line"),
    [
        (200, None, "elven alarmed #1: delivered, HTTP 200"),
        (503, "HTTP 503: no", "elven alarmed #1: delivered: HTTP 503: no"),
        (401, "unauthorized: HTTP 401: no", "elven alarmed #1: delivered: unauthorized: HTTP 401: no"),
        (None, "no answer within 10 s", "elven alarmed #1: delivered: no answer within 10 s"),
    ],
)
def test_an_attempt_is_told_with_its_status_once(status: int | None, error: str | None, line: str) -> None:
    entry = {**DELIVERY, "action": "alarmed", "number": 1, "outcome": "delivered", "status": status}
    assert _tried({**entry, "error": error}, {}) == ("attempt", line)


def test_the_head_of_a_digest_says_what_it_stands_for_and_that_of_a_member_which_digest_does() -> None:
    incident: dict[str, Any] = {
        "id": "I1",
        "key": "k",
        "destination": "elven",
        "rule": "r",
        "rules_hash": "abc",
        "state": "open",
        "severity": "low",
        "opened_at": "2026-01-01T12:00:00Z",
        "closed_at": None,
        "content": {"fields": {}, "origins": {}},
        "digest": "D",
        "alerts": [],
        "folded": [],
    }
    assert list(_head(incident))[2:] == ["    incident I1, 0 of 0 alerts firing", "    folded into digest D"]
    folded = [{"incident": f"I{n}", "key": f"k{n}", "state": "open" if n else "closed"} for n in range(60)]
    said = list(_head({**incident, "id": "D", "digest": None, "folded": folded}))[2:]
    assert said[:3] == [
        "    incident D",
        "    a digest of 60 incidents, 59 of them open:",
        "      closed  I0  key k0",
    ]
    assert said[-1] == "      and 10 more"
