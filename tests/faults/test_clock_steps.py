"""The machine's clock is set forward and back under the real daemon, and while it is down: no burst, and nothing is stranded."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from alertbridge.clock import SystemClock
from alertbridge.simulate.server import Simulation
from tests.support.daemon import TOKEN, Daemon, surroundings

ROOT = Path(__file__).parents[2]
REQUESTS, PER = 6, timedelta(seconds=6)
SLACK = timedelta(seconds=2)  # between when a request leaves and when it is noted, on a busy machine
HOUR, DAY = 3600, 86400
MAIN = f"""
server: {{{{listen: "127.0.0.1:{{port}}", drain_timeout: 5s}}}}
storage: {{{{url: "sqlite:///{{folder}}/alertbridge.db"}}}}
log: {{{{level: info, format: json}}}}
sources:
  prod: {{{{type: alertmanager, auth: {{{{bearer_token: {TOKEN}}}}}}}}}
destinations:
  elven:
    type: elven
    url: "{{stand_ins}}/elven/token-of-elven"
    rate_limit: {{{{requests: {REQUESTS}, per: {PER.seconds}s}}}}
"""
RULES = "rules: [{name: everything, send: [elven]}]\n"


def firing(number: int) -> bytes:
    alert = {
        "status": "firing",
        "labels": {"alertname": "Down", "instance": str(number)},
        "startsAt": "2026-01-01T12:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": f"f{number}",
    }
    return json.dumps({"alerts": [alert]}).encode()


async def post(daemon: Daemon, numbers: range) -> None:
    for number in numbers:
        assert await daemon.post(firing(number)) == 202


def waiting(daemon: Daemon) -> int:
    """How many messages are not delivered yet, in a database that nobody works on."""
    with closing(sqlite3.connect(daemon.database)) as connection:
        return int(
            connection.execute("SELECT count(*) FROM deliveries WHERE state = 'pending'").fetchone()[0]
        )


async def test_a_clock_that_is_set_breaks_no_rate_limit_and_strands_nothing(tmp_path: Path) -> None:
    offset = tmp_path / "offset"
    path = surroundings().get("PYTHONPATH", "")
    environ = {"CLOCK_OFFSET": str(offset), "PYTHONPATH": f"{path}:{ROOT}"}

    def set_clock(seconds: int) -> None:
        fresh = tmp_path / "fresh"
        fresh.write_text(str(seconds))
        fresh.replace(offset)  # it is never read half written

    set_clock(0)
    async with Simulation(clock=SystemClock()) as simulation:
        daemon = Daemon(
            tmp_path,
            stand_ins=simulation.base_url,
            rules=RULES,
            main=MAIN,
            module="tests.support.set_clock",
        )
        try:
            await daemon.start(environ=environ)
            await post(daemon, range(10))
            await asyncio.sleep(1)
            set_clock(HOUR)  # with the first six gone, and the rest waiting
            await post(daemon, range(10, 12))
            await asyncio.sleep(12)
            set_clock(0)
            await post(daemon, range(12, 20))
            await asyncio.sleep(0.5)
            set_clock(-DAY)
            assert daemon.stop() == 0
            assert waiting(daemon)
            await daemon.start(environ=environ)  # it wakes up a day before what it has written down
            await post(daemon, range(20, 22))
            await daemon.settled(within=90)
            assert daemon.stop() == 0
        finally:
            daemon.end_if_running()
        taken = [one for one in simulation.received if one.taken]
        said = [line["event"] for line in map(json.loads, daemon.log.read_text().splitlines())]
    told = {str(one.body["external_aggregate_key"]) for one in taken if isinstance(one.body, dict)}
    assert told == {f"prod/f{number}" for number in range(22)}
    times = sorted(one.at for one in taken)
    for first, beyond in zip(times, times[REQUESTS:], strict=False):
        assert beyond - first >= PER - SLACK, "a burst"
    assert "clock.behind" in said
