"""SIGKILL at named points: whatever was being done, the next start goes on with it, and nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from alertbridge.clock import SystemClock
from alertbridge.simulate.server import Simulation
from tests.support.daemon import Daemon, surroundings
from tests.support.load import Load, ambiguous, judge, said
from tests.support.tampered import POINTS

ROOT = Path(__file__).parents[2]
KILLED = -9
MAY_SAY_TWICE = {"sent, not settled", "settled, not committed", "claimed, not sent"}
UNDER_LOAD = [
    ("event not yet written", 2),
    ("event committed, not answered", 2),
    ("before a commit", 9),
    ("in the middle of a decision", 1),
    ("event marked as decided, not committed", 1),
    ("claimed, not committed", 4),
    ("claimed, not sent", 4),
    ("sent, not settled", 4),
    ("settled, not committed", 4),
    ("settled", 4),
]
AT_THE_START = {"in a migration", "in recovery", "recovered, not started", "in retention"}


def test_every_point_is_died_at() -> None:
    assert {point for point, _ in UNDER_LOAD} | AT_THE_START == POINTS.keys()


def dying(point: str, nth: int) -> dict[str, str]:
    path = surroundings().get("PYTHONPATH", "")
    return {"KILL_AT": f"{point}:{nth}", "PYTHONPATH": f"{path}:{ROOT}"}


def tampered(folder: Path, simulation: Simulation) -> Daemon:
    return Daemon(folder, stand_ins=simulation.base_url, module="tests.support.tampered")


def names(prefix: str) -> list[str]:
    return [f"{prefix}{number}" for number in range(6)]


def untampered() -> dict[str, str]:
    return {"PYTHONPATH": f"{surroundings().get('PYTHONPATH', '')}:{ROOT}"}


async def die_under_load(daemon: Daemon, load: Load, point: str, nth: int) -> None:
    """Start it, tell it of alerts, see it die; and start it again, as it is."""
    await daemon.start(environ=dying(point, nth))
    telling = asyncio.create_task(load.episodes(names("a")))
    assert await daemon.ended() == KILLED
    await daemon.start(environ=untampered())
    await telling
    await daemon.settled()


@pytest.mark.parametrize(("point", "nth"), UNDER_LOAD, ids=[point for point, _ in UNDER_LOAD])
async def test_killed_under_load_it_goes_on_as_if_nothing_had_happened(
    tmp_path: Path, point: str, nth: int
) -> None:
    async with Simulation(clock=SystemClock()) as simulation:
        daemon = tampered(tmp_path, simulation)
        load = Load(daemon.url)
        try:
            await die_under_load(daemon, load, point, nth)
            assert daemon.stop() == 0
        finally:
            daemon.end_if_running()
        taken = said(simulation.received)
    judge(load.acked, taken, daemon.database)
    assert len(load.acked) == 12
    if point in {"claimed, not sent", "sent, not settled"}:
        assert sum(ambiguous(daemon.database).values()) >= 1
    if point not in MAY_SAY_TWICE and not ambiguous(daemon.database):
        assert len(taken) == len(set(taken))


async def test_killed_in_a_migration_it_begins_it_anew(tmp_path: Path) -> None:
    async with Simulation(clock=SystemClock()) as simulation:
        daemon = tampered(tmp_path, simulation)
        load = Load(daemon.url)
        try:
            for nth in (1, 12, 30):
                await daemon.start(ready=False, environ=dying("in a migration", nth))
                assert await daemon.ended() == KILLED
            await daemon.start(environ=untampered())
            await load.episodes(names("a"))
            await daemon.settled()
            assert daemon.stop() == 0
        finally:
            daemon.end_if_running()
        judge(load.acked, said(simulation.received), daemon.database)


@pytest.mark.parametrize("point", ["in recovery", "recovered, not started"])
async def test_killed_while_it_recovers_it_recovers_once_more(tmp_path: Path, point: str) -> None:
    async with Simulation(clock=SystemClock()) as simulation:
        daemon = tampered(tmp_path, simulation)
        load = Load(daemon.url)
        try:
            await daemon.start(environ=dying("sent, not settled", 4))
            telling = asyncio.create_task(load.episodes(names("a")))
            assert await daemon.ended() == KILLED
            for _ in range(2):
                await daemon.start(ready=False, environ=dying(point, 1))
                assert await daemon.ended() == KILLED
            await daemon.start(environ=untampered())
            await telling
            await daemon.settled()
            assert daemon.stop() == 0
        finally:
            daemon.end_if_running()
        judge(load.acked, said(simulation.received), daemon.database)
    assert sum(ambiguous(daemon.database).values()) >= 1


async def test_killed_while_it_forgets_it_forgets_nothing_else(tmp_path: Path) -> None:
    async with Simulation(clock=SystemClock()) as simulation:
        daemon = tampered(tmp_path, simulation)
        load = Load(daemon.url)
        try:
            await daemon.start(environ=untampered())
            await load.episodes(names("old"))
            await load.tell("open", "firing")
            await daemon.settled()
            assert daemon.stop() == 0
            make_old(daemon.database)
            for nth in (1, 2, 2):
                await daemon.start(ready=False, environ=dying("in retention", nth))
                assert await daemon.ended() == KILLED
            await daemon.start(environ=untampered())
            await load.episodes(names("new"))
            await load.tell("open", "resolved")
            await daemon.settled()
            assert daemon.stop() == 0
        finally:
            daemon.end_if_running()
        judge(load.acked, said(simulation.received), daemon.database)
    with closing(sqlite3.connect(daemon.database)) as connection:
        left = {key for (key,) in connection.execute("SELECT DISTINCT key FROM incidents")}
    assert left == {"prod/open", *(f"prod/{name}" for name in names("new"))}


def make_old(database: Path) -> None:
    """Forty days older than it was."""
    span = 40 * 86_400 * 10**6
    columns = {
        "events": ("received_at", "decided_at"),
        "deliveries": ("received_at", "created_at", "settled_at", "delivered_at"),
        "incidents": ("opened_at", "closed_at"),
        "attempts": ("started_at", "finished_at"),
    }
    with closing(sqlite3.connect(database)) as connection:
        for table, names_of in columns.items():
            changed = ", ".join(f"{name} = {name} - {span}" for name in names_of)
            connection.execute(f"UPDATE {table} SET {changed}")
        connection.commit()
