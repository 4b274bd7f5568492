"""`alertbridge heartbeats`: what is listened for, and what its silence holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alertbridge.cli.listing import Listing, listing_group
from alertbridge.cli.table import second


def _heartbeat(item: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        item["name"],
        "silent" if item["silent"] else "ok" if item["last_beat"] else "not heard yet",
        second(item["last_beat"]),
        second(item["silent_since"]),
        str(item["held"]),
        ", ".join(item["incidents"]) or "-",
    )


heartbeats = listing_group(
    Listing(
        name="heartbeats",
        one="",
        help="List the heartbeats, and what their silence holds.",
        filters={},
        head=("NAME", "STATE", "LAST BEAT", "SILENT SINCE", "HELD", "INCIDENTS"),
        row=_heartbeat,
    )
)
