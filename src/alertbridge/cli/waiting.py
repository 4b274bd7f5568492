"""Why a message that is pending has not gone yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from alertbridge.cli.table import second
from alertbridge.clock import SystemClock

if TYPE_CHECKING:
    from alertbridge.cli.caller import Caller


def with_hindrance(items: Iterable[Mapping[str, Any]], caller: Caller) -> list[Mapping[str, Any]]:
    """The same items; deliveries among them that are pending also have what they wait for, as `hindrance`."""
    shown = list(items)
    if not any(item.get("state") == "pending" for item in shown):
        return shown
    standing = {one["name"]: one for one in caller.items("/api/v1/destinations")}
    now = SystemClock().now()
    return [
        {**item, "hindrance": hindrance(item, standing, now=now)} if item.get("state") == "pending" else item
        for item in shown
    ]


def hindrance(
    delivery: Mapping[str, Any], destinations: Mapping[str, Mapping[str, Any]], *, now: datetime
) -> str:
    """What a pending delivery waits for, as far as it and the `destinations` tell; both as the admin API shows them."""
    destination = destinations.get(delivery["destination"])
    if destination is None:
        return f"{delivery['destination']} is not configured any more"
    if destination["state"] != "ok":
        return _stands_still(destination)
    if delivery["next_attempt_at"] and datetime.fromisoformat(delivery["next_attempt_at"]) > now:
        return f"not before {second(delivery['next_attempt_at'])}"
    if destination["budget"] == 0:
        return f"the rate limit of {destination['name']} is used up, and {destination['waiting']} wait"
    return f"in its turn; {destination['waiting']} wait for {destination['name']}"


def _stands_still(destination: Mapping[str, Any]) -> str:
    """One that is paused, or whose breaker is open."""
    why = destination["reason"]
    state = f"{destination['name']} is paused ({why})" if why != "breaker" else f"{destination['name']} fails"
    again = destination["resumes_at"]
    return f"{state}, tried again at {second(again)}" if again else f"{state} until it is resumed"
