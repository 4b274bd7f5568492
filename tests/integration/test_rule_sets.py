"""The history of rule sets: kept, listed, shown, forgotten."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
import pytest_asyncio
from sqlalchemy import Connection, text

from alertbridge.errors import StoreFull
from alertbridge.model import DeliveryState, Secret
from alertbridge.operate.guard import Guard
from alertbridge.operate.pruner import Pruner
from alertbridge.operate.recovery import recover
from alertbridge.operate.rules_page import RulesPage
from alertbridge.rules.rule_set import Part, RuleSet
from alertbridge.store import rule_sets
from alertbridge.store.store import Store
from tests.support.clock import ManualClock
from tests.support.configuration import configure
from tests.support.stock import DAY, DECIDED, MINUTE, Stock, serving

PARTS = (
    Part("alertbridge.yaml", {"services": {"checkout": {"pr_number": 44}}}),
    Part("rules.d/20.yaml", {"rules": [{"name": "one", "drop": True}, {"name": "two", "send": ["elven"]}]}),
)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def stock(store: Store, clock: ManualClock) -> Stock:
    return Stock(store, clock)


@pytest_asyncio.fixture
async def client(stock: Stock) -> AsyncIterator[aiohttp.ClientSession]:
    guard = Guard(token=None, loopback=True)
    async with serving(*RulesPage(store=stock.store, in_use=lambda: "abc", guard=guard).routes()) as client:
        yield client


async def keep(stock: Stock, *hashes: str, version: str = "1.0") -> None:
    """Load these sets, one after the other, a minute apart."""
    for name in hashes:
        keeping = partial(
            rule_sets.keep, rule_set=RuleSet(PARTS, name), version=version, now=stock.clock.now()
        )
        await stock.store.write(keeping)
        stock.clock.advance(MINUTE)


async def kept(stock: Stock) -> list[str]:
    def query(connection: Connection) -> list[str]:
        return [str(row[0]) for row in connection.execute(text("SELECT hash FROM rule_sets ORDER BY seq"))]

    return await stock.store.read(query)


async def get(client: aiohttp.ClientSession, path: str, status: int = 200) -> Any:
    async with client.get(f"/api/v1/rules{path}") as answer:
        body = await answer.read()
        assert answer.status == status, body
        return orjson.loads(body)


async def test_a_set_is_listed_with_when_it_was_loaded_and_by_what_and_whether_it_is_in_use(
    stock: Stock, client: aiohttp.ClientSession
) -> None:
    await keep(stock, "abc")
    await keep(stock, "def")
    await keep(stock, "abc", version="1.1")
    await stock.incident()
    await stock.incident(key="other", closed_at=stock.clock.now())

    answer = await get(client, "")

    used = {
        "hash": "abc",
        "in_use": True,
        "rules": 2,
        "files": ["alertbridge.yaml", "rules.d/20.yaml"],
        "open_incidents": 1,
        "version": "1.1",
        "first_loaded_at": "2026-01-01T12:00:00Z",
        "last_loaded_at": "2026-01-01T12:02:00Z",
    }
    other = {
        **used,
        "hash": "def",
        "in_use": False,
        "open_incidents": 0,
        "version": "1.0",
        "first_loaded_at": "2026-01-01T12:01:00Z",
        "last_loaded_at": "2026-01-01T12:01:00Z",
    }
    assert answer == {"items": [used, other], "next": None}
    parts = [{"file": part.file, "content": part.content} for part in PARTS]
    assert await get(client, "/abc") == {**used, "parts": parts}


async def test_the_beginning_of_a_hash_is_enough_if_only_one_begins_so(
    stock: Stock, client: aiohttp.ClientSession
) -> None:
    await keep(stock, "abc", "abd", "b_1", "b21")

    assert (await get(client, "/abd"))["hash"] == "abd"
    assert (await get(client, "/ABC"))["hash"] == "abc"
    assert (await get(client, "/b_"))["hash"] == "b_1", "_ stands for itself"
    assert (await get(client, "/ab", 409))["matches"] == ["abd", "abc"]
    assert "begins with" in (await get(client, "/e", 404))["detail"]


async def test_pages_hold_every_set_once_though_one_is_loaded_meanwhile(
    stock: Stock, client: aiohttp.ClientSession
) -> None:
    await keep(stock, "a", "b", "c", "d")

    first = await get(client, "?limit=2")
    await keep(stock, "e")
    second = await get(client, f"?limit=2&cursor={first['next']}")

    assert [one["hash"] for one in (*first["items"], *second["items"])] == ["d", "c", "b", "a"]
    assert second["next"] is None
    assert (await get(client, "?state=open", 400))["parameter"] == "state"


async def test_nobody_else_may_look(stock: Stock) -> None:
    guard = Guard(token=Secret("a-token"), loopback=True)
    page = RulesPage(store=stock.store, in_use=lambda: "abc", guard=guard)
    async with serving(*page.routes()) as client:
        for path in ("", "/abc"):
            assert (await get(client, path, 401))["status"] == 401


TWENTY = [f"later{number:02}" for number in range(20)]


@pytest.mark.parametrize("naming", ["event", "incident", "delivery"])
async def test_a_set_stays_as_long_as_anything_names_it(
    stock: Stock, clock: ManualClock, naming: str
) -> None:
    await keep(stock, "abc", "never-named", *TWENTY)
    match naming:
        case "event":
            await stock.event(decided=DECIDED)
        case "incident":
            await stock.incident(closed_at=clock.now())
        case _:
            await stock.delivery(state=DeliveryState.DEAD)
    pruner = Pruner(store=stock.store, events=DAY, deliveries=DAY, clock=clock)

    assert (await pruner.run_once())["rule_sets"] == 1
    assert await kept(stock) == ["abc", *TWENTY]
    clock.advance(2 * DAY)
    assert (await pruner.run_once())["rule_sets"] == 1
    assert await kept(stock) == TWENTY


async def test_the_twenty_that_were_loaded_last_stay_however_old(stock: Stock, clock: ManualClock) -> None:
    await keep(stock, "abc", *TWENTY[1:])
    clock.advance(1000 * DAY)
    pruner = Pruner(store=stock.store, events=DAY, deliveries=DAY, clock=clock)

    assert (await pruner.run_once())["rule_sets"] == 0
    await keep(stock, "abc", "newest")
    assert (await pruner.run_once())["rule_sets"] == 1
    assert await kept(stock) == [*TWENTY[2:], "abc", "newest"], "the one loaded again counts as new"


async def test_forgetting_reads_what_names_a_set_by_index(stock: Stock) -> None:
    """Events are large: a scan would read all their bodies."""

    def plan(connection: Connection) -> list[str]:
        query = (
            "EXPLAIN QUERY PLAN SELECT 1 FROM rule_sets WHERE EXISTS (SELECT * FROM events "
            "WHERE events.rules_hash = rule_sets.hash)"
        )
        return [row[3] for row in connection.execute(text(query))]

    assert any("ix_events_rules_hash" in step for step in await stock.store.read(plan))


async def test_a_full_disk_does_not_keep_the_daemon_from_starting(
    stock: Stock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise StoreFull("the disk is full")

    monkeypatch.setattr(rule_sets, "keep", full)
    await recover(stock.store, configuration=configure(tmp_path), clock=stock.clock)

    assert await kept(stock) == []
