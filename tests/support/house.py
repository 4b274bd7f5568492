"""A decider on a real database, with an operator at the admin API, on a clock that the test moves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from alertbridge.chronicle import Chronicle
from alertbridge.identifiers import Ulids
from alertbridge.metrics import Metrics
from alertbridge.model import Event, instant
from alertbridge.operate.guard import OPERATOR
from alertbridge.parts import bridge
from alertbridge.pipeline import Decider
from alertbridge.store.store import Store
from tests.support.clock import ManualClock
from tests.support.configuration import MAIN, configure

MINUTE = timedelta(minutes=1)


@dataclass
class Ward:
    """What is accepted is decided at once; what was to be said is read from the outbox."""

    store: Store
    folder: Path
    clock: ManualClock

    def __post_init__(self) -> None:
        self.new_id = Ulids(clock=self.clock)
        self.client: aiohttp.ClientSession | None = None
        self.beats: list[datetime] = []

    def use(self, rules: str, main: str = MAIN) -> None:
        """Work with these rules from now on."""
        self.decider = Decider(
            store=self.store,
            bridge=bridge(configure(self.folder, rules, main)),
            clock=self.clock,
            new_id=self.new_id,
            chronicle=Chronicle(metrics=Metrics()),
            posted=lambda: None,
            beat=lambda _names, at: self.beats.append(at),
        )

    async def accept(self, *alerts: dict[str, Any], body: bytes | None = None) -> str:
        """Accept one notification and return the id of its event."""
        event = Event(self.new_id(), "prod", self.clock.now(), body or orjson.dumps({"alerts": list(alerts)}))
        await self.store.accept(event)
        return event.id

    async def hear(self, *alerts: dict[str, Any]) -> str:
        """Accept one notification and decide it; a second later comes whatever comes next."""
        event = await self.accept(*alerts)
        await self.decide()
        self.clock.advance(timedelta(seconds=1))
        return event

    async def decide(self) -> None:
        """Decide whatever waits."""
        while await self.decider.run_once():
            pass

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the database says."""
        return await self.store.read(
            lambda connection: [tuple(row) for row in connection.exec_driver_sql(query)]
        )

    async def outbox(self) -> list[str]:
        """`destination action key` in the order of posting."""
        rows = await self.rows("SELECT destination, action, key FROM deliveries ORDER BY seq")
        return [" ".join(row) for row in rows]

    async def open(self) -> list[str]:
        """The destinations and keys at which an incident is open."""
        rows = await self.rows("SELECT destination, key FROM incidents WHERE closed_at IS NULL ORDER BY 1, 2")
        return [" ".join(row) for row in rows]

    async def notes(self, event: str) -> list[str]:
        """What is noted of the alerts of an event that changed nothing."""
        ((alerts,),) = await self.rows(f"SELECT alerts FROM events WHERE id = '{event}'")
        return [alert["note"] for alert in orjson.loads(alerts)]

    async def post(self, path: str, status: int = 200, /, **body: Any) -> Any:
        """Do something by hand, as alice; the last line of the answer."""
        assert self.client is not None
        headers = {OPERATOR: "alice"}
        async with self.client.post(f"/api/v1/{path}", json=body, headers=headers) as answer:
            said = await answer.read()
            assert answer.status == status, said
            return orjson.loads(said.splitlines()[-1])

    async def get(self, path: str) -> Any:
        assert self.client is not None
        async with self.client.get(f"/api/v1/{path}") as answer:
            return orjson.loads(await answer.read())


def firing(name: str, starts_at: datetime, **labels: str) -> dict[str, Any]:
    """An alert whose fingerprint is its name."""
    return {
        "status": "firing",
        "labels": {"alertname": name, "service": "checkout", **labels},
        "startsAt": instant(starts_at),
        "fingerprint": name,
    }


def resolved(name: str, starts_at: datetime, ends_at: datetime, **labels: str) -> dict[str, Any]:
    """The end of that alert."""
    return {**firing(name, starts_at, **labels), "status": "resolved", "endsAt": instant(ends_at)}
