"""A ping is called while deliveries succeed, and the reason why not is said once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
import pytest_asyncio
from aiohttp import web
from sqlalchemy import Connection, select
from structlog.testing import capture_logs

from alertbridge.deliver.courier import Courier
from alertbridge.deliver.standing import Pause, Standing
from alertbridge.errors import StoreFull
from alertbridge.heartbeats.pinger import Ping, Pinger
from alertbridge.metrics import Metrics
from alertbridge.model import Secret
from alertbridge.store import stops
from alertbridge.store.schema import pings
from alertbridge.store.stops import Stop
from alertbridge.store.store import Store
from tests.support.clock import ManualClock
from tests.support.stock import MINUTE, Stock

SECOND = timedelta(seconds=1)


class Outside:
    """A pinger with one destination, and the server that it calls."""

    def __init__(self, stock: Stock) -> None:
        self.stock = stock
        self.calls = 0
        self.status = 200
        self.dead: list[str] = []
        self.metrics = Metrics()
        self.couriers: dict[str, Courier] = {"elven": stock.courier("elven"), "hivel": stock.courier("hivel")}
        self.pings: dict[str, Ping] = {}
        self.pinger = Pinger(
            store=stock.store,
            configured=lambda: self.pings,
            couriers=self.couriers,
            dead=lambda: self.dead,
            clock=stock.clock,
            metrics=self.metrics,
        )

    def listen(self, port: int, *destinations: str) -> None:
        url = Secret(f"http://127.0.0.1:{port}/a-secret")
        self.pings["outside"] = Ping(url, MINUTE, destinations, 10 * MINUTE, 5 * SECOND)

    async def answer(self, _request: web.Request) -> web.Response:
        self.calls += 1
        return web.Response(status=self.status)

    async def minute(self) -> int:
        """Let a minute pass; how often the ping was called in it."""
        before = self.calls
        self.stock.clock.advance(MINUTE)
        await asyncio.gather(*self.pinger.run_once())
        self.pinger._calls.clear()
        return self.calls - before

    def counted(self, outcome: str) -> float:
        return float(self.metrics.pings.labels("outside", outcome)._value.get())

    def pause(self, name: str) -> None:
        now = self.stock.clock.now()
        self.couriers[name].standing = Standing(Pause("unauthorized", "401", now, now + MINUTE))


@pytest_asyncio.fixture
async def outside(store: Store) -> AsyncIterator[Outside]:
    outside = Outside(Stock(store, ManualClock()))
    application = web.Application()
    application.add_routes([web.get("/a-secret", outside.answer)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    outside.listen(runner.addresses[0][1])
    yield outside
    await runner.cleanup()


async def test_it_is_called_as_often_as_it_says(outside: Outside) -> None:
    assert [await outside.minute() for _ in range(3)] == [1, 1, 1]
    outside.stock.clock.advance(30 * SECOND)
    assert outside.pinger.run_once() == []
    assert outside.counted("called") == 3


async def test_every_call_is_written_down_before_it_is_made(outside: Outside) -> None:
    def look(connection: Connection) -> list[tuple[str, datetime]]:
        return [(row.name, row.called_at) for row in connection.execute(select(pings))]

    for _ in range(2):
        await outside.minute()
        assert await outside.stock.store.read(look) == [("outside", outside.stock.clock.now())]


async def test_it_is_not_called_while_a_destination_is_paused_and_that_is_said_once(outside: Outside) -> None:
    with capture_logs() as logs:
        outside.pause("elven")
        assert [await outside.minute() for _ in range(3)] == [0, 0, 0]
        outside.couriers["elven"].standing = Standing()
        assert await outside.minute() == 1

    assert [(one["event"], one.get("reasons")) for one in logs] == [
        ("ping.withheld", ["elven is paused: unauthorized"]),
        ("ping.resumed", None),
    ]
    assert outside.counted("withheld") == 3


async def test_a_destination_that_is_stopped_by_hand_stops_it_too(outside: Outside) -> None:
    stop = Stop("elven", "somebody", "maintenance", outside.stock.clock.now())
    await outside.stock.store.write(lambda connection: stops.stop(connection, stop))
    with capture_logs() as logs:
        assert await outside.minute() == 0
    assert logs[0]["reasons"] == ["elven is paused by hand"]
    await outside.stock.store.write(lambda connection: stops.lift(connection, "elven"))
    assert await outside.minute() == 1


async def test_only_the_destinations_that_it_names_count(outside: Outside) -> None:
    outside.listen(int(outside.pings["outside"].url.reveal().split(":")[2].split("/")[0]), "hivel")
    outside.pause("elven")
    assert await outside.minute() == 1
    outside.pause("hivel")
    assert await outside.minute() == 0


async def test_a_message_that_waits_too_long_stops_it(outside: Outside) -> None:
    await outside.stock.incident()
    await outside.stock.delivery()
    assert [await outside.minute() for _ in range(10)] == [1] * 10
    with capture_logs() as logs:
        assert await outside.minute() == 0
    assert logs[0]["reasons"] == ["a message to elven waits too long"]
    await outside.stock.deliver()
    assert await outside.minute() == 1


async def test_a_message_that_waits_on_purpose_does_not_stop_it(outside: Outside) -> None:
    await outside.stock.incident()
    await outside.stock.delivery()
    later = outside.stock.clock.now() + timedelta(hours=1)

    def postpone(connection: Connection) -> None:
        microseconds = int(later.timestamp() * 1_000_000)
        connection.exec_driver_sql(f"UPDATE deliveries SET next_attempt_at = {microseconds}")

    await outside.stock.store.write(postpone)
    assert [await outside.minute() for _ in range(30)] == [1] * 30


async def test_one_that_is_tried_in_vain_stops_it_whenever_its_next_try_is(outside: Outside) -> None:
    await outside.stock.incident()
    await outside.stock.delivery()

    def fail(connection: Connection) -> None:
        connection.exec_driver_sql("UPDATE deliveries SET attempts = 5, next_attempt_at = 9999999999999999")

    await outside.stock.store.write(fail)
    assert [await outside.minute() for _ in range(11)] == [1] * 10 + [0]


async def test_an_event_that_nobody_decides_stops_it(outside: Outside) -> None:
    await outside.stock.event()
    assert [await outside.minute() for _ in range(11)] == [1] * 10 + [0]


async def test_a_loop_that_has_ended_stops_it(outside: Outside) -> None:
    outside.dead.append("decider")
    assert await outside.minute() == 0


async def test_a_disk_that_takes_no_writes_stops_it(
    outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(_work: object) -> object:
        raise StoreFull("no space left on the device")

    with monkeypatch.context() as patch:
        patch.setattr(outside.stock.store, "write", full)
        assert await outside.minute() == 0
    assert await outside.minute() == 1


@pytest.mark.parametrize("status", [301, 404, 503])
async def test_a_call_that_is_not_taken_is_said_once_and_never_with_its_url(
    outside: Outside, status: int
) -> None:
    outside.status = status
    with capture_logs() as logs:
        assert [await outside.minute() for _ in range(2)] == [1, 1]
    assert [(one["event"], one["error"]) for one in logs] == [
        ("ping.failed", f"it was answered with {status}")
    ]
    assert outside.counted("failed") == 2


async def test_nobody_who_listens_is_said_without_the_url(outside: Outside) -> None:
    outside.listen(9)
    with capture_logs() as logs:
        assert await outside.minute() == 0
    assert [one["event"] for one in logs] == ["ping.failed"]
    assert "a-secret" not in str(logs)
