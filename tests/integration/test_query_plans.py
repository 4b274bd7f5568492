"""No statement that the daemon lives by reads a whole table, or sorts: every one is recorded while it lives, and explained.

A new statement needs no line here: it is found when the life below makes the daemon say it. One that may scan or sort
needs one, in `ALLOWED`, with the reason.
"""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from sqlalchemy import Engine, event

from alertbridge.app import App
from alertbridge.clock import SystemClock
from alertbridge.config.load import load
from alertbridge.simulate.server import Simulation
from alertbridge.store.store import Store
from tests.support import old_rows

ROWS = 5000
# Statements that begin so may scan or sort, and why that is no harm.
ALLOWED = {
    "SELECT heartbeats.name": "as many as are configured",
    "SELECT stops.destination": "as many as are configured",
    "SELECT standings.destination": "as many as are configured; at start",
    "SELECT silences.heartbeat": "as many as are configured",
    "SELECT beats.heartbeat": "the few alerts that beat",
    "SELECT name FROM sqlite_master": "the tables there are; at start",
    "SELECT ? AS anon_1, rule_sets.hash": "retention, every ten minutes; the plan depends on how many sets there are",
    "SELECT rule_sets.hash": "a few dozen, which retention sees to",
    "SELECT deliveries.destination, min(deliveries.created_at)": "one for each destination",
    "SELECT deliveries.destination, CAST(deliveries.missing": "sorts what is held",
    "SELECT DISTINCT members.incident": "sorts what the alerts of one batch belong to",
    "SELECT incidents.id FROM incidents JOIN members": "sorts what one alert belongs to",
    "SELECT members.incident": "sorts the members of one page",
    "SELECT members.fingerprint, min(members.starts_at)": "sorts what fires, for `expect_repeat`, and never on the way in",
}
CONFIGURATION = """
server: {listen: "127.0.0.1:0", drain_timeout: 1s}
storage: {url: "sqlite:///alertbridge.db", retention: {events: 1ms, deliveries: 1ms}}
sources:
  prod: {type: alertmanager, stale_window: 100ms, expect_repeat: 1h}
destinations:
  elven:
    type: elven
    url: "STAND_INS/elven/token-of-elven"
    rate_limit: {requests: 1000, per: 1m}
    key_interval: 10ms
  hivel: {type: hivel, base_url: "STAND_INS/hivel", token: token-of-hivel}
heartbeats: [{name: watchdog, when: [alertname = Watchdog], every: 1h, send: [elven]}]
rules:
  - name: everything
    reopen_window: 50ms
    send: [elven, hivel]
"""
ADMIN = ("events", "incidents", "deliveries", "destinations", "audit", "rules", "heartbeats", "deployments")


@dataclass(frozen=True, slots=True)
class Said:
    """A statement, and what it was said with."""

    text: str
    parameters: Any


@contextmanager
def recorded() -> Iterator[dict[str, Said]]:
    """Every statement that any connection says meanwhile, once; lists of another length make no other statement."""
    said: dict[str, Said] = {}

    def record(*given: Any) -> None:
        _, _, statement, parameters, _, many = given
        alike = re.sub(r"\?(, \?)+", "?", statement)
        said.setdefault(alike, Said(statement, parameters[0] if many else parameters))

    event.listen(Engine, "before_cursor_execute", record)
    try:
        yield said
    finally:
        event.remove(Engine, "before_cursor_execute", record)


class Life:
    """A daemon in this process, and what happens to it."""

    def __init__(self, folder: Path, stand_ins: Simulation, session: aiohttp.ClientSession) -> None:
        path = folder / "alertbridge.yaml"
        path.write_text(dedent(CONFIGURATION).replace("STAND_INS", stand_ins.base_url), encoding="utf-8")
        self.app = App(configuration=load(path, environ={}), clock=SystemClock(), state_directory=str(folder))
        self.session = session

    async def post(
        self, name: str, *, status: str = "firing", starts_at: str = "2026-01-01T00:00:00Z"
    ) -> None:
        alert = {
            "status": status,
            "labels": {"alertname": name, "service": "checkout"},
            "fingerprint": name,
            "startsAt": starts_at,
        }
        await self.ask("/v1/sources/prod", "POST", 202, data=json.dumps({"alerts": [alert]}))

    async def ask(self, path: str, method: str = "GET", status: int = 200, **options: Any) -> Any:
        url = f"http://127.0.0.1:{self.app.port}{path}"
        async with self.session.request(method, url, **options) as answer:
            assert answer.status == status, (path, await answer.text())
            return await answer.json() if "json" in answer.content_type else await answer.text()

    async def items(self, path: str) -> list[dict[str, Any]]:
        return list((await self.ask(f"/api/v1/{path}"))["items"])

    async def settled(self) -> None:
        async with asyncio.timeout(20):
            while await self.items("events?state=received") or any(  # noqa: ASYNC110 - asked over HTTP
                one["waiting"] for one in await self.items("destinations")
            ):
                await asyncio.sleep(0.02)

    async def live(self) -> None:
        """Open, repeat, end, flap, doubt, hold, complete, look at everything, prune."""
        await self.app.start()
        try:
            for _ in range(2):
                await self.post("one")
                await self.post("Watchdog")
            await self.post("one", status="resolved")
            await self.settled()
            await self.post("one")  # doubted
            await asyncio.sleep(0.3)
            await self.settled()
            await self.act()
            for kind in ADMIN:
                await self.items(kind)
            for kind in ("events", "incidents", "deliveries"):
                (newest, *_) = await self.items(kind)
                await self.ask(f"/api/v1/{kind}/{newest['id']}")
            await self.ask("/metrics")
            await self.ask("/-/ready")
            await self.app._pruner.run_once()
            await self.app._expirer.run_once("prod")
        finally:
            await self.app.stop()

    async def act(self) -> None:
        """What operators and CI do."""
        deployment = {
            "id": "p", "service": "checkout", "repo_url": "https://github.com/acme/checkout", "pr_number": "4",
            "environment": "production", "status": "success",
            "started_at": "2025-12-31T22:00:00Z", "finished_at": "2025-12-31T23:00:00Z",
        }  # fmt: skip
        await self.ask("/v1/deployments", "POST", 202, json=deployment)
        await self.ask("/api/v1/destinations/elven/pause", "POST", json={"reason": "a look"})
        await self.ask("/api/v1/destinations/elven/resume", "POST", json={})
        await self.settled()


@pytest_asyncio.fixture
async def said(tmp_path: Path) -> AsyncIterator[dict[str, Said]]:
    async with Simulation(clock=SystemClock()) as stand_ins, aiohttp.ClientSession() as session:
        with recorded() as statements:
            await Life(tmp_path, stand_ins, session).live()
        yield statements


async def filled(path: Path) -> None:
    store = await Store.open(path)
    writing = asyncio.create_task(store.run())
    await store.write(lambda connection: old_rows.fill(connection, ROWS))
    store.stop()
    await writing
    await store.close()


def plan(database: sqlite3.Connection, said: Said) -> list[str]:
    rows = database.execute(f"EXPLAIN QUERY PLAN {said.text}", tuple(said.parameters)).fetchall()
    return [str(row[3]) for row in rows]


def sentence(said: Said) -> str:
    return " ".join(said.text.split())


def wrong(steps: list[str], *, partial: set[str], limited: bool) -> list[str]:
    """The steps that read a whole table, or sort. A partial index is small; with a LIMIT reading ends with it."""
    found = []
    for step in steps:
        table = re.match(r"SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?$", step)
        inner = table is not None and table[1].startswith("anon_")  # a query within it, with lines of its own
        whole = table is not None and not inner and table[2] not in partial and not limited
        if whole or "TEMP B-TREE" in step or "AUTOMATIC" in step:
            found.append(step)
    return found


@pytest.mark.parametrize("analyzed", [False, True], ids=["as it grows", "analyzed"])
async def test_no_statement_of_the_daemons_life_reads_a_whole_table_or_sorts(
    tmp_path: Path, said: dict[str, Said], *, analyzed: bool
) -> None:
    await filled(tmp_path / "full.db")
    database = sqlite3.connect(tmp_path / "full.db")
    if analyzed:
        database.execute("ANALYZE")
    partial = {
        row[0]
        for row in database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE '%WHERE%'"
        )
    }
    verbs = ("SELECT", "UPDATE", "DELETE", "INSERT", "WITH")
    hot = {alike: one for alike, one in said.items() if one.text.lstrip().startswith(verbs)}
    complaints = {}
    for alike, one in hot.items():
        limited = re.search(r"\bLIMIT \?", one.text) is not None and "WHERE" not in one.text
        steps = wrong(plan(database, one), partial=partial, limited=limited)
        if steps and not any(sentence(one).startswith(text) for text in ALLOWED):
            complaints[alike] = steps
    database.close()
    assert len(hot) > 60, "the daemon lived"
    shown = [f"{' '.join(alike.split())}\n    {steps}" for alike, steps in complaints.items()]
    unused = [text for text in ALLOWED if not any(sentence(one).startswith(text) for one in hot.values())]
    assert not complaints, "\n".join(shown)
    assert not unused, "the daemon does not say this any more, or does not live it here"
