from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from sqlalchemy import Connection, update

from alertbridge.clock import SystemClock
from alertbridge.config.secrets import Redactor
from alertbridge.deliver.budget import RateLimit
from alertbridge.deliver.courier import Courier, Policy
from alertbridge.deliver.transport import Route, Transport
from alertbridge.destinations.elven import Elven
from alertbridge.metrics import Metrics
from alertbridge.model import JSON, Action, DeliveryState, Secret, Severity
from alertbridge.simulate.server import Simulation
from alertbridge.store import dispatch, outbox
from alertbridge.store.dispatch import Claim
from alertbridge.store.outbox import Posting
from alertbridge.store.schema import deliveries
from alertbridge.store.store import Store
from tests.support.clock import NOON, ManualClock

TOKEN = "s3cr3t-elven-token"
NUMBERS = count(1)
POLICY = Policy(
    timeout=timedelta(seconds=10), max_age=timedelta(hours=24), probe_interval=timedelta(minutes=2)
)


@dataclass
class Line:
    """One destination from outbox to stand-in, on a clock that the test moves."""

    store: Store
    simulation: Simulation
    clock: ManualClock
    courier: Courier
    metrics: Metrics

    async def post(
        self,
        key: str = "a",
        action: Action = Action.ALARMED,
        *,
        state: DeliveryState = DeliveryState.PENDING,
    ) -> str:
        payload: Mapping[str, JSON] = {
            "title": "t",
            "description": "d",
            "external_aggregate_key": key,
            "action": action.value,
            "severity": "high",
            "tags": [],
        }
        posting = Posting(
            id=f"D{next(NUMBERS):06d}",
            incident=f"I-{key}",
            destination="elven",
            key=key,
            action=action,
            rules_hash="abc",
            severity=Severity.HIGH,
            state=state,
            payload=payload,
            missing=(),
            due_at=self.clock.now(),
            received_at=self.clock.now(),
        )
        await self.store.write(lambda c: outbox.post(c, [posting], now=self.clock.now()))
        return posting.id

    async def behave(self, behaviour: Mapping[str, JSON] | None) -> None:
        url = f"{self.simulation.base_url}/behaviour/elven"
        async with aiohttp.ClientSession() as session:
            call = session.delete(url) if behaviour is None else session.put(url, json=behaviour)
            async with call as answer:
                assert answer.status < 300, await answer.text()

    async def delivery(self, identifier: str) -> dict[str, object]:
        def query(connection: Connection) -> dict[str, object]:
            rows = connection.exec_driver_sql("SELECT * FROM deliveries WHERE id = ?", (identifier,))
            return dict(rows.mappings().one())

        return await self.store.read(query)

    def taken(self) -> list[tuple[str, str]]:
        """What the stand-in took as valid and acted upon: (key, action)."""
        return [
            (str(item.key), str(item.body["action"]))
            for item in self.simulation.received
            if item.taken and isinstance(item.body, dict)
        ]


@pytest_asyncio.fixture
async def line(store: Store) -> AsyncIterator[Line]:
    clock, metrics = ManualClock(), Metrics()
    async with Simulation(clock=SystemClock()) as simulation:
        url = Secret(f"{simulation.base_url}/elven/{TOKEN}")
        courier = Courier(
            destination=Elven(name="elven", url=url, extra_fields={}),
            policy=POLICY,
            store=store,
            transport=Transport(route=Route(timeout=timedelta(seconds=0.5)), clock=clock),
            clock=clock,
            metrics=metrics,
            chance=lambda: 0.5,
            clean=Redactor((url,)).clean,
        )
        await courier.open()
        yield Line(store, simulation, clock, courier, metrics)
        await courier.abandon()


async def test_a_delivery_arrives_and_is_settled(line: Line) -> None:
    identifier = await line.post()
    assert await line.courier.run_once() == 1
    row = await line.delivery(identifier)
    assert (row["state"], row["last_outcome"], row["attempts"]) == ("delivered", "delivered", 1)
    assert line.taken() == [("a", "alarmed")]
    assert all(item.problem is None for item in line.simulation.received)


async def test_both_actions_of_a_key_arrive_in_order(line: Line) -> None:
    for action in (Action.ALARMED, Action.RESOLVED):
        await line.post(action=action)
    assert await line.courier.run_once() == 2
    assert line.taken() == [("a", "alarmed"), ("a", "resolved")]


async def test_what_is_due_behind_much_that_is_put_off_is_sent_at_once_and_others_write_in_between(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "_MOST_LOOKED_AT", 5)
    line.courier.policy = replace(POLICY, key_interval=timedelta(hours=1))
    keys = [f"k{number:02d}" for number in range(20)]
    for key in keys:
        await line.post(key)
    assert await line.courier.run_once() == 20
    for key in (*keys, "fresh"):
        await line.post(key)
    writes = count()
    write = line.store.write

    async def counted(work: Any) -> Any:
        next(writes)
        return await write(work)

    monkeypatch.setattr(line.store, "write", counted)
    assert await line.courier.start_due() == 1
    assert next(writes) >= 5
    await line.courier.drained()
    assert line.taken()[20:] == [("fresh", "alarmed")]
    line.clock.advance(timedelta(hours=1))
    assert await line.courier.run_once() == 20


@pytest.mark.parametrize("status", [408, 425, 500, 502, 503, 504])
async def test_a_passing_failure_is_tried_again_later(line: Line, status: int) -> None:
    await line.behave({"mode": "status", "status": status, "times": 1})
    identifier = await line.post()
    assert await line.courier.run_once() == 1
    row = await line.delivery(identifier)
    assert (row["state"], row["last_outcome"]) == ("pending", "retry")
    assert await line.courier.run_once() == 0, "not before its time"
    line.clock.advance(timedelta(seconds=1))
    assert await line.courier.run_once() == 1
    assert (await line.delivery(identifier))["state"] == "delivered"


@pytest.mark.parametrize("status", [400, 404, 413, 422])
async def test_a_refusal_is_final_and_keeps_the_answer(line: Line, status: int) -> None:
    await line.behave(
        {"mode": "status", "status": status, "body": f"no, and {TOKEN} is your token", "times": 1}
    )
    identifier = await line.post()
    await line.courier.run_once()
    row = await line.delivery(identifier)
    assert row["state"] == "dead"
    assert f'"status":{status}' in str(row["response"])
    assert "***" in str(row["response"])
    assert TOKEN not in str(row)


@pytest.mark.parametrize(
    "behaviour", [{"mode": "hang"}, {"mode": "close"}, {"mode": "hang", "record": True}], ids=str
)
async def test_no_answer_is_ambiguous_and_goes_again(line: Line, behaviour: dict[str, JSON]) -> None:
    await line.behave({**behaviour, "times": 1})
    identifier = await line.post()
    await line.courier.run_once()
    assert (await line.delivery(identifier))["last_outcome"] == "ambiguous"
    line.clock.advance(timedelta(seconds=1))
    await line.courier.run_once()
    assert (await line.delivery(identifier))["state"] == "delivered"


async def test_after_no_answer_the_opposite_waits_and_is_then_said_twice(line: Line) -> None:
    line.courier.policy = replace(POLICY, landing_time=timedelta(seconds=30))
    await line.behave({"mode": "close", "record": True, "times": 1})
    await line.post()
    await line.courier.run_once()
    await line.post(action=Action.RESOLVED)
    line.clock.advance(timedelta(seconds=29))
    await line.courier.run_once()
    assert line.taken() == [("a", "alarmed")] * 2
    line.clock.advance(timedelta(seconds=1))
    await line.courier.run_once()
    line.clock.advance(timedelta(seconds=30))
    await line.courier.run_once()
    assert line.taken()[2:] == [("a", "resolved")] * 2
    line.clock.advance(timedelta(hours=1))
    assert await line.courier.run_once() == 0


async def test_a_destination_that_collapses_is_told_nothing_of_what_it_cannot_have_heard_of(
    line: Line,
) -> None:
    line.courier.policy = replace(POLICY, collapse=True)
    rows = [await line.post(action=action) for action in (Action.ALARMED, Action.RESOLVED)]
    assert await line.courier.run_once() == 0
    assert [(await line.delivery(one))["state"] for one in rows] == ["skipped", "skipped"]


async def test_nobody_listening_is_a_retry_and_not_ambiguous(line: Line) -> None:
    await line.simulation.stop()
    identifier = await line.post()
    await line.courier.run_once()
    row = await line.delivery(identifier)
    assert row["last_outcome"] == "retry"
    assert "no connection" in str(row["last_error"])


async def test_a_rate_limit_pauses_the_destination_for_as_long_as_it_says(line: Line) -> None:
    await line.behave({"mode": "status", "status": 429, "headers": {"Retry-After": "60"}, "times": 1})
    first, second = await line.post("a"), await line.post("b")
    line.courier.policy = replace(POLICY, concurrency=1)
    assert await line.courier.run_once() == 1
    assert (await line.delivery(first))["last_outcome"] == "paused"
    line.clock.advance(timedelta(seconds=59))
    assert await line.courier.run_once() == 0
    line.clock.advance(timedelta(seconds=1))
    assert await line.courier.run_once() == 2
    assert (await line.delivery(second))["state"] == "delivered"
    assert line.courier.standing.pause is None


@pytest.mark.parametrize(
    ("status", "reason"),
    [(401, "unauthorized"), (403, "forbidden"), (301, "redirected"), (307, "redirected")],
)
async def test_a_destination_that_takes_nothing_is_paused_and_probed(
    line: Line, status: int, reason: str
) -> None:
    headers = {"Location": f"{line.simulation.base_url}/elven/stolen"}
    await line.behave({"mode": "status", "status": status, "headers": headers, "times": 2})
    waiting = [await line.post(key) for key in "abc"]
    line.courier.policy = replace(POLICY, concurrency=1)
    assert await line.courier.run_once() == 1
    assert line.courier.standing.pause is not None
    assert line.courier.standing.pause.reason == reason
    line.clock.advance(timedelta(minutes=2))
    assert await line.courier.run_once() == 1, "one probe, which fails"
    line.clock.advance(timedelta(minutes=2))
    assert await line.courier.run_once() == 3, "a probe that succeeds, then the rest"
    assert [(await line.delivery(one))["state"] for one in waiting] == ["delivered"] * 3
    assert len(line.simulation.received) == 5, "no redirect was followed"


async def test_time_spent_paused_does_not_count_to_the_age(line: Line) -> None:
    await line.behave({"mode": "status", "status": 401, "times": 1})
    identifier = await line.post()
    await line.courier.run_once()
    line.clock.advance(timedelta(hours=30))
    await line.behave({"mode": "status", "status": 503, "times": 1})
    other = await line.post("b")
    await line.courier.run_once()
    assert (await line.delivery(identifier))["state"] == "pending", "failed, but not for too long"
    line.clock.advance(timedelta(minutes=5))
    await line.courier.run_once()
    assert {(await line.delivery(one))["state"] for one in (identifier, other)} == {"delivered"}


async def test_time_in_a_pause_that_is_over_does_not_count_to_the_age_either(line: Line) -> None:
    await line.behave({"mode": "status", "status": 401, "times": 1})
    line.courier.policy = replace(POLICY, concurrency=1)
    first, second = await line.post("a"), await line.post("b")
    assert await line.courier.start_due() == 1
    await line.courier.drained()
    line.clock.advance(timedelta(hours=30))
    assert await line.courier.start_due() == 1
    await line.courier.drained()
    assert (await line.delivery(first))["state"] == "delivered"
    await line.behave({"mode": "status", "status": 503, "times": 1})
    await line.courier.run_once()
    assert (await line.delivery(second))["state"] == "pending", "failed, but not for too long"


async def test_only_the_part_of_a_pause_that_a_delivery_waited_through_is_forgiven(line: Line) -> None:
    await line.behave({"mode": "status", "status": 401, "times": 1})
    first = await line.post("a")
    await line.courier.run_once()
    line.clock.advance(timedelta(minutes=10))
    second = await line.post("b")
    await line.behave({"mode": "delay", "seconds": 0.2})
    line.clock.advance(timedelta(minutes=5))
    assert await line.courier.start_due() == 1
    await line.courier.drained()
    minute = 60_000_000
    assert (await line.delivery(second))["paused_for"] == 5 * minute
    assert (await line.delivery(first))["state"] == "delivered"


async def test_what_is_too_old_is_dead_with_the_last_reason(line: Line) -> None:
    await line.behave({"mode": "status", "status": 503})
    identifier = await line.post()
    await line.courier.run_once()
    line.clock.advance(timedelta(hours=25))
    await line.courier.run_once()
    row = await line.delivery(identifier)
    assert row["state"] == "dead"
    assert "given up" in str(row["last_error"])


async def test_a_record_held_too_long_is_dead_and_in_front_of_an_operator(line: Line) -> None:
    identifier = await line.post(state=DeliveryState.HELD)
    line.courier.policy = replace(POLICY, hold_for=timedelta(days=7))
    await line.courier.run_once()
    assert (await line.delivery(identifier))["state"] == "held"
    line.clock.advance(timedelta(days=7))
    await line.courier.run_once()
    assert (await line.delivery(identifier))["state"] == "dead"


async def test_a_run_of_refusals_pauses_instead_of_burying_everything(line: Line) -> None:
    await line.behave({"mode": "status", "status": 400})
    line.courier.policy = replace(POLICY, concurrency=1, reject_limit=3)
    rows = [await line.post(key) for key in "abcdef"]
    assert await line.courier.run_once() == 3
    assert [(await line.delivery(one))["state"] for one in rows] == ["dead", "dead", *["pending"] * 4]
    await line.behave(None)
    line.clock.advance(timedelta(minutes=2))
    assert await line.courier.run_once() == 4
    assert [(await line.delivery(one))["state"] for one in rows[2:]] == ["delivered"] * 4


async def test_the_rate_limit_is_kept_in_any_window(line: Line) -> None:
    line.courier.policy = replace(POLICY, rate_limit=RateLimit(2, timedelta(seconds=60), 2))
    for key in "abc":
        await line.post(key)
    assert await line.courier.run_once() == 2
    line.clock.advance(timedelta(seconds=59))
    assert await line.courier.run_once() == 0
    line.clock.advance(timedelta(seconds=1))
    assert await line.courier.run_once() == 1


async def test_a_clock_set_forward_gives_no_new_budget(line: Line) -> None:
    line.courier.policy = replace(POLICY, rate_limit=RateLimit(2, timedelta(seconds=60), 2))
    for key in "abc":
        await line.post(key)
    assert await line.courier.run_once() == 2
    line.clock.set_forward(timedelta(hours=1))
    line.clock.advance(timedelta(seconds=59))
    assert await line.courier.run_once() == 0
    line.clock.advance(timedelta(seconds=1))
    assert await line.courier.run_once() == 1


async def test_several_keys_fly_side_by_side_but_no_more_than_allowed(line: Line) -> None:
    await line.behave({"mode": "delay", "seconds": 0.2})
    for key in "abcdef":
        await line.post(key)
    assert await line.courier.start_due() == POLICY.concurrency
    assert await line.courier.start_due() == 0
    await line.courier.drained()


async def test_the_loop_sends_what_is_posted_while_it_rests(line: Line) -> None:
    running = asyncio.create_task(line.courier.run())
    await line.post("a")
    line.courier.wake()
    async with asyncio.timeout(5):
        while not line.taken():  # noqa: ASYNC110 - the stand-in has no event to wait for
            await asyncio.sleep(0.01)
    line.courier.close()
    await running
    await line.courier.drained()


async def test_what_falls_due_while_it_looks_is_not_overslept(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, step = dispatch.claim, timedelta(milliseconds=1)
    identifier, due = await line.post(), line.clock.now() + 5 * step
    await line.store.write(
        lambda c: c.execute(
            update(deliveries).where(deliveries.c.id == identifier).values(next_attempt_at=due)
        )
    )

    def slowly(*_: object, **rest: Any) -> list[Claim]:
        monkeypatch.undo()
        found = look(*_, **rest)  # type: ignore[arg-type] # handed on as it came
        line.clock._now += 10 * step
        return found

    monkeypatch.setattr(dispatch, "claim", slowly)
    running = asyncio.create_task(line.courier.run())
    async with asyncio.timeout(5):
        while not line.taken():
            await asyncio.sleep(0.01)
            line.clock.move_to(min(line.clock.now() + step, due + 50 * step))
    line.courier.close()
    await running
    await line.courier.drained()


async def test_the_rate_limit_counts_from_when_a_request_leaves_a_slow_disk(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.courier.policy = replace(POLICY, rate_limit=RateLimit(1, timedelta(seconds=60), 1))
    look, late = dispatch.claim, timedelta(seconds=20)

    def slowly(*_: object, **rest: Any) -> list[Claim]:
        found = look(*_, **rest)  # type: ignore[arg-type] # handed on as it came
        line.clock._now += late
        return found

    monkeypatch.setattr(dispatch, "claim", slowly)
    for key in "ab":
        await line.post(key)
    assert await line.courier.run_once() == 1
    line.clock.advance(timedelta(seconds=59))
    assert await line.courier.run_once() == 0
    line.clock.advance(timedelta(seconds=1))
    assert await line.courier.run_once() == 1


@pytest.mark.parametrize(("step", "outcome"), [("request", "retry"), ("interpret", "ambiguous")])
async def test_a_bug_in_a_destination_loses_nothing_and_what_had_left_may_have_arrived(
    line: Line, monkeypatch: pytest.MonkeyPatch, step: str, outcome: str
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("on purpose")

    identifier = await line.post()
    with monkeypatch.context() as patch:
        patch.setattr(Elven, step, broken)
        await line.courier.run_once()
    row = await line.delivery(identifier)
    assert (row["state"], row["last_error"]) == ("pending", "internal error: KeyError")
    assert row["last_outcome"] == outcome
    assert line.taken() == [("a", "alarmed")] * (step == "interpret")


async def test_what_was_in_flight_at_the_end_is_found_again(line: Line) -> None:
    await line.behave({"mode": "hang", "times": 1})
    identifier = await line.post()
    await line.courier.start_due()
    await line.courier.abandon()
    assert (await line.delivery(identifier))["state"] == "sending"
    await line.store.write(lambda c: dispatch.recover(c, now=NOON))
    assert (await line.delivery(identifier))["state"] == "pending"
