from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select, update

from alertbridge.model import Action, DeliveryState, Severity
from alertbridge.store import dispatch, outbox
from alertbridge.store.dispatch import Claim, Result
from alertbridge.store.outbox import Posting
from alertbridge.store.schema import attempts, deliveries
from alertbridge.store.store import Store
from tests.support.clock import NOON

NUMBERS = count(1)
SECOND = timedelta(seconds=1)
DELIVERED = Result(DeliveryState.DELIVERED, "delivered", None, None, 200)


def posting(
    key: str,
    action: Action = Action.ALARMED,
    *,
    incident: str = "I1",
    state: DeliveryState = DeliveryState.PENDING,
    destination: str = "elven",
    due: int = 0,
) -> Posting:
    return Posting(
        id=f"D{next(NUMBERS):06d}",
        incident=incident,
        destination=destination,
        key=key,
        action=action,
        rules_hash="abc",
        severity=Severity.HIGH,
        state=state,
        payload={"key": key},
        missing=("pr_number",) if state is DeliveryState.HELD else (),
        due_at=NOON + due * SECOND,
        received_at=NOON,
    )


async def post(store: Store, *postings: Posting, at: int = 0) -> None:
    await store.write(lambda connection: outbox.post(connection, postings, now=NOON + at * SECOND))


async def claim(
    store: Store, *, at: int = 0, most: int = 100, interval: int = 0, destination: str = "elven"
) -> list[Claim]:
    return await store.write(
        lambda connection: dispatch.claim(
            connection, destination, now=NOON + at * SECOND, most=most, key_interval=interval * SECOND
        )
    )


async def settle(store: Store, claimed: Claim, result: Result = DELIVERED, *, at: int = 0) -> bool:
    return await store.write(
        lambda connection: dispatch.settle(connection, claimed, result, now=NOON + at * SECOND)
    )


def retry(at: int) -> Result:
    return Result(DeliveryState.PENDING, "retry", "503", NOON + at * SECOND, 503)


async def states(store: Store) -> dict[str, str]:
    def query(connection: Connection) -> dict[str, str]:
        rows = connection.exec_driver_sql("SELECT id, state FROM deliveries ORDER BY seq")
        return {row.id: row.state for row in rows}

    return await store.read(query)


async def test_a_key_has_one_in_flight_and_keeps_its_order(store: Store) -> None:
    first, second, other = posting("a"), posting("a", Action.RESOLVED), posting("b")
    await post(store, first, second, other)
    claims = await claim(store)
    assert [c.id for c in claims] == [first.id, other.id]
    assert await claim(store) == []
    await settle(store, claims[0])
    assert [c.id for c in await claim(store)] == [second.id]


async def test_what_waits_for_its_next_try_still_holds_back_what_is_behind_it(store: Store) -> None:
    first, second = posting("a"), posting("a", Action.RESOLVED)
    await post(store, first, second)
    (claimed,) = await claim(store)
    await settle(store, claimed, retry(at=30))
    assert await claim(store, at=29) == []
    assert [c.id for c in await claim(store, at=30)] == [first.id]


async def test_a_held_record_holds_back_nobody(store: Store) -> None:
    held = posting("a", Action.RECORD, state=DeliveryState.HELD, incident="I1")
    ready = posting("a", Action.RECORD, incident="I2")
    await post(store, held, ready)
    assert [c.id for c in await claim(store)] == [ready.id]


async def test_a_record_that_is_completed_waits_for_a_newer_one_of_its_key_that_is_under_way(
    store: Store,
) -> None:
    held = posting("a", Action.RECORD, state=DeliveryState.HELD, incident="I1")
    await post(store, held, posting("a", Action.RECORD, incident="I2"))
    (under_way,) = await claim(store)

    def complete(connection: Connection) -> None:
        completed = update(deliveries).where(deliveries.c.id == held.id)
        connection.execute(completed.values(state="pending", next_attempt_at=NOON))

    await store.write(complete)
    assert await claim(store) == []
    await settle(store, under_way)
    assert [c.id for c in await claim(store)] == [held.id]


async def test_destinations_do_not_see_each_other(store: Store) -> None:
    await post(store, posting("a"), posting("a", destination="other"))
    assert len(await claim(store)) == 1
    assert len(await claim(store, destination="other")) == 1


async def test_the_unsent_record_of_an_incident_that_is_open_again_is_withdrawn(store: Store) -> None:
    held = posting("a", Action.RECORD, state=DeliveryState.HELD)
    waiting, other = posting("a", Action.RECORD), posting("a", Action.RECORD, incident="I2")
    await post(store, held, waiting, other)
    await store.write(lambda connection: outbox.withdraw_records(connection, ["I1"], now=NOON))
    assert await states(store) == {held.id: "superseded", waiting.id: "superseded", other.id: "pending"}


async def test_a_record_in_flight_is_not_withdrawn(store: Store) -> None:
    record = posting("a", Action.RECORD)
    await post(store, record)
    await claim(store)
    await store.write(lambda connection: outbox.withdraw_records(connection, ["I1"], now=NOON))
    assert await states(store) == {record.id: "sending"}


async def test_a_claim_lost_to_a_crash_is_ambiguous_and_goes_again(store: Store) -> None:
    await post(store, posting("a"), posting("a", Action.RESOLVED))
    (lost,) = await claim(store)
    assert await store.write(lambda connection: dispatch.recover(connection, now=NOON)) == 1
    (again,) = await claim(store)
    assert (again.id, again.attempt) == (lost.id, 2)

    def attempts(connection: Connection) -> list[tuple[int, str | None]]:
        rows = connection.exec_driver_sql("SELECT number, outcome FROM attempts ORDER BY number")
        return [(row.number, row.outcome) for row in rows]

    assert await store.read(attempts) == [(1, "ambiguous"), (2, None)]


async def test_a_settlement_that_comes_too_late_changes_nothing(store: Store) -> None:
    await post(store, posting("a"))
    (lost,) = await claim(store)
    await store.write(lambda connection: dispatch.recover(connection, now=NOON))
    (again,) = await claim(store)
    assert not await settle(store, lost, retry(at=99))
    assert await settle(store, again)
    assert not await settle(store, again, retry(at=99))

    def outcomes(connection: Connection) -> list[str | None]:
        return list(connection.scalars(select(attempts.c.outcome).order_by(attempts.c.number)))

    assert await store.read(outcomes) == ["ambiguous", "delivered"]


@pytest.mark.parametrize(
    ("second", "at", "taken"), [("alarmed", 59, False), ("alarmed", 60, True), ("resolved", 0, True)]
)
async def test_the_same_action_on_a_key_waits_for_the_interval(
    store: Store, second: str, at: int, *, taken: bool
) -> None:
    await post(store, posting("a"))
    (first,) = await claim(store, interval=60)
    await settle(store, first)
    await post(store, posting("a", Action(second), incident="I2" if second == "alarmed" else "I1"))
    assert bool(await claim(store, at=at, interval=60)) is taken
    if not taken:
        due = await store.read(
            lambda connection: dispatch.next_due(connection, "elven", now=NOON + at * SECOND)
        )
        assert due == NOON + 60 * SECOND


async def test_what_is_put_off_hides_nothing_that_is_due_behind_it(store: Store) -> None:
    keys = [f"k{n:02d}" for n in range(20)]
    await post(store, *(posting(key) for key in keys))
    for claimed in await claim(store, interval=60):
        await settle(store, claimed)
    await post(store, *(posting(key, incident="I2") for key in keys), posting("fresh"))
    assert [c.key for c in await claim(store, at=1, most=4, interval=60)] == ["fresh"]


async def test_a_clock_that_was_set_back_puts_nothing_off_until_it_has_caught_up(store: Store) -> None:
    day = 24 * 60 * 60
    await post(store, posting("a"))
    (first,) = await claim(store, at=3 * day, interval=60)
    await settle(store, first, at=3 * day)
    await post(store, posting("a", incident="I2"))
    assert len(await claim(store, at=0, interval=60)) == 1
    await post(store, posting("b", due=3 * day), at=2 * day)
    await post(store, posting("c", due=3 * day), at=3 * day)
    assert [c.key for c in await claim(store, at=0)] == ["c"], "what was due once is due still"
    await store.write(lambda connection: dispatch.recover(connection, now=NOON))
    assert [c.key for c in await claim(store, at=0)] == ["a", "b", "c"]


async def test_a_restart_does_not_cut_a_long_reopen_window_short(store: Store) -> None:
    week = 7 * 24 * 60 * 60
    await post(store, posting("a", Action.RECORD, due=week))
    await store.write(lambda connection: dispatch.recover(connection, now=NOON))
    assert await claim(store, at=week - 1) == []
    assert len(await claim(store, at=week)) == 1


async def test_a_held_record_nobody_completes_is_dead_in_the_end(store: Store) -> None:
    held = posting("a", Action.RECORD, state=DeliveryState.HELD)
    await post(store, held)

    async def expire(seconds: int) -> int:
        return await store.write(
            lambda connection: dispatch.expire_held(
                connection, "elven", now=NOON + seconds * SECOND, hold_for=60 * SECOND
            )
        )

    assert await expire(59) == 0
    assert await expire(60) == 1
    assert await states(store) == {held.id: "dead"}


steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("post"), st.sampled_from("abc"), st.sampled_from([Action.RECORD, Action.DEPLOYMENT])
        ),
        st.tuples(st.just("claim"), st.integers(1, 3), st.none()),
        st.tuples(st.just("settle"), st.sampled_from(["delivered", "retry", "dead"]), st.integers(0, 5)),
        st.tuples(st.just("crash"), st.none(), st.none()),
        st.tuples(st.just("wait"), st.integers(1, 10), st.none()),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
async def test_whatever_happens_a_key_is_sent_in_order_and_nothing_is_lost(  # noqa: C901 - a history has five steps
    store: Store, history: list[tuple[str, object, object]]
) -> None:
    """A plain model beside the real tables: per key, finals come in the order of posting."""
    await store.write(lambda connection: connection.exec_driver_sql("DELETE FROM deliveries"))
    posted: dict[str, list[str]] = defaultdict(list)
    final: dict[str, list[str]] = defaultdict(list)
    flying: list[Claim] = []
    now = 0
    for what, one, two in history:
        match what:
            case "post":
                assert isinstance(one, str)
                assert isinstance(two, Action)
                new = posting(one, two, due=now)
                posted[one].append(new.id)
                await post(store, new)
            case "claim":
                assert isinstance(one, int)
                flying += await claim(store, at=now, most=one)
                keys = [c.key for c in flying]
                assert len(keys) == len(set(keys)), "one in flight per key"
                for c in flying:
                    assert c.id == posted[c.key][len(final[c.key])], "the first that is not final"
            case "settle" if flying:
                assert isinstance(two, int)
                claimed = flying.pop(two % len(flying))
                result = {
                    "delivered": DELIVERED,
                    "retry": retry(now + 3),
                    "dead": Result(DeliveryState.DEAD, "rejected", "no", None),
                }
                assert await settle(store, claimed, result[str(one)], at=now)
                if one != "retry":
                    final[claimed.key].append(claimed.id)
            case "crash":
                await store.write(lambda connection: dispatch.recover(connection, now=NOON + now * SECOND))  # noqa: B023 - run at once
                flying = []
            case "wait":
                assert isinstance(one, int)
                now += one
            case _:
                pass
    await store.write(lambda connection: dispatch.recover(connection, now=NOON + now * SECOND))
    while claims := await claim(store, at=now + 1000):
        for claimed in claims:
            await settle(store, claimed, at=now + 1000)
            final[claimed.key].append(claimed.id)
    assert final == posted, "everything ends, in order"
