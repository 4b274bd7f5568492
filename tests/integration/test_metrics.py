from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import timedelta

import aiohttp
import pytest
import pytest_asyncio
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from sqlalchemy import Connection, event, text
from typing_extensions import override

from alertbridge.deliver.budget import RateLimit
from alertbridge.deliver.courier import Courier, Policy
from alertbridge.deliver.standing import Pause, Standing
from alertbridge.metrics import Metrics
from alertbridge.model import Action, DeliveryState
from alertbridge.operate.metrics_page import MetricsPage
from alertbridge.store import census
from alertbridge.store.store import Store
from tests.support.clock import NOON, ManualClock
from tests.support.stock import DAY, DECIDED, DELIVERED, MINUTE, Stock, serving

LIMITED = Policy(timeout=MINUTE, max_age=DAY, rate_limit=RateLimit(requests=10, per=5 * MINUTE, burst=4))


@dataclass
class Board:
    """The metrics page over real HTTP, on a store that the test fills."""

    stock: Stock
    metrics: Metrics
    couriers: dict[str, Courier]
    client: aiohttp.ClientSession

    async def page(self, **headers: str) -> tuple[str, str]:
        async with self.client.get("/metrics", headers=headers) as answer:
            assert answer.status == 200
            return await answer.text(), answer.headers["Content-Type"]

    async def samples(self, name: str) -> dict[tuple[str, ...], float]:
        """The values of one series by its label values, in the order of the label names."""
        page, _ = await self.page()
        return {
            tuple(value for _, value in sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
            if sample.name == f"alertbridge_{name}"
        }


@pytest_asyncio.fixture
async def board(store: Store) -> AsyncIterator[Board]:
    stock, metrics = Stock(store, ManualClock()), Metrics()
    couriers = {"elven": stock.courier("elven", policy=LIMITED), "hivel": stock.courier("hivel")}
    page = MetricsPage(store=store, couriers=couriers, pulses=dict, clock=stock.clock, metrics=metrics)
    async with serving(*page.routes()) as client:
        yield Board(stock, metrics, couriers, client)


async def test_a_quiet_daemon_shows_zeros_for_every_destination(board: Board) -> None:
    assert await board.samples("incidents_open") == {("elven",): 0, ("hivel",): 0}
    assert await board.samples("outbox") == {
        (name, state): 0 for name in ("elven", "hivel") for state in ("held", "pending", "sending", "dead")
    }
    assert await board.samples("outbox_oldest_seconds") == {("elven",): 0, ("hivel",): 0}
    assert await board.samples("rate_budget") == {("elven",): 4}
    assert await board.samples("held") == {}
    assert await board.samples("destination_paused") == {}
    assert await board.samples("inbox") == {(): 0}


async def test_open_incidents_are_counted_by_destination(board: Board) -> None:
    await board.stock.incident(key="a")
    await board.stock.incident(key="b")
    await board.stock.incident(key="a", closed_at=NOON)
    await board.stock.incident(destination="removed")
    assert await board.samples("incidents_open") == {("elven",): 2, ("hivel",): 0, ("removed",): 1}


async def test_deliveries_that_are_not_final_are_counted_by_state(board: Board) -> None:
    for key in ("a", "b", "c"):
        await board.stock.delivery(key=key)
    await board.stock.claim()
    for state in (DeliveryState.DEAD, DeliveryState.SKIPPED, DeliveryState.DISCARDED):
        await board.stock.delivery(state=state)
    await board.stock.delivery(destination="hivel", action=Action.RECORD, state=DeliveryState.HELD)
    assert await board.samples("outbox") == {
        ("elven", "held"): 0,
        ("elven", "pending"): 2,
        ("elven", "sending"): 1,
        ("elven", "dead"): 1,
        ("hivel", "held"): 1,
        ("hivel", "pending"): 0,
        ("hivel", "sending"): 0,
        ("hivel", "dead"): 0,
    }


async def test_the_oldest_age_is_that_of_the_first_delivery_not_yet_settled(board: Board) -> None:
    await board.stock.delivery(state=DeliveryState.HELD, missing=("repo_url",))
    board.stock.clock.advance(MINUTE)
    for key in ("a", "b"):
        await board.stock.delivery(key=key)
        board.stock.clock.advance(timedelta(seconds=10))
    assert await board.samples("outbox_oldest_seconds") == {("elven",): 20, ("hivel",): 0}
    (claim,) = await board.stock.claim()
    assert await board.samples("outbox_oldest_seconds") == {("elven",): 20, ("hivel",): 0}
    await board.stock.settle(claim, DELIVERED)
    assert await board.samples("outbox_oldest_seconds") == {("elven",): 10, ("hivel",): 0}


async def test_held_deliveries_are_counted_by_every_name_they_lack(board: Board) -> None:
    for missing in (("repo_url", "pr_number"), ("pr_number",), ("pr_number",)):
        await board.stock.delivery(destination="hivel", state=DeliveryState.HELD, missing=missing)
    assert await board.samples("held") == {("hivel", "pr_number"): 3, ("hivel", "repo_url"): 1}


async def test_what_is_gone_disappears(board: Board) -> None:
    await board.stock.incident(destination="removed")
    await board.stock.delivery(destination="removed", state=DeliveryState.HELD, missing=("repo_url",))
    board.couriers["elven"].standing = Standing(Pause("rate_limited", "HTTP 429", NOON, NOON + MINUTE))
    assert await board.samples("destination_paused") == {("elven", "rate_limited"): 1}
    assert ("removed",) in await board.samples("incidents_open")
    assert await board.samples("held") == {("removed", "repo_url"): 1}

    board.couriers["elven"].standing = Standing()
    await board.stock.store.write(lambda connection: connection.execute(text("DELETE FROM incidents")))
    await board.stock.store.write(lambda connection: connection.execute(text("DELETE FROM deliveries")))
    assert await board.samples("destination_paused") == {}
    assert ("removed",) not in await board.samples("incidents_open")
    assert ("removed", "held") not in await board.samples("outbox")
    assert await board.samples("held") == {}


async def test_the_budget_shrinks_with_every_attempt(board: Board) -> None:
    for key in ("a", "b", "c"):
        await board.stock.delivery(key=key)
    await board.stock.deliver(most=3)
    assert await board.samples("rate_budget") == {("elven",): 1}
    board.stock.clock.advance(5 * MINUTE)
    assert await board.samples("rate_budget") == {("elven",): 4}


async def test_undecided_events_are_counted(board: Board) -> None:
    await board.stock.event()
    await board.stock.event(decided=DECIDED)
    await board.stock.event(malformed="no")
    assert await board.samples("inbox") == {(): 1}


async def test_counters_stand_beside_the_gauges(board: Board) -> None:
    board.metrics.rule_matches.labels("payments").inc()
    assert await board.samples("rule_matches_total") == {("payments",): 1}


async def test_openmetrics_is_given_to_who_accepts_it(board: Board) -> None:
    accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
    page, kind = await board.page(Accept=accept)
    assert kind.startswith("application/openmetrics-text")
    assert page.endswith("# EOF\n")
    assert 'alertbridge_outbox{destination="elven",state="held"} 0.0' in page
    page, kind = await board.page(Accept="*/*")
    assert kind.startswith("text/plain")
    assert "# EOF" not in page


class _Watcher(Collector):
    """Takes its time, so that pages that are written at once would meet."""

    def __init__(self) -> None:
        self.writing = 0
        self.most = 0

    @override
    def collect(self) -> Iterable[Metric]:
        self.writing += 1
        self.most = max(self.most, self.writing)
        time.sleep(0.005)
        self.writing -= 1
        return ()


async def test_no_page_changes_while_it_is_written(board: Board) -> None:
    watcher = _Watcher()
    board.metrics.registry.register(watcher)
    await board.stock.incident()
    pages = await asyncio.gather(*(board.page() for _ in range(10)))
    assert {page.count("alertbridge_outbox{") for page, _ in pages} == {8}
    assert watcher.most == 1


@pytest.mark.parametrize("table", ["deliveries", "events", "incidents"])
async def test_a_census_never_reads_a_whole_table(store: Store, table: str) -> None:
    await Stock(store, ManualClock()).delivery()
    statements: list[str] = []
    event.listen(
        store._reading.sync_engine,
        "before_cursor_execute",
        lambda _connection, _cursor, statement, *_: statements.append(statement),
    )
    await store.read(census.take)
    asked = [statement for statement in statements if statement.startswith("SELECT")]
    assert len(asked) == 5
    steps = [step for statement in asked for step in await _plan(store, statement)]
    of_table = [step for step in steps if f" {table} " in f"{step} "]
    partial = ("ix_deliveries_alive", "ix_deliveries_line", "ix_events_undecided", "uq_incidents_open")
    assert of_table
    for step in of_table:
        assert "INTEGER PRIMARY KEY" in step or any(f"INDEX {index}" in step for index in partial), step


async def _plan(store: Store, statement: str) -> list[str]:
    def explain(connection: Connection) -> list[str]:
        parameters = (DeliveryState.HELD.value,) * statement.count("?")
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return [row.detail for row in rows]

    return await store.read(explain)
