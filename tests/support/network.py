"""One daemon with a destination for each network fault, all at once, beside one that is well; and what came of it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.faults.network_cases import Case
from tests.support.daemon import Daemon
from tests.support.hostile import Asked
from tests.support.network_world import World

FIRST = ("a", "b")  # keys whose alerts fire and resolve while the faults last
LATER = "c"  # one that fires afterwards
_SHOWN = (
    "/metrics",
    "/api/v1/destinations",
    "/api/v1/deliveries?limit=500",
    "/api/v1/incidents?limit=500",
    "/api/v1/events",
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt, as the database has it; `during` says that it ended before the fault did."""

    said: tuple[str, str]
    outcome: str
    error: str
    during: bool


@dataclass(frozen=True, slots=True)
class Account:
    """What came of one case: its attempts, what arrived, and how much its server could say."""

    attempts: tuple[Attempt, ...]
    taken: tuple[Asked, ...]
    said_bytes: int
    states: Mapping[str, int]

    def ambiguous(self) -> Counter[tuple[str, str]]:
        """How many attempts were ambiguous, by key and action."""
        return Counter(one.said for one in self.attempts if one.outcome == "ambiguous")


@dataclass(slots=True)
class Evidence:
    """What is left when the daemon has ended; `shown` is everything it has said or written."""

    accounts: dict[str, Account] = field(default_factory=dict)
    well_in_time: list[tuple[str, str]] = field(default_factory=list)
    followed: int = -1
    shown: dict[str, bytes] = field(default_factory=dict)
    exit_code: int = -1
    grown_mib: float = 0
    seconds: dict[str, float] = field(default_factory=dict)


def alerts(names: Iterable[str], status: str) -> bytes:
    """A notification of alerts, firing or resolved."""
    said = [
        {
            "status": status,
            "labels": {"alertname": "Down", "name": name, "severity": "critical"},
            "annotations": {},
            "startsAt": "2026-01-05T09:00:00Z",
            "endsAt": "0001-01-01T00:00:00Z" if status == "firing" else "2026-01-05T09:30:00Z",
            "fingerprint": f"f-{name}",
        }
        for name in names
    ]
    return json.dumps({"version": "4", "status": status, "alerts": said}).encode()


async def run(folder: Path, cases: Iterable[Case]) -> Evidence:
    """Let alerts fire and resolve while all faults last, end the faults, wait for what was owed, and stop."""
    evidence = Evidence()
    async with AsyncExitStack() as stack:
        world = World(folder, cases)
        await world.open(stack)
        world.write_resolver()
        daemon = Daemon(folder, stand_ins="", main=world.configuration(), rules=world.rules())
        stack.callback(daemon.end_if_running)
        path = f"{folder}:{os.environ.get('PYTHONPATH', '')}".rstrip(":")
        environ = {"PYTHONPATH": path, "PYTHONWARNINGS": "always::ResourceWarning"}
        await daemon.start(ready=False, environ=environ)
        await daemon.ready(within=120)
        before = peak(daemon.pid)
        until = await _suffer(daemon, world, evidence)
        await _recover(daemon, world, evidence)
        evidence.grown_mib = peak(daemon.pid) - before
        await _look(daemon, evidence)
        evidence.exit_code = daemon.stop()
        _account(daemon, world, evidence, until)
    return evidence


async def _suffer(daemon: Daemon, world: World, evidence: Evidence) -> float:
    """Return when the faults began to end, in seconds since 1970."""
    began = time.monotonic()
    assert await daemon.post(alerts(FIRST, "firing")) == 202
    async with asyncio.timeout(120):
        while len(world.well.taken) < len(FIRST) or _untried(daemon, world):
            assert time.monotonic() - began < 100, f"not met: {_untried(daemon, world)}"
            await asyncio.sleep(0.05)
        evidence.seconds["until every fault was met"] = time.monotonic() - began
        assert await daemon.post(alerts(FIRST, "resolved")) == 202
        while len(world.well.taken) < 2 * len(FIRST):  # noqa: ASYNC110 - another process is watched
            await asyncio.sleep(0.02)
    evidence.well_in_time = [asked.said for asked in world.well.taken]
    return time.time()


async def _recover(daemon: Daemon, world: World, evidence: Evidence) -> None:
    began = time.monotonic()
    await world.relent()
    assert await daemon.post(alerts([LATER], "firing")) == 202
    async with asyncio.timeout(150):
        while _owed(daemon, len(world.servers) + 1):  # noqa: ASYNC110 - another process is watched
            await asyncio.sleep(0.05)
    evidence.seconds["until all was told afterwards"] = time.monotonic() - began


def _untried(daemon: Daemon, world: World) -> set[str]:
    """The cases whose fault nothing has met yet."""
    met = rows(daemon.database, "SELECT DISTINCT destination FROM attempts WHERE finished_at IS NOT NULL")
    return set(world.cases) - {row[0] for row in met}


def _owed(daemon: Daemon, destinations: int) -> bool:
    """Whether anything waits, or the last alert has not been laid out for each destination yet."""
    waiting = "SELECT 1 FROM deliveries WHERE state IN ('pending', 'sending') LIMIT 1"
    last = "SELECT 1 FROM deliveries WHERE key = ?"
    return bool(rows(daemon.database, waiting)) or len(rows(daemon.database, last, LATER)) < destinations


async def _look(daemon: Daemon, evidence: Evidence) -> None:
    async with aiohttp.ClientSession() as session:
        for path in _SHOWN:
            async with session.get(f"{daemon.url}{path}") as answer:
                evidence.shown[path] = await answer.read()


def _account(daemon: Daemon, world: World, evidence: Evidence, until: float) -> None:
    evidence.followed = world.trap.connections
    evidence.shown["log"] = daemon.log.read_bytes()
    for file in daemon.folder.glob("alertbridge.db*"):
        evidence.shown[file.name] = file.read_bytes()
    for name, server in world.servers.items():
        attempts = rows(
            daemon.database,
            "SELECT key, action, outcome, coalesce(error, ''), finished_at FROM attempts"
            " WHERE destination = ? ORDER BY started_at, number",
            name,
        )
        states = rows(
            daemon.database, "SELECT state, count(*) FROM deliveries WHERE destination = ? GROUP BY 1", name
        )
        evidence.accounts[name] = Account(
            tuple(Attempt((row[0], row[1]), row[2], row[3], row[4] < until * 1_000_000) for row in attempts),
            tuple(world.taken(name)),
            server.said_bytes,
            dict(states),
        )


def rows(database: Path, query: str, *parameters: str) -> list[Any]:
    """What a query finds in the database of a daemon, running or not."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as connection:
        return connection.execute(query, parameters).fetchall()


def peak(pid: int) -> float:
    """The most memory that a process has had so far, in MiB."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", text)
    assert found is not None
    return int(found[1]) / 1024
