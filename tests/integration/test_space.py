"""The database under retention: it stays as small as what it keeps, and nobody waits long for that."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection
from structlog.testing import capture_logs

from alertbridge.clock import SystemClock
from alertbridge.model import Event
from alertbridge.operate.pruner import Pruner
from alertbridge.store import space
from alertbridge.store.store import Store
from tests.support import old_rows
from tests.support.clock import ManualClock
from tests.support.stock import DAY, MINUTE, Stock

MIB = 2**20


@pytest.fixture
def stock(store: Store) -> Stock:
    return Stock(store, ManualClock())


async def filled(stock: Stock, mib: int) -> None:
    await asyncio.gather(*(stock.event(b"x" * MIB, malformed="no") for _ in range(mib)))


async def size(store: Store) -> int:
    """What the database would take with its log moved into it."""
    seen = await store.read(space.look)
    return seen.pages * seen.page


async def test_space_comes_back_without_a_stop_but_for_what_is_soon_needed_again(stock: Stock) -> None:
    pruner = Pruner(store=stock.store, events=DAY, deliveries=DAY, clock=stock.clock)
    await filled(stock, 60)
    stock.clock.advance(DAY + MINUTE)
    await filled(stock, 1)
    assert await size(stock.store) > 60 * MIB
    with capture_logs() as logs:
        await pruner.run_once()
    shrunk = next(log for log in logs if log["event"] == "storage.shrunk")
    assert shrunk["bytes"] > 40 * MIB
    assert await size(stock.store) < 19 * MIB


async def test_what_is_empty_is_given_back_to_the_last_page_while_the_disk_is_short_of_space(
    stock: Stock,
) -> None:
    short = False
    pruner = Pruner(
        store=stock.store, events=DAY, deliveries=DAY, clock=stock.clock, short_of_disk=lambda: short
    )
    await filled(stock, 12)
    stock.clock.advance(DAY + MINUTE)
    await pruner.run_once()
    assert await size(stock.store) > 12 * MIB  # it is little, and will be used again
    short = True
    await pruner.run_once()
    assert await size(stock.store) < MIB


async def test_a_database_that_cannot_be_made_smaller_is_left_alone(stock: Stock) -> None:
    def give_back(connection: Connection) -> bool:
        return space.give_back(connection, pages=100)

    assert not await stock.store.write(give_back)


async def test_under_steady_load_the_database_stays_as_large_as_it_was(stock: Stock) -> None:
    pruner = Pruner(store=stock.store, events=3 * DAY, deliveries=3 * DAY, clock=stock.clock)
    sizes: list[int] = []
    for _ in range(12):
        for _ in range(4):
            await filled(stock, 2)
            await stock.delivery(key=str(len(sizes)))
            await stock.deliver()
            stock.clock.advance(DAY / 4)
        await pruner.run_once()
        sizes.append(await size(stock.store))
    assert max(sizes[4:]) <= 1.1 * sizes[3], sizes


@pytest.mark.parametrize("number", [4_000])
async def test_a_backlog_of_old_rows_goes_while_webhooks_are_answered_as_ever(
    stock: Stock, number: int, record_property: Callable[[str, object], None]
) -> None:
    await stock.store.write(lambda connection: old_rows.fill(connection, number))
    clock = SystemClock()
    held: list[float] = []
    write = stock.store._writer._commit

    def timed(rows: list[Any], asks: list[Any]) -> None:
        began = time.monotonic()
        write(rows, asks)
        held.append(time.monotonic() - began)

    stock.store._writer._commit = timed  # type: ignore[method-assign]
    pruner = Pruner(
        store=stock.store, events=DAY, deliveries=DAY, clock=clock, breath=timedelta(milliseconds=20)
    )
    pruning = asyncio.create_task(pruner.run_once())
    waits: list[float] = []
    while not pruning.done():
        began = time.monotonic()
        await stock.store.accept(Event(f"n{len(waits)}", "prod", clock.now(), b"{}"))
        waits.append(time.monotonic() - began)
        await asyncio.sleep(0.01)
    counts = await pruning
    record_property(
        "counts",
        f"{sum(counts.values())} rows in {len(held)} transactions, the longest {max(held) * 1000:.0f} ms;"
        f" a webhook waited at most {max(waits) * 1000:.0f} ms, as a rule {sorted(waits)[len(waits) // 2] * 1000:.0f} ms",
    )
    assert {counts[name] for name in ("events", "deliveries", "incidents", "alerts")} == {number}
    assert sorted(held)[len(held) * 95 // 100] < 0.5
    assert len(held) > 4 * number / 500
