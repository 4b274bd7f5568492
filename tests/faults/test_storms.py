"""Storms: thousands of alerts at once. All of them are told, per key in order, and memory stays bounded.

`make storms` sends the 10,000 that the words promise; what `make test` sends is bounded by ALERTS.
"""

from __future__ import annotations

import json
import os
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import Daemon
from tests.support.hostile import Asked, Hostile
from tests.support.network import peak, rows

ALERTS = int(os.environ.get("ALERTS", "1000"))
IN_ONE_BODY = 500
MOST_MEMORY = 64 + ALERTS * 12 / 1000  # MiB: what a daemon under load needs anyway, and 12 KB for each alert
MAIN = """
server: {{listen: "127.0.0.1:{port}", drain_timeout: 5s}}
storage: {{url: "sqlite:///{folder}/alertbridge.db"}}
log: {{level: warning, format: json}}
sources:
  prod: {{type: alertmanager, auth: {{bearer_token: {token}}}}}
destinations:
  elven: {{type: elven, url: "{stand_ins}/token-of-elven", timeout: 30s, concurrency: 16}}
"""
RULES = """
rules:
  - {name: everything, key: "{{ labels.group }}", send: [elven]}
"""


def bodies(status: str, keys: int) -> Iterator[bytes]:
    """ALERTS alerts on so many keys, in as few notifications as Alertmanager would send."""
    for first in range(0, ALERTS, IN_ONE_BODY):
        alerts = [
            {
                "status": status,
                "labels": {"alertname": "Storm", "group": f"g{number % keys}", "number": str(number)},
                "annotations": {"summary": f"alert {number}"},
                "startsAt": "2026-01-05T09:00:00Z",
                "endsAt": "0001-01-01T00:00:00Z" if status == "firing" else "2026-01-05T09:30:00Z",
                "fingerprint": f"{number:016x}",
            }
            for number in range(first, min(first + IN_ONE_BODY, ALERTS))
        ]
        yield json.dumps({"version": "4", "status": status, "alerts": alerts}).encode()


def order(taken: list[Asked]) -> dict[str, list[str]]:
    """What was said on each key."""
    said: dict[str, list[str]] = defaultdict(list)
    for asked in taken:
        key, action = asked.said
        said[key].append(action)
    return said


@pytest.mark.timeout(0 if ALERTS > 1000 else 500)
@pytest.mark.parametrize("keys", [min(100, ALERTS), ALERTS], ids=["on few keys", "on a key each"])
async def test_a_storm_is_told_whole_and_in_order(
    tmp_path: Path, keys: int, capsys: pytest.CaptureFixture[str]
) -> None:
    took: dict[str, float] = {}
    async with Hostile() as elven:
        daemon = Daemon(tmp_path, stand_ins=elven.url, main=MAIN, rules=RULES)
        try:
            await daemon.start(ready=False)
            await daemon.ready(within=120)
            before = peak(daemon.pid)
            for status in ("firing", "resolved"):
                began = time.monotonic()
                for body in bodies(status, keys):
                    assert await daemon.post(body) == 202
                took[f"{status} accepted"] = time.monotonic() - began
                await daemon.settled(within=200 + ALERTS / 10)
                took[f"{status} told"] = time.monotonic() - began
            grown = peak(daemon.pid) - before
            assert daemon.stop() == 0
        finally:
            daemon.end_if_running()
        said = order(elven.asked)
        not_once = rows(daemon.database, "SELECT number FROM attempts WHERE number > 1")
    with capsys.disabled():
        shown = ", ".join(f"{what} in {seconds:.1f} s" for what, seconds in took.items())
        print(f"\n{ALERTS} alerts on {keys} keys: {shown}; memory grew by {grown:.0f} MiB")
    assert len(said) == keys
    assert {key: actions for key, actions in said.items() if actions != ["alarmed", "resolved"]} == {}
    assert not_once == []
    assert grown < MOST_MEMORY
