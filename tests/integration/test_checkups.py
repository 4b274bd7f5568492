"""A destination is tried, against stand-ins that enforce what the vendors document."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from alertbridge.clock import SystemClock
from alertbridge.deliver.budget import RateLimit
from alertbridge.deliver.courier import Policy
from alertbridge.deliver.transport import Route, Transport
from alertbridge.destinations import Destination
from alertbridge.destinations.elven import Elven
from alertbridge.destinations.hivel import AuthHeader, Hivel
from alertbridge.identifiers import Ulids
from alertbridge.model import Secret
from alertbridge.operate.admin import Admin, Station
from alertbridge.operate.checkups import Checkups, Line
from alertbridge.operate.guard import OPERATOR, Guard
from alertbridge.operate.stopping import Stopping
from alertbridge.simulate.server import Simulation
from alertbridge.store.store import Store
from tests.support.clock import ManualClock
from tests.support.daemon import free_port
from tests.support.stock import MINUTE, Stock, serving

TOKEN = "token-0123456789"


@dataclass
class Bench:
    """An operator at the admin API, and the stand-ins."""

    stand_ins: Simulation
    client: aiohttp.ClientSession
    lines: dict[str, Destination]
    stations: dict[str, Station]
    stock: Stock

    async def post(self, path: str, status: int = 200, /, **body: Any) -> Any:
        url = f"/api/v1/destinations/{path}"
        async with self.client.post(url, json=body, headers={OPERATOR: "alice"}) as answer:
            assert answer.status == status, await answer.text()
            return await answer.json()

    async def misbehave(self, destination: str, **behaviour: Any) -> None:
        url = f"{self.stand_ins.base_url}/behaviour/{destination}"
        async with aiohttp.ClientSession() as session, session.put(url, json=behaviour) as answer:
            assert answer.status < 300, await answer.text()


def elven(base: str) -> Elven:
    return Elven(name="elven", url=Secret(f"{base}/elven/{TOKEN}"))


def hivel(base: str, token: str = TOKEN) -> Hivel:
    return Hivel(
        name="hivel",
        base_url=f"{base}/hivel",
        path="/api/hooks/v1/incident",
        token=Secret(token),
        auth_header=AuthHeader.X_API_TOKEN,
    )


@pytest_asyncio.fixture
async def bench(store: Store) -> AsyncIterator[Bench]:
    clock = SystemClock()
    async with Simulation(clock=clock, hivel_token=TOKEN) as stand_ins:
        stock = Stock(store, ManualClock())
        stations = {name: Station(stock.courier(name), name) for name in ("elven", "hivel")}
        lines: dict[str, Destination] = {
            "elven": elven(stand_ins.base_url),
            "hivel": hivel(stand_ins.base_url),
        }
        guard = Guard(token=None, loopback=True)
        checkups = Checkups(
            store=store,
            stations=stations,
            line=lambda name: Line(
                lines[name], Transport(route=Route(timeout=timedelta(seconds=5)), clock=clock)
            ),
            new_id=Ulids(clock=clock),
            clock=clock,
            clean=lambda text: text.replace(TOKEN, "***"),
            guard=guard,
        )
        pages = (
            checkups,
            Admin(store=store, stations=stations, clock=clock, guard=guard),
            Stopping(store=store, stations=stations, clock=clock, guard=guard),
        )
        async with serving(*(route for page in pages for route in page.routes())) as client:
            yield Bench(stand_ins, client, lines, stations, stock)


async def test_elven_hears_of_a_test_and_of_its_end(bench: Bench) -> None:
    told = await bench.post("elven/test")
    assert told["ok"]
    assert [(step["step"], step["outcome"], step["status"]) for step in told["steps"]] == [
        ("alarmed", "delivered", 200),
        ("resolved", "delivered", 200),
    ]
    assert all(step["seconds"] >= 0 for step in told["steps"])
    alarmed, resolved = (received.body for received in bench.stand_ins.received)
    assert (alarmed["action"], resolved["action"]) == ("alarmed", "resolved")
    assert alarmed["external_aggregate_key"] == resolved["external_aggregate_key"] == told["key"]
    assert told["key"].startswith("alertbridge/test/")
    assert (alarmed["severity"], alarmed["title"]) == ("informational", "Test by alertbridge")


async def test_nothing_is_made_up_in_hivels_records(bench: Bench) -> None:
    told = await bench.post("hivel/test")
    assert told["ok"]
    ((received),) = bench.stand_ins.received
    assert (received.body, received.status) == ({}, 400)
    assert "It does not prove that a whole record is taken" in told["finding"]


async def test_a_wrong_token_is_told_from_a_right_one(bench: Bench) -> None:
    bench.lines["hivel"] = hivel(bench.stand_ins.base_url, "another-token")
    told = await bench.post("hivel/test")
    assert not told["ok"]
    assert (told["steps"][0]["status"], told["steps"][0]["outcome"]) == (401, "paused")


async def test_a_vendor_that_takes_an_empty_record_is_not_what_is_documented(bench: Bench) -> None:
    await bench.misbehave("hivel", mode="status", status=200)
    told = await bench.post("hivel/test")
    assert not told["ok"]
    assert "is this the API that is documented?" in told["finding"]


async def test_where_nobody_answers_it_says_so_and_stops(bench: Bench) -> None:
    bench.lines["elven"] = elven(f"http://127.0.0.1:{free_port()}")
    told = await bench.post("elven/test")
    assert not told["ok"]
    (step,) = told["steps"]
    assert (step["status"], step["outcome"], step["response"]) == (None, "retry", None)
    assert "no connection" in step["error"]
    assert told["finding"] == "Nothing was opened there."


async def test_what_was_refused_is_told_without_a_secret(bench: Bench) -> None:
    await bench.misbehave("elven", mode="status", status=422, body=f"no such token: {TOKEN}")
    told = await bench.post("elven/test")
    assert [step["outcome"] for step in told["steps"]] == ["rejected"]
    assert TOKEN not in str(told)


async def test_it_works_while_the_destination_is_paused_and_leaves_it_paused(bench: Bench) -> None:
    await bench.post("elven/pause", reason="maintenance")
    assert (await bench.post("elven/test"))["ok"]
    async with bench.client.get("/api/v1/destinations/elven") as answer:
        assert (await answer.json())["state"] == "paused"


async def test_it_stands_in_the_audit_with_who_did_it(bench: Bench) -> None:
    told = await bench.post("elven/test")
    async with bench.client.get("/api/v1/audit") as answer:
        (entry,) = (await answer.json())["items"]
    assert (entry["action"], entry["destination"]) == ("test", "elven")
    assert entry["who"] == "alice (this machine, without a token)"
    assert entry["detail"] == {"ok": True, "key": told["key"]}


async def test_a_rate_limit_that_is_used_up_is_kept(bench: Bench) -> None:
    policy = Policy(timeout=MINUTE, max_age=MINUTE, rate_limit=RateLimit(1, MINUTE, 1))
    bench.stations["elven"] = Station(bench.stock.courier("elven", policy=policy), "elven")
    refused = await bench.post("elven/test", 409)
    assert "the rate limit leaves 1 requests now, and a test sends 2" in refused["detail"]
    assert not bench.stand_ins.received


async def test_what_a_test_sends_counts_towards_the_rate_limit(bench: Bench) -> None:
    policy = Policy(timeout=MINUTE, max_age=MINUTE, rate_limit=RateLimit(3, MINUTE, 3))
    bench.stations["elven"] = Station(bench.stock.courier("elven", policy=policy), "elven")
    await bench.post("elven/test")
    refused = await bench.post("elven/test", 409)
    assert "the rate limit leaves 1 requests now" in refused["detail"]


async def test_a_restart_forgets_no_test(bench: Bench) -> None:
    policy = Policy(timeout=MINUTE, max_age=MINUTE, rate_limit=RateLimit(3, MINUTE, 3))
    bench.stations["elven"] = Station(bench.stock.courier("elven", policy=policy), "elven")
    await bench.post("elven/test")
    restarted = bench.stock.courier("elven", policy=policy)
    assert await bench.stock.store.read(restarted.budget) == 1
    await bench.stock.delivery()
    await bench.stock.claim()
    assert await bench.stock.store.read(restarted.budget) == 0
    bench.stock.clock.advance(MINUTE)
    assert await bench.stock.store.read(restarted.budget) == 3


async def test_two_tests_at_once_share_what_is_left(bench: Bench) -> None:
    policy = Policy(timeout=MINUTE, max_age=MINUTE, rate_limit=RateLimit(3, MINUTE, 3))
    bench.stations["elven"] = Station(bench.stock.courier("elven", policy=policy), "elven")
    url = "/api/v1/destinations/elven/test"
    answers = await asyncio.gather(*(bench.client.post(url, json={}) for _ in range(2)))
    assert sorted(answer.status for answer in answers) == [200, 409]


@pytest.mark.parametrize(
    ("path", "status", "body"), [("nobody/test", 404, {}), ("elven/test", 400, {"to": 1})]
)
async def test_what_there_is_not_cannot_be_tried(
    bench: Bench, path: str, status: int, body: dict[str, Any]
) -> None:
    await bench.post(path, status, **body)
