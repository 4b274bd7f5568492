"""Which alerts are shown as stale."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alertbridge.operate.staleness import mark_stale

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("state", "status", "source", "quiet_for", "stale"),
    [
        ("open", "firing", "prod", 5 * HOUR, True),
        ("open", "firing", "prod", 5 * HOUR - timedelta(seconds=1), False),
        ("open", "firing", "other", 9 * HOUR, False),
        ("open", "resolved", "prod", 9 * HOUR, False),
        ("closed", "firing", "prod", 9 * HOUR, False),
    ],
)
def test_an_alert_that_fires_and_was_not_repeated_in_time_is_stale(
    state: str, status: str, source: str, quiet_for: timedelta, *, stale: bool
) -> None:
    alert: dict[str, Any] = {"source": source, "status": status, "last_seen": (NOON - quiet_for).isoformat()}
    mark_stale([{"state": state, "alerts": [alert]}], expected={"prod": 5 * HOUR}, now=NOON)
    assert alert["stale"] is stale
