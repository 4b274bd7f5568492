"""Rows put into a real store as the daemon puts them, and real HTTP to look at them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from types import MappingProxyType

import aiohttp
from aiohttp import web

from alertbridge.deliver.courier import Courier, Policy
from alertbridge.deliver.transport import Route, Transport
from alertbridge.destinations.elven import Elven
from alertbridge.incidents.state import Changes, Incident, Known, Member
from alertbridge.metrics import Metrics
from alertbridge.model import (
    JSON,
    Action,
    AlertId,
    Content,
    DeliveryState,
    Event,
    EventOutcome,
    Reporting,
    Secret,
    Severity,
)
from alertbridge.problems import problem_middleware
from alertbridge.store import dispatch, inbox, ledger, outbox
from alertbridge.store.dispatch import Claim, Result
from alertbridge.store.inbox import Decided
from alertbridge.store.outbox import Posting
from alertbridge.store.store import Store
from tests.support.clock import ManualClock

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


@dataclass
class Stock:
    """Fills a store. Ids are `e01`, `i01`, `d01`, … in the order of entry."""

    store: Store
    clock: ManualClock

    def __post_init__(self) -> None:
        self._numbers = {kind: count(1) for kind in "eid"}

    def new_id(self, kind: str) -> str:
        return f"{kind}{next(self._numbers[kind]):02}"

    async def event(
        self,
        body: bytes = b"{}",
        *,
        source: str = "prod",
        decided: Decided | None = None,
        malformed: str = "",
    ) -> str:
        event = Event(self.new_id("e"), source, self.clock.now(), body)
        if malformed:
            await self.store.keep_malformed(event, malformed)
            return event.id
        await self.store.accept(event)
        if decided is not None:
            noted = replace(decided, event=event.id)
            now = self.clock.now()
            await self.store.write(lambda connection: inbox.mark(connection, [noted], now=now))
        return event.id

    async def incident(
        self,
        *,
        destination: str = "elven",
        key: str = "prod/f1",
        severity: Severity = Severity.HIGH,
        peak: Severity = Severity.HIGH,
        opened_at: datetime | None = None,
        closed_at: datetime | None = None,
        reopen_until: datetime | None = None,
        reporting: Reporting = Reporting.LIFECYCLE,
        members: Iterable[tuple[str, str]] = (("prod", "f1"),),
    ) -> str:
        opened_at = opened_at or self.clock.now()
        incident = Incident(
            id=self.new_id("i"),
            destination=destination,
            reporting=reporting,
            key=key,
            rule="payments",
            rules_hash="abc",
            severity=severity,
            peak=peak,
            opened_at=opened_at,
            closed_at=closed_at,
            service="checkout",
            reopen_until=reopen_until,
            content=Content({"title": "Down"}, {"title": "rule"}, {}, AlertId("prod", "f1")),
        )
        parts = [
            Member(
                incident=incident.id,
                alert=AlertId(*alert),
                firing=closed_at is None,
                severity=severity,
                starts_at=opened_at,
                ends_at=closed_at,
                last_seen=closed_at or opened_at,
            )
            for alert in members
        ]
        changes = Changes(
            incidents={incident.id: incident}, members={(one.incident, one.alert): one for one in parts}
        )
        await self.store.write(lambda connection: ledger.store(connection, changes))
        return incident.id

    async def alert(self, fingerprint: str, *, firing: bool, last_seen: datetime) -> None:
        known = Known(
            AlertId("prod", fingerprint), firing, last_seen, None if firing else last_seen, last_seen
        )
        await self.store.write(
            lambda connection: ledger.store(connection, Changes(known={known.alert: known}))
        )

    async def delivery(
        self,
        *,
        incident: str = "i01",
        destination: str = "elven",
        key: str = "prod/f1",
        action: Action = Action.ALARMED,
        state: DeliveryState = DeliveryState.PENDING,
        missing: tuple[str, ...] = (),
        payload: Mapping[str, JSON] = MappingProxyType({"title": "Down"}),
    ) -> str:
        now = self.clock.now()
        posting = Posting(
            id=self.new_id("d"),
            incident=incident,
            destination=destination,
            key=key,
            action=action,
            rules_hash="abc",
            severity=Severity.HIGH,
            state=state,
            payload=dict(payload),
            missing=missing,
            due_at=now,
            received_at=now,
            note=f"missing: {', '.join(missing)}" if missing else None,
        )
        await self.store.write(lambda connection: outbox.post(connection, [posting], now=now))
        return posting.id

    async def claim(self, destination: str = "elven", *, most: int = 1) -> list[Claim]:
        now = self.clock.now()
        return await self.store.write(
            lambda connection: dispatch.claim(
                connection, destination, now=now, most=most, key_interval=timedelta(0)
            )
        )

    async def settle(self, claim: Claim, result: Result) -> None:
        now = self.clock.now()
        await self.store.write(lambda connection: dispatch.settle(connection, claim, result, now=now))

    async def deliver(self, destination: str = "elven", *, most: int = 1) -> list[str]:
        """Claim what is due and settle it as delivered."""
        claims = await self.claim(destination, most=most)
        for claim in claims:
            await self.settle(claim, DELIVERED)
        return [claim.id for claim in claims]

    def courier(self, name: str, *, policy: Policy | None = None, metrics: Metrics | None = None) -> Courier:
        minute = timedelta(minutes=1)
        return Courier(
            destination=Elven(name=name, url=Secret("http://127.0.0.1:9/elven/token")),
            policy=policy or Policy(timeout=minute, max_age=DAY),
            store=self.store,
            transport=Transport(route=Route(timeout=minute), clock=self.clock),
            clock=self.clock,
            metrics=metrics or Metrics(),
            chance=lambda: 0.5,
            clean=lambda text: text,
        )


DELIVERED = Result(
    state=DeliveryState.DELIVERED,
    outcome="delivered",
    error=None,
    next_attempt_at=None,
    status=202,
    response={"status": 202, "body": "ok"},
    reference="r-1",
)
DECIDED = Decided("", EventOutcome.DECIDED, "abc")


@asynccontextmanager
async def serving(*routes: web.RouteDef) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of a server that serves `routes` as the daemon does."""
    application = web.Application(middlewares=[problem_middleware])
    application.add_routes(routes)
    runner = web.AppRunner(application, access_log=None, auto_decompress=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with aiohttp.ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as client:
            yield client
    finally:
        await runner.cleanup()
