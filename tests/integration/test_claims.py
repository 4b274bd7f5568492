"""Who is taken first, and what it costs to find out, beside a long history and a long queue."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count

import pytest
from sqlalchemy import Connection, event

from alertbridge.model import Severity
from alertbridge.store import dispatch, outbox
from alertbridge.store.columns import to_microseconds
from alertbridge.store.dispatch import Claim
from alertbridge.store.store import Store
from tests.support.line import Outbox, lost, moment

MINUTE = 60


@pytest.fixture
def box(store: Store) -> Outbox:
    return Outbox(store)


async def order(box: Outbox, *, at: int) -> list[str]:
    """The keys in the order in which they are taken, one at a time."""
    keys = []
    while claims := await box.claim(at=at, most=1):
        keys.append(claims[0].key)
        await box.settle(claims[0], at=at)
    return keys


async def test_the_more_severe_goes_first_then_news_then_the_older(box: Outbox) -> None:
    await box.post("A1", "older", at=0)
    await box.post("A1", "low", at=1, severity=Severity.LOW)
    await box.post("A1", "update", at=2, news=False)
    await box.post("A1", "newer", at=3)
    await box.post("A1", "critical", at=4, severity=Severity.CRITICAL)
    assert await order(box, at=5) == ["critical", "older", "newer", "update", "low"]


async def test_what_has_waited_long_goes_before_what_is_new_and_severe(box: Outbox) -> None:
    await box.post("A1", "patient", at=0, severity=Severity.INFORMATIONAL)
    await box.post("A1", "early", at=59 * MINUTE, severity=Severity.CRITICAL)
    await box.post("A1", "late", at=61 * MINUTE, severity=Severity.CRITICAL)
    assert await order(box, at=62 * MINUTE) == ["early", "patient", "late"]


async def test_the_order_on_a_key_holds_whatever_its_messages_are_worth(box: Outbox) -> None:
    await box.post("A1", "key", severity=Severity.LOW)
    await box.post("R1", "key", severity=Severity.CRITICAL)
    await box.post("A1", "other")
    assert [box.name(claim) for claim in await box.claim(most=3)] == ["A1", "A1"]


async def test_what_fell_due_by_waiting_is_taken_by_its_rank(box: Outbox) -> None:
    await box.post("A1", "sooner", due=10, severity=Severity.LOW)
    await box.post("A1", "later", due=20, severity=Severity.CRITICAL)
    assert await order(box, at=5) == []
    assert await order(box, at=20) == ["later", "sooner"]


async def test_no_step_of_delivering_reads_a_history_or_sorts_a_queue(box: Outbox) -> None:
    """Every statement of a claim, a settlement and a line brought up to date is asked how it is answered."""
    box.landing, box.interval = 30, 60
    await box.post("A1")
    statements: list[tuple[str, tuple[object, ...]]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if isinstance(parameters, tuple) and not statement.startswith("INSERT"):
            statements.append((statement, parameters))

    engine = box.store._writer._engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        await box.send(result=lost(1))
        await box.post("R1 A2", at=2)
        assert await box.send(at=60) == ["R1", "A2"]
        now = moment(61)
        await box.store.write(lambda connection: dispatch.next_due(connection, "elven", now=now))
    finally:
        event.remove(engine, "before_cursor_execute", note)

    def explain(connection: Connection) -> dict[str, list[str]]:
        plans = {}
        for statement, parameters in dict(statements).items():
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans[statement] = [row.detail for row in rows]
        return plans

    plans = await box.store.read(explain)
    assert len(plans) > 10, "claim, converge, space out, settle, repeat"
    for statement, steps in plans.items():
        for step in steps:
            assert not step.startswith("SCAN") or step == "SCAN CONSTANT ROW", (statement, steps)
            assert "TEMP B-TREE" not in step, (statement, steps)


async def test_one_claim_looks_at_a_bounded_part_of_a_long_queue_that_is_put_off(box: Outbox) -> None:
    """What is due behind it is found all the same, in a few transactions of a few statements for each page."""
    number = 1200
    box.interval = 3600
    await crowd(box, number, state="delivered", due=None)
    postings = [box.posting("A2", f"crowd {n}", at=1) for n in range(1, number + 1)]
    await box.store.write(lambda connection: outbox.post(connection, postings, now=moment(1)))
    await box.post("A1", "fresh", at=1, severity=Severity.LOW)
    statements: list[int] = []
    looked_at: list[int] = []
    claims: list[Claim] = []
    while not claims:
        before = await _put_off(box)
        with said(box) as heard:
            claims = await box.claim(at=2, most=4)
        statements.append(len(heard))
        looked_at.append(await _put_off(box) - before)
        more = await box.store.read(lambda connection: dispatch.first_in_line(connection, "elven", 1))
        assert claims or more
    print(f"put off {looked_at} with {statements} statements")
    assert [claim.key for claim in claims] == ["fresh"]
    assert sum(looked_at) == number
    assert max(looked_at) <= 200
    assert max(statements) <= 30, "a few for each page"
    assert await box.claim(at=2) == []
    parts = []
    while part := await box.claim(at=3600, most=number):
        parts.append(len(part))
    assert sum(parts) == number
    assert max(parts) <= 200


async def _put_off(box: Outbox) -> int:
    rows = await box.rows("SELECT count(*) AS number FROM deliveries WHERE state = 'pending' AND NOT ready")
    return int(str(rows[0]["number"]))


@contextmanager
def said(box: Outbox) -> Iterator[list[str]]:
    """The statements of the writer meanwhile; one that is said of many rows counts once."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    engine = box.store._writer._engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)


async def cost(box: Outbox) -> int:
    """Steps of SQLite's machine, in fifties, that twenty claims of one delivery each and their settlements take."""
    for number in range(20):
        await box.post("A1", f"new {number}", at=MINUTE)

    async def work() -> None:
        for _ in range(20):
            (claim,) = await box.claim(at=MINUTE, most=1)
            await box.settle(claim, at=MINUTE)

    return await steps_of(box, work)


async def steps_of(box: Outbox, work: Callable[[], Awaitable[None]]) -> int:
    """In fifties, what `work` asks of the writer."""
    steps = count()

    def watch(handler: Callable[[], int] | None) -> Callable[[Connection], None]:
        def switch(connection: Connection) -> None:
            driver = connection.connection.driver_connection
            assert isinstance(driver, sqlite3.Connection)
            driver.set_progress_handler(handler, 50)

        return switch

    await box.store.write(watch(lambda: next(steps) < 0))
    await work()
    await box.store.write(watch(None))
    return next(steps)


async def crowd(box: Outbox, number: int, *, state: str, due: int | None) -> None:
    """So many deliveries of other keys, each with an attempt."""
    base = to_microseconds(moment(0))

    def work(connection: Connection) -> None:
        when = "NULL" if due is None else str(base + due * 1_000_000)
        connection.exec_driver_sql(
            "INSERT INTO deliveries (id, incident, destination, key, action, rules_hash, severity, state, payload, missing,"
            " attempts, next_attempt_at, rank, ready, paused_for, received_at, created_at)"
            f" WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number})"
            f" SELECT 'c' || i, 'c' || i, 'elven', 'crowd ' || (i % 5000), 'alarmed', 'abc', 4, '{state}', '{{}}', '[]',"
            f" 1, {when}, {base}, 0, 0, {base}, {base} FROM n"
        )
        connection.exec_driver_sql(
            "INSERT INTO attempts (delivery, number, destination, key, action, started_at, finished_at, outcome)"
            f" SELECT id, 1, destination, key, action, {base}, {base}, 'delivered' FROM deliveries WHERE id LIKE 'c%'"
        )

    await box.store.write(work)


@pytest.mark.parametrize(
    ("number", "state", "due"), [(100_000, "delivered", None), (10_000, "pending", 3600)], ids=str
)
async def test_a_claim_costs_the_same_beside_a_crowd(
    box: Outbox, number: int, state: str, due: int | None
) -> None:
    alone = await cost(box)
    await crowd(box, number, state=state, due=due)
    beside = await cost(box)
    print(f"20 claims: {alone} alone, {beside} beside {number:,} {state}")
    assert beside < 1.5 * alone


async def test_to_look_for_what_was_held_too_long_costs_nothing_beside_much_that_is_held(
    box: Outbox,
) -> None:
    await crowd(box, 5000, state="held", due=None)

    async def look() -> None:
        now, week = moment(MINUTE), timedelta(days=7)
        expired = await box.store.write(
            lambda connection: dispatch.expire_held(connection, "elven", now=now, hold_for=week)
        )
        assert expired == 0

    assert await steps_of(box, look) < 10
