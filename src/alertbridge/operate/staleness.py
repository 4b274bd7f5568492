"""Which alerts have not been repeated as they should: marked where operators look at incidents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any


def mark_stale(
    incidents: Iterable[Mapping[str, Any]], *, expected: Mapping[str, timedelta], now: datetime
) -> None:
    """Give every alert of these incidents, as they are shown, its `stale`: it fires and was not heard of for too long.

    `expected` is by source; one that is not named there has no stale alerts.
    """
    for incident in incidents:
        for alert in incident["alerts"]:
            span = expected.get(alert["source"])
            quiet = now - datetime.fromisoformat(alert["last_seen"])
            firing = incident["state"] == "open" and alert["status"] == "firing"
            alert["stale"] = firing and span is not None and quiet >= span
