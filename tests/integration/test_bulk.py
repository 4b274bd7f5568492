"""Many deliveries sent again or given up at once, over real HTTP on a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
import pytest
import pytest_asyncio

from alertbridge.destinations.elven import Elven
from alertbridge.model import Action, DeliveryState, Secret
from alertbridge.operate.admin import Admin
from alertbridge.operate.bulk import Bulk
from alertbridge.operate.guard import OPERATOR, Guard
from alertbridge.store.dispatch import Result
from alertbridge.store.store import Store
from tests.support.clock import NOON, ManualClock
from tests.support.stock import DELIVERED, MINUTE, Stock, serving

ELVEN = Elven(name="elven", url=Secret("http://127.0.0.1:9/elven/s3cret-token"))
REFUSED = Result(DeliveryState.DEAD, "rejected", "HTTP 422: no", None)
OVERTAKEN = (
    "something newer was delivered on its key, or was not worth saying any more, which this would undo; "
    "with force it is sent all the same"
)


@dataclass
class Desk:
    """An operator, and what is in the outbox."""

    stock: Stock
    client: aiohttp.ClientSession
    woken: list[str]

    async def post(self, path: str, status: int = 200, /, **body: Any) -> list[Any]:
        """The lines of the answer."""
        headers = {OPERATOR: "alice"}
        async with self.client.post(f"/api/v1/deliveries/{path}", json=body, headers=headers) as answer:
            said = await answer.read()
            assert answer.status == status, said
            return [orjson.loads(line) for line in said.splitlines()]

    async def states(self) -> dict[str, str]:
        async with self.client.get("/api/v1/deliveries?limit=500") as answer:
            return {item["id"]: item["state"] for item in (await answer.json())["items"]}

    async def audit(self) -> list[Any]:
        async with self.client.get("/api/v1/audit?limit=500") as answer:
            items: list[Any] = (await answer.json())["items"]
            return items

    async def settled(self, result: Result, key: str, action: Action = Action.ALARMED) -> str:
        identifier = await self.stock.delivery(action=action, key=key)
        (claim,) = await self.stock.claim()
        await self.stock.settle(claim, result)
        return identifier

    async def dead(self, key: str) -> str:
        return await self.settled(REFUSED, key)


@pytest_asyncio.fixture
async def desk(store: Store) -> AsyncIterator[Desk]:
    stock, woken = Stock(store, ManualClock()), list[str]()
    guard = Guard(token=None, loopback=True)
    bulk = Bulk(
        store=store,
        destinations=lambda: {"elven": ELVEN},
        wake=lambda: woken.append("woken"),
        clock=stock.clock,
        new_id=lambda: stock.new_id("d"),
        guard=guard,
    )
    admin = Admin(store=store, stations={}, clock=stock.clock, guard=guard)
    async with serving(*bulk.routes(), *admin.routes()) as client:
        yield Desk(stock, client, woken)


async def test_a_look_says_how_many_match_of_what_and_changes_nothing(desk: Desk) -> None:
    dead = [await desk.dead(f"k{number}") for number in range(7)]
    (seen,) = await desk.post("retry", state="dead", dry_run=True)
    assert seen["matched"] == 7
    assert seen["groups"] == [
        {"destination": "elven", "action": "alarmed", "state": "dead", "reason": "HTTP 422: no", "count": 7}
    ]
    assert [one["id"] for one in seen["examples"]] == dead[:5]
    assert set((await desk.states()).values()) == {"dead"}
    assert not desk.woken


async def test_all_that_match_are_sent_again_and_each_stands_in_the_audit_with_who_did_it(desk: Desk) -> None:
    dead = [await desk.dead(f"k{number}") for number in range(3)]
    delivered = await desk.settled(DELIVERED, "other")
    (left,) = await desk.post("retry", state="dead", destination="elven", count=3)
    assert left == {
        "matched": 3, "done": 3, "refused": 0, "reasons": {}, "refusals": [], "complete": True,
    }  # fmt: skip
    assert await desk.states() == {delivered: "delivered", **dict.fromkeys(dead, "pending")}
    entries = await desk.audit()
    assert sorted(entry["delivery"] for entry in entries) == dead
    assert {entry["who"] for entry in entries} == {"alice (this machine, without a token)"}
    assert desk.woken


async def test_one_that_would_undo_something_newer_is_refused_unless_forced(desk: Desk) -> None:
    overtaken, other = await desk.dead("k1"), await desk.dead("k2")
    await desk.settled(DELIVERED, "k1")
    (left,) = await desk.post("retry", state="dead", count=2)
    assert (left["done"], left["refused"], left["reasons"]) == (1, 1, {OVERTAKEN: 1})
    assert left["refusals"] == [{"delivery": overtaken, "reason": OVERTAKEN}]
    states = await desk.states()
    assert (states[overtaken], states[other]) == ("dead", "pending")
    (left,) = await desk.post("retry", state="dead", count=1, force=True)
    assert left["done"] == 1


async def test_more_than_were_seen_are_not_touched(desk: Desk) -> None:
    await desk.dead("k1")
    await desk.dead("k2")
    (refused,) = await desk.post("retry", 409, state="dead", count=1)
    assert "2 match, more than the 1 that it may be" in refused["detail"]
    assert set((await desk.states()).values()) == {"dead"}


async def test_what_is_given_up_keeps_the_reason(desk: Desk) -> None:
    dead = await desk.dead("k1")
    await desk.post("discard", state="dead", key="k1", count=1, reason="closed in Elven")
    async with desk.client.get(f"/api/v1/deliveries/{dead}") as answer:
        shown = await answer.json()
    assert (shown["state"], shown["last_error"]) == ("discarded", "discarded by an operator: closed in Elven")


async def test_only_what_the_filter_names_is_meant(desk: Desk) -> None:
    old = await desk.dead("k1")
    desk.stock.clock.advance(10 * MINUTE)
    since = desk.stock.clock.now().isoformat()
    recent = await desk.dead("k2")
    await desk.post("retry", state="dead", since=since, action="alarmed", count=1)
    states = await desk.states()
    assert (states[old], states[recent]) == ("dead", "pending")


async def test_long_work_tells_how_far_it_is(desk: Desk) -> None:
    for number in range(401):
        await desk.stock.delivery(key=f"k{number}", state=DeliveryState.HELD, missing=("repo_url",))
    lines = await desk.post("discard", state="held", count=401, reason="a drill")
    assert [(line["done"], "complete" in line) for line in lines] == [(200, False), (400, False), (401, True)]
    assert len(await desk.audit()) == 401


@pytest.mark.parametrize(
    ("path", "body", "problem"),
    [
        ("retry", {"count": 1}, "say which"),
        ("retry", {"destination": "elven", "count": 1}, "say one of dead, pending"),
        ("retry", {"state": "delivered", "count": 1}, "what is delivered cannot be meant here"),
        ("retry", {"state": "dead"}, "say dry_run, or in count"),
        ("retry", {"state": "dead", "count": 1, "dry_run": True}, "say dry_run, or in count"),
        ("retry", {"state": "nope", "count": 1}, "state"),
        ("retry", {"state": "dead", "since": "2026-01-01T00:00:00", "count": 1}, "since"),
        ("discard", {"state": "dead", "count": 1}, "say why"),
        ("discard", {"state": "superseded", "dry_run": True}, "cannot be meant here"),
    ],
)
async def test_what_is_not_said_clearly_is_refused(
    desk: Desk, path: str, body: dict[str, Any], problem: str
) -> None:
    dead = await desk.dead("k1")
    (refused,) = await desk.post(path, 400, **body)
    assert problem in refused["detail"]
    assert (await desk.states())[dead] == "dead"


async def test_what_was_never_composed_is_composed_or_refused_one_by_one(desk: Desk) -> None:
    incident = await desk.stock.incident()
    found = await desk.stock.delivery(incident=incident, state=DeliveryState.DEAD, payload={})
    gone = await desk.stock.incident(destination="gone")
    lost = await desk.stock.delivery(incident=gone, destination="gone", state=DeliveryState.DEAD, payload={})
    *_, left = await desk.post("retry", state="dead", count=2)
    assert (left["done"], left["refused"]) == (1, 1)
    ((refused, reason),) = [(one["delivery"], one["reason"]) for one in left["refusals"]]
    assert refused == lost
    assert reason.startswith("destination gone is not configured")
    (claim,) = await desk.stock.claim()
    assert (claim.id, claim.payload["action"]) == (found, "alarmed")


async def test_alarms_of_what_is_over_are_each_followed_by_a_resolved_and_it_is_said_how_many(
    desk: Desk,
) -> None:
    incident = await desk.stock.incident(closed_at=NOON)
    alarm = await desk.dead("prod/f1")
    end = await desk.stock.delivery(incident=incident, action=Action.RESOLVED, state=DeliveryState.DEAD)
    await desk.stock.incident(key="k2", closed_at=NOON)
    other = await desk.stock.delivery(incident="i02", key="k2", state=DeliveryState.DEAD)
    *_, left = await desk.post("retry", state="dead", count=3, force=True)
    assert (left["done"], left["refused"], left["resolved"]) == (3, 0, 2)
    delivered = [one for _ in range(5) for one in await desk.stock.deliver()]
    assert sorted(delivered) == sorted([alarm, end, other, "d04"])
