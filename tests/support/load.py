"""Alerts that fire and resolve, each told until it is acknowledged; and what must have become of them."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from alertbridge.simulate.ledger import Received
from tests.support.daemon import TOKEN

ACTIONS = {"firing": "alarmed", "resolved": "resolved"}


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """An event that was answered with 202."""

    name: str
    status: str
    event: str


@dataclass(slots=True)
class Load:
    """Tells of alerts as a source does: what is not answered with 2xx is said again."""

    url: str
    padding: int = 0
    acked: list[Acknowledged] = field(default_factory=list)
    refused: Counter[int] = field(default_factory=Counter)
    _started: dict[str, str] = field(default_factory=dict)

    async def episodes(self, names: Iterable[str], *, within: float = 60) -> None:
        """Let each of them fire and resolve, all side by side."""
        async with asyncio.timeout(within), self._session() as session, asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(self._episode(session, name))

    async def tell(self, name: str, status: str, *, within: float = 60) -> None:
        """Say one thing of one alert, until it is acknowledged."""
        async with asyncio.timeout(within), self._session() as session:
            await self._tell(session, name, status)

    async def once(self, name: str, status: str) -> int:
        """Say one thing once, and return the status; 0 for none."""
        async with self._session() as session:
            return await self._once(session, name, status)

    def _session(self) -> aiohttp.ClientSession:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=10))

    async def _episode(self, session: aiohttp.ClientSession, name: str) -> None:
        await self._tell(session, name, "firing")
        await self._tell(session, name, "resolved")

    async def _tell(self, session: aiohttp.ClientSession, name: str, status: str) -> None:
        while await self._once(session, name, status) != 202:  # noqa: ASYNC110 - another process is asked
            await asyncio.sleep(0.03)

    async def _once(self, session: aiohttp.ClientSession, name: str, status: str) -> int:
        body = self._body(name, status)
        try:
            async with session.post(f"{self.url}/v1/sources/prod", data=body) as answer:
                if answer.status == 202:
                    self.acked.append(Acknowledged(name, status, (await answer.json())["event"]))
                else:
                    self.refused[answer.status] += 1
                return answer.status
        except (aiohttp.ClientError, TimeoutError):
            return 0

    def _body(self, name: str, status: str) -> bytes:
        now = datetime.now(UTC).isoformat()
        alert = {
            "status": status,
            "labels": {"alertname": "Down", "name": name, "severity": "critical", "service": "checkout"},
            "annotations": {"padding": "x" * self.padding},
            "startsAt": self._started.setdefault(name, now),
            "endsAt": now if status == "resolved" else "0001-01-01T00:00:00Z",
            "fingerprint": name,
        }
        return json.dumps({"version": "4", "status": status, "alerts": [alert]}).encode()


Said = tuple[str, str]  # key and action; an incident's id and "record"


def said(received: Iterable[Received]) -> list[Said]:
    """What the destinations took, in order."""
    found = []
    for item in received:
        if not item.taken:
            continue
        assert isinstance(item.body, dict)
        if item.destination == "elven":
            found.append((str(item.body["external_aggregate_key"]), str(item.body["action"])))
        else:
            found.append((str(item.body["provider_id"]), "record"))
    return found


def ambiguous(database: Path) -> Mapping[Said, int]:
    """How many attempts may have arrived although nobody knows."""
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(
            "SELECT CASE d.action WHEN 'record' THEN d.incident ELSE d.key END, d.action, count(*) FROM attempts a"
            " JOIN deliveries d ON d.id = a.delivery WHERE a.outcome = 'ambiguous' GROUP BY 1, 2"
        ).fetchall()
    return Counter({(what, action): number for what, action, number in rows})


def on_purpose(database: Path) -> Mapping[Said, int]:
    """How often something was said once more, since a request before it on its key got no answer."""
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(
            "SELECT key, action, count(*) FROM deliveries WHERE repeats IS NOT NULL AND state = 'delivered' GROUP BY 1, 2"
        ).fetchall()
    return Counter({(key, action): number for key, action, number in rows})


def judge(acked: Iterable[Acknowledged], taken: list[Said], database: Path) -> None:
    """Everything acknowledged was said, in order, and twice only where an attempt was ambiguous; nothing is half done."""
    acked = list(acked)
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        undone = connection.execute(
            "SELECT id, state, last_error FROM deliveries WHERE state NOT IN ('delivered', 'superseded')"
        ).fetchall()
        assert undone == []
        undecided = connection.execute(
            "SELECT id, outcome, error FROM events WHERE outcome <> 'decided'"
        ).fetchall()
        assert undecided == []
        incidents = connection.execute("SELECT key, destination, closed_at FROM incidents").fetchall()
    maybe, again = ambiguous(database), on_purpose(database)
    counted = Counter(taken)
    unexplained = {
        what: number
        for what, number in counted.items()
        if number - 1 > maybe.get(what, 0) + again.get(what, 0)
    }
    assert not unexplained
    assert sum(again.values()) <= sum(maybe.values())
    ended = {one.name for one in acked if one.status == "resolved"}
    for one in acked:
        key = f"prod/{one.name}"
        assert counted[key, ACTIONS[one.status]], f"{one} was acknowledged and never told"
    for name in ended:
        order = [action for key, action in taken if key == f"prod/{name}"]
        assert order[-1] == "resolved"
        assert order == sorted(order), "`alarmed` sorts before `resolved`"
    for key, destination, closed in incidents:
        assert closed is not None or key.removeprefix("prod/") not in ended, (key, destination)
    records = [what for what, action in counted if action == "record"]
    assert len(records) >= len(ended)
