"""A house whose one destination has a small budget, an Elven that keeps what it is told, and laws on both."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import Connection
from typing_extensions import override

from alertbridge.config.settings import Settings
from alertbridge.deliver.courier import Courier
from alertbridge.deliver.transport import Transport
from alertbridge.metrics import Metrics
from alertbridge.model import Ambiguous, Paused, Request, Response, Retry, instant
from alertbridge.parts import courier
from alertbridge.store import dispatch
from alertbridge.store.store import Store
from tests.support.clock import NOON, ManualClock
from tests.support.configuration import configure
from tests.support.house import Ward

REQUESTS, PER = 3, timedelta(seconds=10)
LANDING = timedelta(seconds=20)
MAIN = """
server: {listen: "127.0.0.1:0"}
storage: {url: "sqlite:///alertbridge.db"}
sources:
  prod: {type: alertmanager, stale_window: 0s}
destinations:
  elven:
    type: elven
    url: "http://127.0.0.1:9/elven/token-of-elven"
    rate_limit: {requests: 3, per: 10s}
    OVERFLOW
rules:
  - name: everything
    key: "{{ labels.group }}"
    reopen_window: 0s
    send: [elven]
"""
DIGEST = "{overflow: digest, digest_after: 4}"


@dataclass
class Elven:
    """What it believes of every key: the last body that said `alarmed`, as long as no `resolved` came.

    `answer` is `ok`, `refused`, `lost` (no answer; it arrives 20 seconds later) or `late` (no answer, but it has arrived).
    """

    clock: ManualClock
    heard: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)
    open: dict[str, dict[str, Any]] = field(default_factory=dict)
    answer: str = "ok"
    under_way: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)

    def take(self, body: bytes) -> Response | Retry | Ambiguous:
        said = json.loads(body)
        self.heard.append((self.clock.now(), said))
        if self.answer == "refused":
            return Response(503, {}, b"", self.clock.now())
        if self.answer == "lost":
            self.under_way.append((self.clock.now() + LANDING, said))
        else:
            self._believe(said)
        return Response(202, {}, b"", self.clock.now()) if self.answer == "ok" else Ambiguous("no answer")

    def land(self) -> None:
        """Take what was lost, and arrives by now."""
        arrived = [said for due, said in self.under_way if due <= self.clock.now()]
        self.under_way = [one for one in self.under_way if one[0] > self.clock.now()]
        for said in arrived:
            self._believe(said)

    def _believe(self, said: dict[str, Any]) -> None:
        key = said["external_aggregate_key"]
        self.open.pop(key, None)
        if said["action"] == "alarmed":
            self.open[key] = said

    @property
    def digests(self) -> list[dict[str, Any]]:
        """The digests that it believes to be open."""
        return [said for key, said in self.open.items() if key.startswith("alertbridge/digest/")]

    def knows(self, key: str) -> bool:
        """Whether the key is open there, or named by a digest that is."""
        return key in self.open or any(f"({key})" in said["description"] for said in self.digests)


@dataclass
class Storm:
    """Alerts are called by a number; several may share a group, which is their key. One second passes at a time."""

    store: Store
    folder: Path
    overflow: str = DIGEST
    reopen_window: str = "0s"

    def __post_init__(self) -> None:
        self.clock = ManualClock()
        self.elven = Elven(self.clock)
        self.metrics = Metrics()
        self.ward = Ward(self.store, self.folder, self.clock)
        self.firing: dict[int, tuple[str, str]] = {}  # to group and severity
        self.random = Random(7)
        self.load(self.overflow)

    def load(self, overflow: str) -> None:
        """Begin anew, as after a restart, with this said of the destination."""
        settings = overflow.strip("{}").replace(", ", "\n    ")
        main = MAIN.replace("OVERFLOW", settings)
        main = main.replace("reopen_window: 0s", f"reopen_window: {self.reopen_window}")
        self.ward.use("", main)
        self.courier = self._courier(configure(self.folder, "", main).settings)

    def _courier(self, settings: Settings) -> Courier:
        elven = self.elven

        class Wire(Transport):
            @override
            async def open(self) -> None:
                return

            @override
            async def post(self, request: Request) -> Response | Retry | Ambiguous | Paused:
                return elven.take(request.body)

        return courier(
            "elven",
            settings.destinations["elven"],
            store=self.store,
            transport=Wire,
            clock=self.clock,
            metrics=self.metrics,
            chance=self.random.random,
            clean=str,
            new_id=self.ward.new_id,
        )

    async def crash(self) -> None:
        """Stop while something is being sent, and start on what is on disk."""
        now = self.clock.now()

        def work(connection: Connection) -> None:
            budget = self.courier.budget(connection) or 0
            dispatch.claim(connection, "elven", now=now, most=min(1, budget), key_interval=timedelta(0))
            dispatch.recover(connection, now=now)

        await self.store.write(work)
        self.load(self.overflow)

    async def fire(self, *numbers: int, severity: str = "low", group: str = "") -> None:
        """These fire, each in a group of its own unless said otherwise."""
        alerts = []
        for number in numbers:
            self.firing[number] = (group or f"g{number}", severity)
            alerts.append(self._alert(number, "firing"))
        await self._hear(alerts)

    async def resolve(self, *numbers: int) -> None:
        alerts = [{**self._alert(n, "resolved"), "endsAt": instant(self.clock.now())} for n in numbers]
        for number in numbers:
            del self.firing[number]
        await self._hear(alerts)

    async def pass_by(self, seconds: int, *, look: Callable[[], None] = lambda: None) -> None:
        """Let time pass; whatever may be sent is sent."""
        for _ in range(seconds):
            await self.courier.run_once()
            look()
            self.clock.advance(timedelta(seconds=1))
            self.elven.land()

    async def settle(self) -> None:
        """Until nothing waits any more."""
        self.elven.answer = "ok"
        for _ in range(3000):
            await self.pass_by(1)
            waiting = await self.rows("SELECT id FROM deliveries WHERE state IN ('pending', 'sending')")
            if not waiting and not self.elven.under_way:
                return
        raise AssertionError(
            await self.rows("SELECT * FROM deliveries WHERE state IN ('pending', 'sending')")
        )

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        return await self.ward.rows(query)

    def check_budget(self) -> None:
        """No window holds more requests than it may."""
        starts = [at for at, _ in self.elven.heard]
        for first, last in zip(starts, starts[REQUESTS:], strict=False):
            assert last - first >= PER, (first, last)

    async def check_represented(self) -> None:
        """What fires has an incident that is told, or about to be; or a digest that is."""
        unseen = await self.rows(f"""
            SELECT key FROM incidents AS one WHERE closed_at IS NULL AND rule != 'alertbridge/digest'
            AND NOT EXISTS (SELECT 1 FROM deliveries WHERE incident = one.id AND {_LIVES})
            AND NOT EXISTS (
                SELECT 1 FROM digests JOIN incidents AS digest ON digest.id = digests.digest
                WHERE digests.incident = one.id AND digest.closed_at IS NULL
                AND EXISTS (SELECT 1 FROM deliveries WHERE incident = digest.id AND {_LIVES}))
        """)
        assert not unseen

    async def check_folded(self) -> None:
        """Nothing but openings of low severity that were never tried is folded."""
        worse = await self.rows(
            "SELECT id FROM deliveries WHERE last_error LIKE '%folded into%' "
            "AND (severity > 2 OR attempts > 0 OR action != 'alarmed' OR state != 'superseded')"
        )
        assert not worse

    async def _hear(self, alerts: list[dict[str, Any]]) -> None:
        await self.ward.accept(*alerts)
        await self.ward.decide()

    def _alert(self, number: int, status: str) -> dict[str, Any]:
        group, severity = self.firing[number]
        return {
            "status": status,
            "labels": {"alertname": f"Alert{number}", "group": group, "severity": severity},
            "startsAt": instant(NOON if status == "resolved" else self.clock.now()),
            "fingerprint": f"f{number}",
        }


_LIVES = "action = 'alarmed' AND state IN ('pending', 'sending', 'delivered')"
