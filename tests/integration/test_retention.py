from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import Connection, text
from structlog.testing import capture_logs

from alertbridge.errors import StoreBroken, StoreError, StoreFull
from alertbridge.model import Action, DeliveryState
from alertbridge.operate.pruner import Pruner
from alertbridge.store import retention
from alertbridge.store.dispatch import Result
from alertbridge.store.store import Store
from tests.support.clock import NOON, ManualClock
from tests.support.stock import DAY, DECIDED, MINUTE, Stock

EVENTS = 3 * DAY
DELIVERIES = 30 * DAY
FINAL = (
    DeliveryState.DELIVERED,
    DeliveryState.SUPERSEDED,
    DeliveryState.SKIPPED,
    DeliveryState.DEAD,
    DeliveryState.DISCARDED,
)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def stock(store: Store, clock: ManualClock) -> Stock:
    return Stock(store, clock)


def pruner_of(stock: Stock, *, window: timedelta = timedelta(0)) -> Pruner:
    return Pruner(store=stock.store, events=EVENTS, deliveries=DELIVERIES, clock=stock.clock, window=window)


async def column(stock: Stock, statement: str) -> list[str]:
    def query(connection: Connection) -> list[str]:
        return [str(row[0]) for row in connection.execute(text(statement))]

    return await stock.store.read(query)


async def test_decided_malformed_and_failed_events_go_when_they_are_old_and_undecided_ones_never(
    stock: Stock, clock: ManualClock
) -> None:
    for _ in range(2):
        await stock.event()
        await stock.event(decided=DECIDED)
        await stock.event(malformed="no")
        clock.advance(EVENTS)
    assert (await pruner_of(stock).run_once())["events"] == 2
    assert await column(stock, "SELECT id FROM events ORDER BY id") == ["e01", "e04", "e05", "e06"]
    clock.advance(timedelta(microseconds=1))
    assert (await pruner_of(stock).run_once())["events"] == 2
    assert await column(stock, "SELECT id FROM events ORDER BY id") == ["e01", "e04"]


async def test_every_final_delivery_goes_when_it_is_old_and_what_still_waits_never(
    stock: Stock, clock: ManualClock
) -> None:
    for state in DeliveryState:
        await stock.delivery(state=state, key=state.value)
    clock.advance(DELIVERIES)
    assert (await pruner_of(stock).run_once())["deliveries"] == 0
    clock.advance(MINUTE)
    assert (await pruner_of(stock).run_once())["deliveries"] == len(FINAL)
    left = await column(stock, "SELECT state FROM deliveries")
    assert set(left) == {"held", "pending", "sending"}


async def test_what_was_said_of_an_open_incident_stays_until_it_is_over(
    stock: Stock, clock: ManualClock
) -> None:
    incident = await stock.incident()
    await stock.delivery(incident=incident, state=DeliveryState.DELIVERED)
    clock.advance(2 * DELIVERIES)
    assert (await pruner_of(stock).run_once())["deliveries"] == 0
    assert await column(stock, "SELECT state FROM deliveries") == ["delivered"]


async def test_a_delivery_counts_from_its_settlement_and_takes_its_attempts_along(
    stock: Stock, clock: ManualClock
) -> None:
    await stock.delivery()
    await stock.delivery(key="waits")
    (claim,) = await stock.claim()
    clock.advance(DELIVERIES + MINUTE)
    assert (await pruner_of(stock).run_once())["deliveries"] == 0
    await stock.settle(claim, Result(DeliveryState.DELIVERED, "delivered", None, None))
    await stock.claim()
    clock.advance(DELIVERIES + MINUTE)
    assert (await pruner_of(stock).run_once())["deliveries"] == 1
    assert await column(stock, "SELECT delivery FROM attempts") == ["d02"]


@pytest.mark.parametrize(
    "state", [DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.HELD, DeliveryState.DEAD], ids=str
)
async def test_what_was_said_on_a_key_stays_while_more_may_be_said_there(
    stock: Stock, clock: ManualClock, state: DeliveryState
) -> None:
    for key in ("more", "done"):
        await stock.delivery(key=key)
    await stock.deliver(most=2)
    clock.advance(DAY)
    await stock.delivery(key="more", action=Action.RESOLVED, state=state)
    await stock.delivery(key="done", action=Action.RECORD, state=state)
    clock.advance(DELIVERIES - MINUTE)
    assert (await pruner_of(stock).run_once())["deliveries"] == 1
    assert await column(stock, "SELECT key FROM attempts") == ["more"]


async def test_what_is_dead_on_one_key_goes_together_when_it_is_old(stock: Stock, clock: ManualClock) -> None:
    for _ in range(2):
        await stock.delivery(state=DeliveryState.DEAD)
    clock.advance(DELIVERIES + MINUTE)
    assert (await pruner_of(stock).run_once())["deliveries"] == 2


async def test_a_resolve_that_waits_still_closes_what_was_opened_long_ago(
    stock: Stock, clock: ManualClock
) -> None:
    await stock.delivery()
    await stock.deliver()
    clock.advance(DELIVERIES)
    await stock.delivery()
    resolved = await stock.delivery(action=Action.RESOLVED)
    clock.advance(MINUTE)
    await pruner_of(stock).run_once()
    assert await stock.deliver() == [resolved]


async def test_attempts_that_a_rate_limit_counts_are_kept_however_short_the_retention_is(
    stock: Stock, clock: ManualClock
) -> None:
    await stock.delivery()
    await stock.deliver()
    pruner = pruner_of(stock, window=2 * DELIVERIES)
    clock.advance(2 * DELIVERIES)
    assert (await pruner.run_once())["deliveries"] == 0
    clock.advance(MINUTE)
    assert (await pruner.run_once())["deliveries"] == 1


async def test_a_closed_incident_goes_with_its_members_when_it_is_old(
    stock: Stock, clock: ManualClock
) -> None:
    await stock.incident(key="closed", closed_at=NOON, members=(("prod", "f1"), ("prod", "f2")))
    await stock.incident(key="open")
    clock.advance(DELIVERIES)
    assert (await pruner_of(stock).run_once())["incidents"] == 0
    clock.advance(MINUTE)
    assert (await pruner_of(stock).run_once())["incidents"] == 1
    assert await column(stock, "SELECT key FROM incidents") == ["open"]
    assert await column(stock, "SELECT DISTINCT incident FROM members") == ["i02"]


async def test_an_incident_that_may_be_opened_again_is_kept(stock: Stock, clock: ManualClock) -> None:
    await stock.incident(closed_at=NOON, reopen_until=NOON + DAY)
    clock.advance(DELIVERIES + MINUTE)
    assert (await pruner_of(stock).run_once())["incidents"] == 0
    clock.advance(DAY)
    assert (await pruner_of(stock).run_once())["incidents"] == 1


async def test_an_incident_stays_as_long_as_a_delivery_of_it_does(stock: Stock, clock: ManualClock) -> None:
    await stock.incident(closed_at=NOON)
    await stock.delivery(incident="i01", action=Action.RESOLVED)
    clock.advance(DELIVERIES + MINUTE)
    assert (await pruner_of(stock).run_once())["incidents"] == 0
    await stock.deliver()
    clock.advance(DELIVERIES + MINUTE)
    counts = await pruner_of(stock).run_once()
    assert (counts["deliveries"], counts["incidents"]) == (1, 1)


async def test_an_alert_is_forgotten_when_it_is_quiet_and_old(stock: Stock, clock: ManualClock) -> None:
    await stock.alert("quiet", firing=False, last_seen=NOON)
    await stock.alert("firing", firing=True, last_seen=NOON)
    await stock.alert("recent", firing=False, last_seen=NOON + DAY)
    clock.advance(DELIVERIES + MINUTE)
    assert (await pruner_of(stock).run_once())["alerts"] == 1
    assert await column(stock, "SELECT fingerprint FROM alerts ORDER BY 1") == ["firing", "recent"]


async def test_an_alert_that_is_doubted_is_kept_however_old_it_is(stock: Stock, clock: ManualClock) -> None:
    await stock.alert("doubted", firing=False, last_seen=NOON)
    await stock.alert("quiet", firing=False, last_seen=NOON)
    raise_doubt = text(
        "INSERT INTO doubts (source, fingerprint, due_at, alert) VALUES ('prod', 'doubted', 1, '{}')"
    )
    await stock.store.write(lambda connection: connection.execute(raise_doubt))
    clock.advance(DELIVERIES + MINUTE)
    assert (await pruner_of(stock).run_once())["alerts"] == 1
    assert await column(stock, "SELECT fingerprint FROM alerts") == ["doubted"]
    await stock.store.write(lambda connection: connection.execute(text("DELETE FROM doubts")))
    assert (await pruner_of(stock).run_once())["alerts"] == 1


async def test_a_step_that_has_taken_long_enough_leaves_the_rest_for_the_next(
    stock: Stock, clock: ManualClock
) -> None:
    await _many_events(stock, 60)
    before = clock.now() + MINUTE

    def remove(connection: Connection) -> int:
        (batch,) = retention.find(connection, retention.EVENTS, before=before)
        return retention.remove(connection, retention.EVENTS, batch, before=before, enough=lambda: True)

    assert [await stock.store.write(remove) for _ in range(3)] == [25, 25, 10]


async def _many_events(stock: Stock, number: int, *, body: bytes = b"{}") -> None:
    await asyncio.gather(*(stock.event(body, malformed="no") for _ in range(number)))


async def test_five_hundred_rows_go_in_one_transaction_and_not_more(
    stock: Stock, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _many_events(stock, 1201)
    clock.advance(EVENTS + MINUTE)
    written = _spy_on_writes(stock.store, monkeypatch)
    assert (await pruner_of(stock).run_once())["events"] == 1201
    assert written == [500, 500, 201]


async def test_large_bodies_go_a_few_at_a_time(
    stock: Stock, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _many_events(stock, 5, body=b"x" * 7_000_000)
    clock.advance(EVENTS + MINUTE)
    written = _spy_on_writes(stock.store, monkeypatch)
    assert (await pruner_of(stock).run_once())["events"] == 5
    assert written[:3] == [2, 2, 1]  # and then the space is given back


async def test_more_than_is_found_at_once_goes_in_one_run(
    stock: Stock, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_FOUND_AT_ONCE", 4)
    await _many_events(stock, 10)
    clock.advance(EVENTS + MINUTE)
    assert (await pruner_of(stock).run_once())["events"] == 10


def _spy_on_writes(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    results: list[object] = []
    write = store.write

    async def spy(work: object) -> object:
        result: object = await write(work)  # type: ignore[arg-type]
        results.append(result)
        return result

    monkeypatch.setattr(store, "write", spy)
    return results


async def test_what_has_come_back_to_life_since_it_was_found_stays(stock: Stock, clock: ManualClock) -> None:
    await stock.delivery(state=DeliveryState.DEAD)
    before = clock.now() + MINUTE
    (batch,) = await stock.store.read(lambda c: retention.find(c, retention.DELIVERIES, before=before))
    revive = text("UPDATE deliveries SET state = 'pending', settled_at = NULL")
    await stock.store.write(lambda connection: connection.execute(revive))
    assert (
        await stock.store.write(lambda c: retention.remove(c, retention.DELIVERIES, batch, before=before))
        == 0
    )
    assert await column(stock, "SELECT id FROM deliveries") == ["d01"]


async def test_what_was_pruned_is_logged_and_nothing_is_not(stock: Stock, clock: ManualClock) -> None:
    await stock.event(malformed="no")
    with capture_logs() as logs:
        pruner = pruner_of(stock)
        await pruner.run_once()
        clock.advance(EVENTS + MINUTE)
        await pruner.run_once()
    assert logs == [
        {
            "event": "retention.pruned",
            "log_level": "info",
            "events": 1,
            "deliveries": 0,
            "incidents": 0,
            "alerts": 0,
            "deployments": 0,
            "merges": 0,
            "rule_sets": 0,
        }
    ]


async def _asleep(clock: ManualClock) -> None:
    async with asyncio.timeout(10):
        while not clock._sleepers:  # noqa: ASYNC110 - the clock has no signal for it
            await asyncio.sleep(0)


async def test_the_pruner_works_at_once_and_every_ten_minutes_until_it_is_closed(
    stock: Stock, clock: ManualClock
) -> None:
    await stock.event(malformed="no")
    clock.advance(EVENTS + MINUTE)
    await stock.event(malformed="no")
    pruner = pruner_of(stock)
    running = asyncio.create_task(pruner.run())
    await _asleep(clock)
    assert await column(stock, "SELECT id FROM events") == ["e02"]
    clock.advance(EVENTS)
    await _asleep(clock)
    assert await column(stock, "SELECT id FROM events") == ["e02"]
    clock.advance(10 * MINUTE)
    await _asleep(clock)
    assert await column(stock, "SELECT id FROM events") == []
    pruner.close()
    await asyncio.wait_for(running, 10)


async def test_a_closed_pruner_stops_between_two_batches(
    stock: Stock, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _many_events(stock, 501)
    clock.advance(EVENTS + MINUTE)
    pruner = pruner_of(stock)
    remove = retention.remove

    def closing(*arguments: object, **named: object) -> int:
        pruner.close()
        return remove(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(retention, "remove", closing)
    await asyncio.wait_for(pruner.run(), 10)
    assert await column(stock, "SELECT count(*) FROM events") == ["1"]


async def test_a_full_disk_is_tried_again_ten_minutes_later(
    stock: Stock, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stock.event(malformed="no")
    clock.advance(EVENTS + MINUTE)
    with capture_logs() as logs, monkeypatch.context() as patch:
        patch.setattr(stock.store, "write", _raising(StoreFull("the disk is full")))
        pruner = pruner_of(stock)
        running = asyncio.create_task(pruner.run())
        await _asleep(clock)
    assert [(log["event"], log["error"]) for log in logs] == [("retention.failed", "the disk is full")]
    clock.advance(10 * MINUTE)
    await _asleep(clock)
    assert await column(stock, "SELECT id FROM events") == []
    pruner.close()
    await asyncio.wait_for(running, 10)


async def test_a_broken_disk_ends_the_pruner(
    stock: Stock, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stock.event(malformed="no")
    clock.advance(EVENTS + MINUTE)
    monkeypatch.setattr(stock.store, "write", _raising(StoreBroken("fsync failed")))
    with pytest.raises(StoreBroken):
        await asyncio.wait_for(pruner_of(stock).run(), 10)


def _raising(error: StoreError) -> object:
    async def write(_work: object) -> None:
        raise error

    return write
