from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import aiohttp
import orjson
import pytest
import pytest_asyncio

from alertbridge.deliver.breaker import Breaker, Opened
from alertbridge.deliver.courier import Courier, Policy
from alertbridge.deliver.repairing import Repair
from alertbridge.deliver.standing import QUOTA, Pause, Standing
from alertbridge.errors import StoreFull
from alertbridge.metrics import Metrics
from alertbridge.model import DeliveryState, Secret
from alertbridge.operate.admin import Admin, Station
from alertbridge.operate.guard import OPERATOR, Guard
from alertbridge.operate.metrics_page import MetricsPage
from alertbridge.operate.stopping import Stopping
from alertbridge.store import standings
from alertbridge.store.store import Store
from tests.support.clock import NOON, ManualClock
from tests.support.stock import DAY, MINUTE, Stock, serving


@dataclass
class Hand:
    """An operator and one destination; nothing is really sent."""

    stock: Stock
    courier: Courier
    client: aiohttp.ClientSession

    async def post(self, path: str, status: int = 200, /, **body: Any) -> Any:
        headers = {OPERATOR: "alice"}
        async with self.client.post(f"/api/v1/{path}", json=body, headers=headers) as answer:
            said = await answer.read()
            assert answer.status == status, said
            return orjson.loads(said)

    async def get(self, path: str) -> Any:
        async with self.client.get(path) as answer:
            return await answer.text()

    async def shown(self) -> Any:
        return orjson.loads(await self.get("/api/v1/destinations/elven"))


@pytest_asyncio.fixture
async def hand(store: Store) -> AsyncIterator[Hand]:
    stock = Stock(store, ManualClock())
    guard = Guard(token=None, loopback=True)
    metrics = Metrics()
    courier = stock.courier("elven", policy=Policy(timeout=MINUTE, max_age=DAY), metrics=metrics)
    stations = {"elven": Station(courier=courier, type="elven")}
    parts = (
        Stopping(store=store, stations=stations, clock=stock.clock, guard=guard),
        Admin(store=store, stations=stations, clock=stock.clock, guard=guard),
        MetricsPage(
            store=store, couriers={"elven": courier}, pulses=dict, clock=stock.clock, metrics=metrics
        ),
    )
    await courier.open()
    async with serving(*(route for part in parts for route in part.routes())) as client:
        yield Hand(stock, courier, client)
    await courier.abandon()


async def test_a_paused_destination_is_sent_nothing_until_it_is_resumed(hand: Hand) -> None:
    identifier = await hand.stock.delivery()
    assert await hand.post("destinations/elven/pause", reason="maintenance") == {
        "name": "elven",
        "stopped": True,
    }
    assert await hand.courier.start_due() == 0
    await hand.post("destinations/elven/resume")
    assert await hand.courier.start_due() == 1
    await hand.courier.drained()
    shown = orjson.loads(await hand.get(f"/api/v1/deliveries/{identifier}"))
    assert shown["attempts"] == 1


async def test_a_pause_is_kept_on_disk_and_holds_for_whoever_sends_there_next(hand: Hand) -> None:
    await hand.stock.delivery()
    await hand.post("destinations/elven/pause", reason="maintenance")
    assert await hand.stock.courier("elven").start_due() == 0
    assert await hand.stock.courier("hivel").start_due() == 0


async def test_time_spent_paused_does_not_count_to_the_age_of_what_waits(hand: Hand) -> None:
    await hand.stock.delivery()
    hand.stock.clock.advance(MINUTE)
    await hand.post("destinations/elven/pause", reason="maintenance")
    hand.stock.clock.advance(timedelta(hours=2))
    await hand.post("destinations/elven/pause", reason="it takes longer")
    hand.stock.clock.advance(timedelta(hours=2))
    await hand.post("destinations/elven/resume")
    (claim,) = await hand.stock.claim()
    assert claim.paused_for == timedelta(hours=4)


async def test_a_pause_that_came_by_itself_is_ended_too_and_counted_once(hand: Hand) -> None:
    await hand.stock.delivery()
    hand.courier.standing = Standing(Pause("unauthorized", "401", NOON, NOON + DAY))
    hand.stock.clock.advance(MINUTE)
    await hand.post("destinations/elven/pause", reason="maintenance")
    hand.stock.clock.advance(MINUTE)
    await hand.post("destinations/elven/resume")
    assert hand.courier.standing == Standing()
    (claim,) = await hand.stock.claim()
    assert claim.paused_for == 2 * MINUTE


async def test_a_quota_that_ends_while_an_operator_lets_nothing_be_sent_is_counted_once(hand: Hand) -> None:
    await hand.stock.delivery()
    hand.courier.standing = Standing(Pause(QUOTA, "used up", NOON, NOON + 3 * MINUTE))
    hand.stock.clock.advance(2 * MINUTE)
    await hand.post("destinations/elven/pause", reason="maintenance")
    hand.stock.clock.advance(2 * MINUTE)
    assert await hand.courier.start_due() == 0
    assert hand.courier.standing == Standing(), "it has run out"
    hand.stock.clock.advance(2 * MINUTE)
    await hand.post("destinations/elven/resume")
    (claim,) = await hand.stock.claim()
    assert claim.paused_for == 6 * MINUTE


async def test_what_is_sent_again_while_it_is_paused_gets_no_more_than_its_whole_time(hand: Hand) -> None:
    identifier = await hand.stock.delivery(state=DeliveryState.DEAD)
    await hand.post("destinations/elven/pause", reason="maintenance")
    hand.stock.clock.advance(MINUTE)
    repair = partial(Repair, destinations={}, new_id=lambda: "d99", now=hand.stock.clock.now())
    await hand.stock.store.write(lambda connection: repair(connection).retry(identifier, force=False))
    hand.stock.clock.advance(MINUTE)
    await hand.post("destinations/elven/resume")
    (claim,) = await hand.stock.claim()
    assert claim.paused_for == 2 * MINUTE


async def test_a_pause_that_was_ended_by_hand_does_not_come_back_with_a_restart(hand: Hand) -> None:
    hand.courier.standing = Standing(Pause("rate_limited", "429", NOON, NOON + DAY))
    await hand.stock.store.write(hand.courier.remember)
    assert "elven" in await hand.stock.store.read(standings.find)
    await hand.post("destinations/elven/resume")
    assert await hand.stock.store.read(standings.find) == {}


async def test_an_open_breaker_is_shown_as_such_and_is_closed_by_hand(hand: Hand) -> None:
    opened = Opened("10 of the last 10 attempts failed", NOON, NOON + MINUTE, 1)
    hand.courier.standing = Standing(breaker=Breaker(opened=opened))
    shown = await hand.shown()
    assert (shown["state"], shown["reason"], shown["resumes_at"]) == (
        "breaker",
        "breaker",
        "2026-01-01T12:01:00Z",
    )
    metrics = await hand.get("/metrics")
    assert 'alertbridge_destination_paused{destination="elven",reason="breaker"} 1.0' in metrics
    await hand.post("destinations/elven/resume")
    assert hand.courier.standing == Standing()


async def test_a_resume_that_cannot_be_stored_changes_nothing(
    hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    standing = Standing(Pause("rate_limited", "429", NOON, NOON + DAY))
    hand.courier.standing = standing

    async def full(*_: object, **__: object) -> None:
        raise StoreFull("no room")

    with monkeypatch.context() as patch:
        patch.setattr(hand.stock.store, "write", full)
        await hand.post("destinations/elven/resume", 503)
    assert hand.courier.standing == standing


async def test_who_paused_it_and_why_is_shown_in_every_place(hand: Hand) -> None:
    hand.courier.standing = Standing(Pause("unauthorized", "401", NOON, NOON + DAY))
    await hand.post("destinations/elven/pause", reason="maintenance")
    shown = await hand.shown()
    assert (shown["state"], shown["reason"], shown["resumes_at"]) == ("paused", "operator", None)
    assert shown["detail"] == (
        "maintenance (by alice (this machine, without a token), since 2026-01-01T12:00:00Z)"
    )
    metrics = await hand.get("/metrics")
    assert 'alertbridge_destination_paused{destination="elven",reason="operator"} 1.0' in metrics
    await hand.post("destinations/elven/resume")
    assert (await hand.shown())["state"] == "ok"
    assert 'reason="operator"' not in await hand.get("/metrics")
    entries = orjson.loads(await hand.get("/api/v1/audit?destination=elven"))["items"]
    assert [(one["action"], one["detail"]) for one in entries] == [
        ("resume", {}),
        ("pause", {"reason": "maintenance"}),
    ]


async def test_an_unknown_destination_and_a_pause_without_a_reason_are_refused(hand: Hand) -> None:
    await hand.post("destinations/nobody/pause", 404, reason="x")
    await hand.post("destinations/elven/pause", 400)
    await hand.post("destinations/elven/resume", 400, reason="x")
    assert (await hand.shown())["state"] == "ok"


async def test_nobody_pauses_without_the_token(store: Store) -> None:
    guard = Guard(token=Secret("admin-s3cret"), loopback=True)
    routes = Stopping(store=store, stations={}, clock=ManualClock(), guard=guard).routes()
    async with serving(*routes) as client:
        for route in routes:
            async with client.post(route.path.replace("{id}", "elven")) as answer:
                assert answer.status == 401
