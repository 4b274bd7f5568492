"""What the running daemon has stored, asked of its admin API page by page."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from alertbridge.cli.caller import Caller
from alertbridge.cli.comparison.touched import OpenIncident
from alertbridge.model import AlertId, AlertStatus, Event, EventOutcome

_HASH: Final = re.compile(r"^alertbridge_config_hash (\S+)$", re.MULTILINE)
HASH_DIGITS: Final = 12  # of a configuration's hash, in that metric


class Stored:
    """Reads through `caller`. Every method raises NoAnswer where the daemon cannot be asked, or does not want to."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    @property
    def url(self) -> str:
        """Where the daemon is."""
        return self._caller.url

    def events(self) -> Iterator[Event]:
        """Every accepted event, newest first, each page asked for when it is needed; replays are not told again."""
        for item in self._items("events", body="whole"):
            if item["outcome"] != EventOutcome.MALFORMED and not item["replay_of"]:
                why = {name: item[name] or "" for name in ("inferred", "adopted", "by_hand")}
                received_at = datetime.fromisoformat(item["received_at"])
                yield Event(item["id"], item["source"], received_at, item["body"].encode(), **why)

    def open_incidents(self) -> Iterator[OpenIncident]:
        """Every incident that is open now."""
        for item in self._items("incidents", state="open"):
            firing = [one for one in item["alerts"] if one["status"] == AlertStatus.FIRING]
            yield OpenIncident(
                **{
                    name: item[name] for name in ("id", "destination", "key", "rule", "severity", "opened_at")
                },
                firing=tuple(AlertId(one["source"], one["fingerprint"]) for one in firing),
            )

    def undelivered(self, destinations: Collection[str]) -> Mapping[str, int]:
        """How many messages wait or are held for these destinations; those without any are left out."""
        items = self._items("destinations") if destinations else ()
        found = {item["name"]: item["waiting"] + item["held"] for item in items}
        return {name: number for name, number in found.items() if number and name in destinations}

    def undecided(self, sources: Collection[str]) -> Mapping[str, int]:
        """How many events of these sources are not decided yet; sources without any are left out."""
        found = {
            name: sum(1 for _ in self._items("events", source=name, state=EventOutcome.RECEIVED))
            for name in sources
        }
        return {name: number for name, number in found.items() if number}

    def configuration_hash(self) -> str | None:
        """The first HASH_DIGITS of the hash of the configuration in use; None if that is not said."""
        found = _HASH.search(self._caller.read("/metrics"))
        return f"{int(float(found[1])):0{HASH_DIGITS}x}" if found else None

    def _items(self, listing: str, **query: str) -> Iterator[Mapping[str, Any]]:
        return self._caller.items(f"/api/v1/{listing}", most=None, **query)
