from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from alertbridge.cli.waiting import hindrance
from alertbridge.model import instant
from tests.support.clock import NOON

DELIVERY = {"destination": "elven", "state": "pending", "next_attempt_at": instant(NOON)}
ELVEN = {"name": "elven", "state": "ok", "reason": None, "resumes_at": None, "budget": None, "waiting": 486}


@pytest.mark.parametrize(
    ("delivery", "elven", "said"),
    [
        ({}, {}, "in its turn; 486 wait for elven"),
        ({}, {"budget": 3}, "in its turn; 486 wait for elven"),
        ({}, {"budget": 0}, "the rate limit of elven is used up, and 486 wait"),
        (
            {"next_attempt_at": instant(NOON + timedelta(minutes=5))},
            {"budget": 0},
            "not before 2026-01-01T12:05:00Z",
        ),
        (
            {},
            {"state": "paused", "reason": "unauthorized", "resumes_at": "2026-01-01T12:02:00.25Z"},
            "elven is paused (unauthorized), tried again at 2026-01-01T12:02:00Z",
        ),
        ({}, {"state": "paused", "reason": "operator"}, "elven is paused (operator) until it is resumed"),
        (
            {},
            {"state": "breaker", "reason": "breaker", "resumes_at": "2026-01-01T12:00:05.1Z"},
            "elven fails, tried again at 2026-01-01T12:00:05Z",
        ),
    ],
)
def test_what_a_pending_message_waits_for_is_said(
    delivery: dict[str, Any], elven: dict[str, Any], said: str
) -> None:
    assert hindrance({**DELIVERY, **delivery}, {"elven": {**ELVEN, **elven}}, now=NOON) == said


def test_a_message_to_a_destination_that_is_gone_says_so() -> None:
    assert hindrance(DELIVERY, {}, now=NOON) == "elven is not configured any more"
