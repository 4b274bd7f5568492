"""SIGKILL at random moments under load: nothing acknowledged is lost, nothing is said in the wrong order."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import aiohttp
import pytest

from alertbridge.clock import SystemClock
from alertbridge.simulate.server import Simulation
from tests.support.daemon import TOKEN, Daemon

KILLS = int(os.environ.get("KILLS", "50"))
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
ALERTS = 12
RULES = """
rules:
  - name: everything
    send:
      elven: {title: "{{ annotations.episode }}"}
      hivel: {description: "{{ annotations.episode }}"}
"""


def rfc3339(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


@dataclass
class Flapper:
    """One alert that fires and resolves, again and again; its sender does not go on before it has a 2xx."""

    name: str
    episode: int = 0
    firing: bool = False
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    acked: list[str] = field(default_factory=list)

    def change(self) -> bytes:
        now = datetime.now(UTC)
        self.firing = not self.firing
        if self.firing:
            self.episode += 1
            self.started = now
        alert = {
            "status": "firing" if self.firing else "resolved",
            "labels": {"alertname": "Flap", "name": self.name, "severity": "critical", "service": "checkout"},
            "annotations": {"episode": f"{self.name} {self.episode}"},
            "startsAt": rfc3339(self.started),
            "endsAt": "0001-01-01T00:00:00Z" if self.firing else rfc3339(now),
            "fingerprint": self.name,
        }
        return json.dumps({"version": "4", "status": alert["status"], "alerts": [alert]}).encode()


class Load:
    """All alerts changing as fast as they are acknowledged, until told to stop; every one ends resolved or firing."""

    def __init__(self, url: str) -> None:
        self.flappers = [Flapper(f"f{n:02d}") for n in range(ALERTS)]
        self.stopping = False
        self._url = f"{url}/v1/sources/prod"

    async def run(self) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=5)) as session:
            await asyncio.gather(*(self._flap(flapper, session) for flapper in self.flappers))

    async def _flap(self, flapper: Flapper, session: aiohttp.ClientSession) -> None:
        while not self.stopping:
            body = flapper.change()
            while True:
                try:
                    async with session.post(self._url, data=body) as answer:
                        if answer.status == 202:
                            flapper.acked.append((await answer.json())["event"])
                            break
                except (aiohttp.ClientError, TimeoutError):
                    pass
                await asyncio.sleep(0.02)
            await asyncio.sleep(random.random() * 0.05)


@pytest.mark.timeout(0 if KILLS > 50 else 900)
async def test_nothing_acknowledged_is_lost_and_nothing_overtakes(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    chance = random.Random(SEED)
    counts = ""
    async with Simulation(clock=SystemClock()) as simulation:
        daemon = Daemon(tmp_path, stand_ins=simulation.base_url, rules=RULES)
        try:
            counts = await run_and_kill(daemon, simulation, chance)
        finally:
            daemon.end_if_running()
    record_property("counts", f"{KILLS} kills (SEED={SEED}): {counts}")


async def run_and_kill(daemon: Daemon, simulation: Simulation, chance: random.Random) -> str:
    load = Load(daemon.url)
    await daemon.start()
    loading = asyncio.create_task(load.run())
    async with aiohttp.ClientSession() as session:
        for number in range(KILLS):
            await misbehave(session, simulation, chance, number)
            await asyncio.sleep(chance.random() * 0.4)
            daemon.kill()
            await daemon.start(ready=number % 5 != 0)  # now and then it dies while it starts
        for name in ("elven", "hivel"):
            await session.delete(f"{simulation.base_url}/behaviour/{name}")
    load.stopping = True
    await daemon.ready()
    await loading
    await daemon.settled(within=400)  # the longest backoff is five minutes
    assert daemon.stop() == 0
    return judge(load, simulation, daemon.database)


async def misbehave(
    session: aiohttp.ClientSession, simulation: Simulation, chance: random.Random, number: int
) -> None:
    """Slow answers, so that many a kill finds something in flight, and now and then an outage."""
    if number % 4 == 3:
        behaviour: dict[str, object] = {"mode": "status", "status": 503, "times": chance.randrange(1, 6)}
    elif number % 4 == 1:
        behaviour = {"mode": "close", "record": True, "times": chance.randrange(1, 4)}
    else:
        behaviour = {"mode": "delay", "seconds": round(chance.random() * 0.05, 3)}
    for name in ("elven", "hivel"):
        async with session.put(f"{simulation.base_url}/behaviour/{name}", json=behaviour) as answer:
            assert answer.status < 300, await answer.text()


def judge(load: Load, simulation: Simulation, database: Path) -> str:
    with sqlite3.connect(database) as connection:
        events = {row[0] for row in connection.execute("SELECT id FROM events")}
        ambiguous = Counter(
            {
                (row[0], row[1], row[2]): row[3]
                for row in connection.execute(
                    "SELECT d.key, d.action, json_extract(d.payload, '$.title'), count(*) FROM attempts a"
                    " JOIN deliveries d ON d.id = a.delivery WHERE a.outcome = 'ambiguous' AND d.destination = 'elven'"
                    " GROUP BY 1, 2, 3"
                )
            }
        )
        hivel_ambiguous = Counter(
            dict(
                connection.execute(
                    "SELECT d.incident, count(*) FROM attempts a JOIN deliveries d ON d.id = a.delivery"
                    " WHERE a.outcome = 'ambiguous' AND d.destination = 'hivel' GROUP BY 1"
                ).fetchall()
            )
        )
        repeated = Counter(
            {
                (row[0], row[1], row[2]): row[3]
                for row in connection.execute(
                    "SELECT key, action, json_extract(payload, '$.title'), count(*) FROM deliveries"
                    " WHERE repeats IS NOT NULL AND state = 'delivered' GROUP BY 1, 2, 3"
                )
            }
        )
        unfinished = connection.execute(
            "SELECT count(*) FROM deliveries WHERE state NOT IN ('delivered', 'superseded')"
        ).fetchone()[0]
    connection.close()
    lost = [event for flapper in load.flappers for event in flapper.acked if event not in events]
    said: dict[str, list[tuple[int, str]]] = defaultdict(list)
    taken: Counter[tuple[str, str, str]] = Counter()
    records: Counter[str] = Counter()
    episodes: dict[str, set[str]] = defaultdict(set)
    for item in simulation.received:
        if not item.taken:
            continue
        assert isinstance(item.body, dict)
        if item.destination == "elven":
            title, action, key = (str(item.body[f]) for f in ("title", "action", "external_aggregate_key"))
            said[key].append((int(title.split()[1]), action))
            taken[key, action, title] += 1
        else:
            records[str(item.body["provider_id"])] += 1
            episodes[str(item.body["description"])].add(str(item.body["provider_id"]))
    inversions = [
        key for key, order in said.items() if order != sorted(order)
    ]  # alarmed sorts before resolved
    duplicates = sum(number - 1 for number in taken.values()) + sum(n - 1 for n in records.values())
    unexplained = [what for what, n in taken.items() if n - 1 > ambiguous[what] + repeated[what]]
    unanswered, again = (
        Counter({key: sum(n for what, n in several.items() if what[0] == key) for key in said})
        for several in (ambiguous, repeated)
    )
    unexplained_records = [what for what, n in records.items() if n - 1 > hivel_ambiguous[what]]
    acked = sum(len(flapper.acked) for flapper in load.flappers)
    counts = (
        f"acked {acked}, lost {len(lost)}, inversions {len(inversions)}, requests {len(simulation.received)}, "
        f"duplicates {duplicates}, said once more on purpose {repeated.total()}, without an ambiguous attempt {len(unexplained) + len(unexplained_records)}"
    )
    assert acked > KILLS, "there was load"
    assert not lost, counts
    assert not inversions
    assert not unexplained
    assert not unexplained_records
    assert not again - unanswered, "at most one for each attempt that got no answer"
    assert unfinished == 0
    for flapper in load.flappers:
        key = f"prod/{flapper.name}"
        assert said[key][-1] == (flapper.episode, "alarmed" if flapper.firing else "resolved"), "the truth"
        for (episode, action), (later, then) in pairwise(said[key]):
            told_over = (action, then) == ("alarmed", "alarmed") and episode != later
            assert not told_over, f"{later} was told while {episode} was open"
            unsure = ambiguous[key, "alarmed", f"{flapper.name} {later}"]
            assert then == "alarmed" or episode == later or unsure, f"{later} was closed and never told"
        ended = flapper.episode - flapper.firing
        assert {f"{flapper.name} {n}" for n in range(1, ended + 1)} == {
            episode for episode in episodes if episode.startswith(flapper.name)
        }
    assert all(len(ids) == 1 for ids in episodes.values()), "one record an incident"
    assert all(item.problem is None for item in simulation.received), "nothing invalid was ever sent"
    return counts
