from __future__ import annotations

from typing import Any

import pytest

from alertbridge.cli.trace import _said

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
    ],
)
def test_what_was_to_be_said_is_told_with_what_became_of_it(changes: dict[str, Any], line: str) -> None:
    assert _said({**DELIVERY, **changes}, {}) == ("to say", line)
