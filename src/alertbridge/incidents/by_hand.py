"""What an operator says of alerts, as events in Alertmanager's shape, to be decided in their turn."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime

from alertbridge.incidents.state import Member
from alertbridge.model import JSON, Event, instant


def ended(
    members: Iterable[Member], *, said: str, now: datetime, at: datetime, new_id: Callable[[], str]
) -> list[Event]:
    """Events that resolve these alerts, one for each source; `said` tells who says so, and why.

    `at` is when they end, by a clock that can be compared with those of the sources.

    An alert is named by its fingerprint alone: labels are not stored, and it goes where it is known to fire.
    """
    by_source: dict[str, list[JSON]] = defaultdict(list)
    for member in members:
        by_source[member.alert.source].append(
            {
                "status": "resolved",
                "labels": {},
                "startsAt": instant(member.starts_at),
                "endsAt": instant(max(at, member.starts_at)),
                "fingerprint": member.alert.fingerprint,
            }
        )
    return [
        Event(new_id(), source, now, json.dumps({"version": "4", "alerts": alerts}).encode(), by_hand=said)
        for source, alerts in by_source.items()
    ]
