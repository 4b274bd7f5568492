"""Stories of captured requests, heard when they were received; what came of them is said in lines to compare.

They go the daemon's own way: inbox, sources, rules, `decide()`, incidents and outbox on a real database. The clock is the
story's, and the destinations take everything at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from alertbridge.chronicle import Chronicle
from alertbridge.identifiers import Ulids
from alertbridge.metrics import Metrics
from alertbridge.model import Action, Event
from alertbridge.parts import bridge
from alertbridge.pipeline import Decider
from alertbridge.store import dispatch, ledger
from alertbridge.store.store import Store
from tests.support.clock import ManualClock
from tests.support.configuration import configure
from tests.support.payloads import captured, received_at, said
from tests.support.stock import DELIVERED

MAIN = """
storage: {url: "sqlite:///alertbridge.db"}
sources:
  prod: {type: alertmanager, stale_window: 90s}
destinations:
  elven: {type: elven, url: "http://127.0.0.1:9/elven/token-of-elven"}
  hivel: {type: hivel, base_url: "http://127.0.0.1:9/hivel", token: token-of-hivel}
severities: {warning: moderate, info: informational, none: informational}
services:
  checkout: {repo_url: "https://git.example/acme/checkout", pr_number: 44}
  warehouse: {repo_url: "https://git.example/acme/warehouse", pr_number: 7}
"""
PER_ALERT = """
rules:
  - {name: everything, send: [elven, hivel]}
"""
PER_GROUP = """
rules:
  - {name: everything, key: "{{ labels.alertname }}", send: [elven, hivel]}
"""
_DAY = datetime(2026, 11, 21, tzinfo=UTC)


def like(number: str, *, only: str = "", **changes: str) -> bytes:
    """A captured body with `changes` in its alerts (all, or those that have `only` in a label); others are left out."""
    body = said(number)
    alerts = [one for one in body["alerts"] if only in json.dumps(one["labels"], ensure_ascii=False)]
    assert alerts, f"no alert of {number} has {only} in a label"
    firing = {"endsAt": "0001-01-01T00:00:00Z"} if changes.get("status") == "firing" else {}
    moments = {name: _instant(text) for name, text in changes.items() if name in {"startsAt", "endsAt"}}
    body["alerts"] = [{**one, **changes, **firing, **moments} for one in alerts]
    return json.dumps(body).encode()


@dataclass
class Story:
    """Begun on an empty database, on the evening of the captures. Times are written as `19:38:48.733`."""

    store: Store
    folder: Path
    rules: str = PER_ALERT
    clock: ManualClock = field(default_factory=lambda: ManualClock(_DAY + timedelta(hours=19)))

    def __post_init__(self) -> None:
        self._told: list[tuple[str, dispatch.Claim]] = []
        self._new_id = Ulids(clock=self.clock)
        self._decider = Decider(
            store=self.store,
            bridge=bridge(configure(self.folder, self.rules, MAIN)),
            clock=self.clock,
            new_id=self._new_id,
            chronicle=Chronicle(metrics=Metrics()),
            posted=lambda: None,
        )

    async def hears(self, *bodies: str | bytes, at: str = "") -> None:
        """One body after the other; a captured one, named by its number, when it was received, unless `at` says when."""
        for body in bodies:
            moment = _moment(at) if at else received_at(str(body))
            await self._passes(moment)
            content = body if isinstance(body, bytes) else captured(body)
            await self.store.accept(Event(self._new_id(), "prod", moment, content))
            await self._decide()

    async def passes_until(self, moment: str) -> None:
        """Nothing is heard until then; what is due in between happens."""
        await self._passes(_moment(moment))

    def now(self) -> str:
        """The time of day."""
        return _time(self.clock.now())

    def told(self, destination: str = "elven") -> list[str]:
        """What a destination was told since it was last asked for, in order: when, what, of which key."""
        return [
            f"{at} {_record(claim.key, claim.payload)}"
            if claim.action is Action.RECORD
            else f"{at} {claim.action} {claim.payload['external_aggregate_key']}"
            for at, claim in self._taken(destination)
        ]

    def payloads(self, destination: str = "elven") -> list[Mapping[str, Any]]:
        """The same, each as it is sent."""
        return [claim.payload for _, claim in self._taken(destination)]

    def _taken(self, destination: str) -> list[tuple[str, dispatch.Claim]]:
        taken = [one for one in self._told if one[1].destination == destination]
        self._told = [one for one in self._told if one not in taken]
        return taken

    async def incidents(self, destination: str = "elven") -> list[str]:
        """Every incident in the order of opening: its key, its times, and whether it is open."""
        rows = await self._rows("SELECT * FROM incidents ORDER BY id")
        return [
            f"{row['key']} {_text(row['opened_at'])} {_text(row['closed_at']) if row['closed_at'] else 'open'}"
            for row in rows
            if row["destination"] == destination
        ]

    async def records(self) -> list[str]:
        """Hivel's record of every incident that is over: key, start, end, severity, cause, or what is missing.

        There is exactly one of each, known by the incident's id.
        """
        over = await self._rows(
            "SELECT id FROM incidents WHERE destination = 'hivel' AND closed_at IS NOT NULL"
        )
        rows = await self._rows(
            "SELECT * FROM deliveries WHERE action = 'record' AND state <> 'superseded' ORDER BY seq"
        )
        assert sorted(row["incident"] for row in rows) == sorted(row["id"] for row in over)
        payloads = [json.loads(row["payload"]) for row in rows]
        assert [payload["provider_id"] for payload in payloads] == [row["incident"] for row in rows]
        return [
            _record(row["key"], payload, json.loads(row["missing"]))
            for row, payload in zip(rows, payloads, strict=True)
        ]

    async def doubted(self) -> list[str]:
        """Whose firing is held as old news."""
        return [row["fingerprint"] for row in await self._rows("SELECT fingerprint FROM doubts")]

    async def left_out(self) -> int:
        """How many alerts the bodies admitted to have left out."""
        return sum([row["truncated"] for row in await self._rows("SELECT truncated FROM events")])

    async def _passes(self, until: datetime) -> None:
        while (due := await self.store.read(_next_due)) is not None and due <= until:
            self.clock.move_to(max(due, self.clock.now()))
            await self._decide()
        self.clock.move_to(until)

    async def _decide(self) -> None:
        while await self._decider.run_once():
            pass
        for destination in ("elven", "hivel"):
            while await self._take(destination):
                pass

    async def _take(self, destination: str) -> int:
        now = self.clock.now()

        def work(connection: Connection) -> list[dispatch.Claim]:
            claims = dispatch.claim(connection, destination, now=now, most=1000, key_interval=timedelta(0))
            for claim in claims:
                dispatch.settle(connection, claim, DELIVERED, now=now)
            return claims

        claims = await self.store.write(work)
        at = _time(now)
        self._told += [(at, claim) for claim in claims]
        return len(claims)

    async def _rows(self, statement: str) -> list[dict[str, Any]]:
        return await self.store.read(
            lambda connection: [dict(row) for row in connection.exec_driver_sql(statement).mappings()]
        )


def _next_due(connection: Connection) -> datetime | None:
    waiting = connection.exec_driver_sql(
        "SELECT min(next_attempt_at) FROM deliveries WHERE state = 'pending'"
    ).scalar()
    dues = [ledger.next_doubt(connection), None if waiting is None else _EPOCH + waiting * _MICROSECOND]
    return min((due for due in dues if due is not None), default=None)


def _record(key: str, payload: Mapping[str, Any], missing: Sequence[str] = ()) -> str:
    begun, ended = payload["reported_time"][11:-1], payload["resolution_time"][11:-1]
    cause = f"lacks {', '.join(missing)}" if missing else f"{payload['repo_url']} {payload['pr_number']}"
    return f"{key} {begun} {ended} {payload['severity']} {cause}"


def _moment(text: str) -> datetime:
    clock = datetime.strptime(text, "%H:%M:%S.%f" if "." in text else "%H:%M:%S")  # noqa: DTZ007 - a time of day
    return _DAY.replace(
        hour=clock.hour, minute=clock.minute, second=clock.second, microsecond=clock.microsecond
    )


def _instant(text: str) -> str:
    return text if "T" in text else f"{_moment(text).isoformat().removesuffix('+00:00')}Z"


def _text(microseconds: int) -> str:
    return _time(_EPOCH + microseconds * _MICROSECOND)


def _time(moment: datetime) -> str:
    return moment.strftime("%H:%M:%S.%f")[:-3]


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
