"""How a destination stands, from its answers to what is on disk; the answers come from a script, at once or never."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select
from structlog.testing import capture_logs
from typing_extensions import override

from alertbridge.deliver.budget import RateLimit
from alertbridge.deliver.courier import Courier, Policy
from alertbridge.deliver.fleet import Fleet
from alertbridge.deliver.learning import Lesson
from alertbridge.deliver.transport import Route, Transport
from alertbridge.destinations.elven import Elven
from alertbridge.errors import StoreError
from alertbridge.metrics import Metrics
from alertbridge.model import Ambiguous, Paused, Request, Response, Retry, Secret
from alertbridge.store import dispatch, standings
from alertbridge.store.schema import deliveries
from alertbridge.store.standings import Kept
from alertbridge.store.store import Store
from tests.support.clock import NOON, ManualClock
from tests.support.stock import DAY, MINUTE, Stock

SECOND = timedelta(seconds=1)
TOKEN = "s3cr3t-elven-token"
ANOTHER = "s3cr3t-of-hivel"  # which the destination itself cannot know
POLICY = Policy(timeout=MINUTE, max_age=DAY, probe_interval=2 * MINUTE)


class Scripted(Transport):
    """Answers as `say` says at that moment; None is never."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(route=Route(timeout=MINUTE), clock=clock)
        self.say: Callable[[], tuple[int, dict[str, str]] | None] = lambda: (202, {})
        self.sent: list[datetime] = []

    @override
    async def open(self) -> None:
        pass

    @override
    async def post(self, request: Request) -> Response | Retry | Ambiguous | Paused:
        now = self._clock.now()
        self.sent.append(now)
        said = self.say()
        if said is None:
            await asyncio.Event().wait()
        assert said is not None
        return Response(said[0], said[1], f"{TOKEN}, {ANOTHER}".encode(), now)


@dataclass
class Line:
    """One destination on a clock that the test moves; `restart` forgets everything but what is on disk."""

    store: Store
    policy: Policy = POLICY
    clock: ManualClock = field(default_factory=ManualClock)
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        self.stock = Stock(self.store, self.clock)
        self.transport = Scripted(self.clock)
        self.courier = self.make()

    def make(self) -> Courier:
        return Courier(
            destination=Elven(name="elven", url=Secret(f"http://127.0.0.1:9/elven/{TOKEN}")),
            policy=self.policy,
            store=self.store,
            transport=self.transport,
            clock=self.clock,
            metrics=self.metrics,
            chance=lambda: 0.5,
            clean=lambda text: text.replace(TOKEN, "***").replace(ANOTHER, "***"),
        )

    async def reload(self) -> None:
        """Another courier takes over, as after a change of the configuration."""

        async def ended(_: str) -> None:
            pass

        fleet = Fleet(
            couriers={"elven": self.courier},
            store=self.store,
            clock=self.clock,
            begin=lambda _, loop: loop.close(),
            end=ended,
        )
        self.courier = self.make()
        await fleet.exchange({"elven": self.courier}, removed=(), rekeyed=())

    async def restart(self) -> None:
        self.courier = self.make()
        now = self.clock.now()
        await self.store.write(lambda connection: dispatch.recover(connection, now=now))

        async def never(_: str) -> None:
            raise AssertionError("no loop is to end")

        fleet = Fleet(
            couriers={"elven": self.courier},
            store=self.store,
            clock=self.clock,
            begin=lambda _, loop: loop.close(),
            end=never,
        )
        await fleet.start()

    async def post(self, *keys: str) -> list[str]:
        return [await self.stock.delivery(key=key) for key in keys]

    async def states(self) -> list[str]:
        def look(connection: Connection) -> list[str]:
            return [
                row.state for row in connection.exec_driver_sql("SELECT state FROM deliveries ORDER BY seq")
            ]

        return await self.store.read(look)

    def answer(self, status: int, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.transport.say = lambda: (status, named)

    @property
    def reason(self) -> str | None:
        obstacle = self.courier.standing.obstacle
        return obstacle.reason if obstacle else None


@pytest_asyncio.fixture
async def line(store: Store) -> AsyncIterator[Line]:
    line = Line(store)
    yield line
    await line.courier.abandon()


def paused_for(connection: Connection, *, key: str) -> timedelta:
    found = connection.scalars(select(deliveries.c.paused_for).where(deliveries.c.key == key)).one()
    assert isinstance(found, timedelta)
    return found


KEYS = [f"k{number:02}" for number in range(40)]


async def test_a_reload_after_the_clock_was_set_forward_gives_no_new_budget(line: Line) -> None:
    line.policy = replace(POLICY, rate_limit=RateLimit(2, MINUTE, 2))
    await line.restart()
    await line.post("a", "b", "c")
    assert await line.courier.run_once() == 2
    line.clock.set_forward(60 * MINUTE)
    await line.reload()
    assert await line.courier.run_once() == 0
    line.clock.advance(MINUTE)
    assert await line.courier.run_once() == 1


async def test_a_clock_set_forward_after_a_restart_gives_no_new_budget(line: Line) -> None:
    line.policy = replace(POLICY, rate_limit=RateLimit(2, MINUTE, 2))
    await line.restart()
    await line.post("a", "b", "c")
    assert await line.courier.run_once() == 2
    await line.restart()
    line.clock.set_forward(60 * MINUTE)
    assert await line.courier.run_once() == 0
    line.clock.advance(MINUTE)
    assert await line.courier.run_once() == 1


async def test_it_is_looked_again_when_more_is_allowed_after_a_429(line: Line) -> None:
    limit = RateLimit(10, MINUTE, 10)
    line.policy = replace(POLICY, rate_limit=limit)
    await line.restart()
    line.courier.standing = replace(line.courier.standing, lesson=Lesson(limit, 5, NOON))
    due = await line.store.read(lambda connection: line.courier._next_due(connection, NOON + 5 * SECOND))
    assert NOON + MINUTE in due


@pytest.mark.parametrize("paused", [False, True])
async def test_time_that_nobody_lived_through_makes_nothing_older(line: Line, *, paused: bool) -> None:
    await line.post("a")
    line.answer(401 if paused else 503)
    await line.courier.run_once()
    line.clock.advance(MINUTE)
    line.clock.set_forward(2 * DAY)
    line.answer(503)
    await line.courier.run_once()
    assert await line.states() == ["pending"]
    line.clock.advance(2 * MINUTE)
    line.answer(202)
    await line.courier.run_once()
    counted = await line.store.read(partial(paused_for, key="a"))
    assert counted == 2 * DAY + (3 * MINUTE if paused else timedelta(0))


async def test_a_pause_and_a_lesson_outlive_a_restart(line: Line) -> None:
    line.policy = replace(POLICY, concurrency=1, rate_limit=RateLimit(60, 5 * MINUTE, 20))
    await line.restart()
    await line.post("a")
    line.answer(429, retry_after="600")
    assert await line.courier.run_once() == 1
    before = line.courier.standing.pause

    line.clock.advance(5 * MINUTE)
    await line.restart()

    after = line.courier.standing.pause
    assert before is not None
    assert after is not None
    assert (after.reason, after.since, after.until) == (before.reason, before.since, before.until)
    assert line.courier.limit == RateLimit(36, 5 * MINUTE, 12), "halved, and a window has passed since"
    line.answer(202)
    line.clock.advance(5 * MINUTE - SECOND)
    assert await line.courier.run_once() == 0, "not before the time"
    line.clock.advance(SECOND)
    assert await line.courier.run_once() == 1
    await line.restart()
    assert line.courier.standing.pause is None, "nor is the end of a pause forgotten"
    assert line.courier.standing.lesson is not None


async def test_time_in_a_pause_counts_to_no_age_though_the_daemon_was_down_in_it(line: Line) -> None:
    await line.post("a")
    line.answer(401)
    await line.courier.run_once()
    line.clock.advance(30 * DAY)
    await line.restart()
    assert line.reason == "unauthorized"
    line.answer(202)
    line.clock.advance(SECOND)
    assert await line.courier.run_once() == 1

    assert await line.store.read(partial(paused_for, key="a")) == 30 * DAY + SECOND


async def test_a_pause_that_may_be_mended_is_probed_at_once_after_a_restart(line: Line) -> None:
    line.policy = replace(POLICY, concurrency=1, reject_limit=3)
    await line.restart()
    await line.post(*KEYS[:6])
    line.answer(400)
    assert await line.courier.run_once() == 3
    for _ in range(2):
        await line.restart()
        assert line.reason == "rejecting"
        assert await line.courier.run_once() == 1, "one probe"
    assert await line.states() == ["dead"] * 2 + ["pending"] * 4, "no restart buries more"
    line.answer(202)
    await line.restart()
    assert await line.courier.run_once() == 4


async def test_no_secret_that_an_answer_repeats_is_stored_with_the_pause(line: Line) -> None:
    await line.post("a")
    line.answer(401)
    await line.courier.run_once()
    (kept,) = (await line.store.read(standings.find)).values()
    assert kept.detail is not None
    assert "***, ***" in kept.detail
    assert "s3cr3t" not in str(kept)


async def test_what_stands_well_has_no_row(line: Line) -> None:
    await line.post("a")
    await line.courier.run_once()
    assert await line.store.read(standings.find) == {}


async def test_a_clock_that_was_set_back_while_the_daemon_was_down_strands_nothing(line: Line) -> None:
    kept = Kept("rate_limited", "429", NOON + 30 * DAY, NOON + 31 * DAY)
    await line.store.write(lambda connection: standings.keep(connection, "elven", kept))
    await line.restart()
    assert line.courier.standing.pause is not None
    assert (line.courier.standing.pause.since, line.courier.standing.pause.until) == (NOON, NOON + DAY)


async def test_a_clock_that_is_set_back_in_a_pause_strands_nothing_and_makes_nothing_older(
    line: Line,
) -> None:
    line.clock.advance(3 * DAY)
    await line.post("a")
    line.answer(429, retry_after="600")
    await line.courier.run_once()
    line.clock.move_to(NOON + 2 * DAY)
    line.answer(202)
    now = line.clock.now()
    await line.store.write(lambda connection: dispatch.recover(connection, now=now))
    await line.post("b")
    assert await line.courier.run_once() >= 1
    assert line.reason is None

    def paused_for(connection: Connection) -> int:
        found = connection.exec_driver_sql("SELECT MIN(paused_for) FROM deliveries").scalar_one()
        assert isinstance(found, int)
        return found

    assert await line.store.read(paused_for) == 0


async def test_the_breaker_lets_one_probe_go_and_then_the_rest(line: Line) -> None:
    await line.post(*KEYS)
    line.answer(503)
    with capture_logs() as logs:
        assert await line.courier.run_once() == 10, "no more than it takes to know"
        assert line.reason == "breaker"
        line.clock.advance(5 * SECOND)
        assert await line.courier.run_once() == 1
        line.answer(202)
        line.clock.advance(10 * SECOND)
        assert await line.courier.start_due() == 1, "the probe"
        assert await line.courier.start_due() == 0, "alone"
        await line.courier.drained()
        assert line.reason is None
        await line.courier.run_once()
    line.clock.advance(5 * MINUTE)
    await line.courier.run_once()
    assert await line.states() == ["delivered"] * 40
    said = [(one["event"], one["reason"]) for one in logs if one["event"].startswith("destination.")]
    assert said == [("destination.paused", "breaker"), ("destination.resumed", "breaker")]
    moments = [one.get("until") or one.get("next_attempt_at") for one in logs]
    assert all(moment.endswith("Z") for moment in moments if moment), "as everywhere else"
    assert any(moments)


async def test_time_in_which_the_breaker_is_open_counts_to_the_age(line: Line) -> None:
    await line.post(*KEYS[:10])
    line.answer(503)
    await line.courier.run_once()
    assert line.reason == "breaker"
    line.clock.advance(DAY)
    await line.courier.run_once()
    assert (await line.states()).count("dead") == 1, "the probe is older than it may be"


async def test_a_restart_closes_the_breaker(line: Line) -> None:
    await line.post(*KEYS[:10])
    line.answer(503)
    await line.courier.run_once()
    await line.restart()
    assert line.reason is None


async def test_a_quota_that_is_used_up_is_waited_for_over_a_restart_and_ends_by_itself(line: Line) -> None:
    line.policy = replace(POLICY, concurrency=1)
    await line.restart()
    await line.post("a", "b", "c")
    line.answer(202, ratelimit='"default";r=0;t=30')
    assert await line.courier.run_once() == 1
    assert line.reason == "quota"
    await line.restart()
    assert await line.courier.run_once() == 0
    line.clock.advance(30 * SECOND)
    line.answer(202)
    line.transport.sent.clear()
    assert await line.courier.run_once() == 2
    assert line.reason is None


async def test_the_time_of_a_pause_is_not_forgotten_where_its_end_cannot_be_stored_at_once(
    line: Line,
) -> None:
    line.policy = replace(POLICY, concurrency=1)
    await line.restart()
    await line.post("a", "b")
    line.answer(202, ratelimit='"default";r=0;t=30')
    assert await line.courier.run_once() == 1
    line.clock.advance(30 * SECOND)
    store, refused = line.store, asyncio.Event()

    async def write(work: Callable[[Connection], object]) -> object:
        if not refused.is_set():
            refused.set()
            raise StoreError("the disk is full")
        return await store.write(work)

    line.courier._store = replace_methods(store, write=write)
    turn = asyncio.create_task(line.courier.run_once())
    await refused.wait()
    while not turn.done():
        await asyncio.sleep(0.01)
        line.clock.advance(SECOND)

    assert await turn == 1
    assert await line.store.read(partial(paused_for, key="b")) == 30 * SECOND


async def test_a_pause_that_runs_out_right_after_the_last_look_is_noticed_at_once(line: Line) -> None:
    await line.post("a", "b")
    line.answer(429, retry_after="30")
    await line.courier.run_once()
    line.clock.advance(30 * SECOND - timedelta(microseconds=1))
    assert await line.courier.start_due() == 0
    line.clock.advance(timedelta(microseconds=1))
    line.courier._wake.clear()
    resting = asyncio.create_task(line.courier._rest())
    async with asyncio.timeout(5):
        while not resting.done():
            await asyncio.sleep(0.01)
            line.clock.advance(timedelta(milliseconds=1))
    await resting
    assert line.clock.now() < NOON + 31 * SECOND


async def test_a_full_disk_on_which_no_pause_can_end_does_not_keep_the_daemon_from_ending(line: Line) -> None:
    await line.post("a", "b")
    line.answer(202, ratelimit='"default";r=0;t=30')
    await line.courier.run_once()
    line.clock.advance(30 * SECOND)
    store, refused = line.store, asyncio.Event()

    async def write(_: object) -> None:
        refused.set()
        raise StoreError("the disk is full")

    line.courier._store = replace_methods(store, write=write)
    loop = asyncio.create_task(line.courier.run())
    await refused.wait()
    line.courier.close()
    async with asyncio.timeout(5):
        while not loop.done():
            await asyncio.sleep(0.01)
            line.clock.advance(SECOND)
    await loop
    await line.restart()
    await line.courier.run_once()
    assert line.reason is None
    assert await line.store.read(standings.find) == {}


async def test_a_quota_ends_by_itself_though_nothing_waits(line: Line) -> None:
    await line.post("a")
    line.answer(202, x_ratelimit_remaining="0", x_ratelimit_reset="30")
    await line.courier.run_once()
    line.clock.advance(30 * SECOND)
    await line.courier.run_once()
    assert line.reason is None
    assert await line.store.read(standings.find) == {}


async def test_fewer_are_under_way_while_they_fail_and_more_again_when_they_succeed(line: Line) -> None:
    line.policy = replace(POLICY, concurrency=8, failure_limit=1000)
    await line.restart()
    await line.post(*KEYS)
    line.answer(503)
    for expected in (8, 4, 2, 1, 1):
        assert await line.courier.start_due() == expected
        await line.courier.drained()
        assert line.courier.width == max(1, expected // 2)
        line.clock.advance(SECOND)
    line.answer(202)
    line.clock.advance(5 * MINUTE)
    flights = []
    while started := await line.courier.start_due():
        flights.append(started)
        await line.courier.drained()
        line.clock.advance(SECOND)
    assert flights[:8] == [1, 2, 3, 4, 5, 6, 7, 8]


async def test_a_destination_that_hangs_asks_nothing_of_what_the_others_share(line: Line) -> None:
    """Whatever is posted, it neither writes nor reads: all that it holds is its own connections and `concurrency` tasks."""
    line.policy = replace(POLICY, concurrency=3)
    await line.restart()
    line.transport.say = lambda: None
    await line.post(*KEYS[:5])
    assert await line.courier.start_due() == 3
    asked: list[str] = []

    def count(what: str) -> Callable[..., object]:
        def asks(*_: object, **__: object) -> object:
            asked.append(what)
            raise AssertionError("it asks the store")

        return asks

    line.courier._store = replace_methods(line.store, write=count("write"), read=count("read"))
    running = asyncio.create_task(line.courier.run())
    for _ in range(20):
        line.courier.wake()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert not running.done()
    assert asked == []
    assert len(line.courier._flying) == 3
    line.courier.close()
    await running


async def test_an_attempt_begins_when_the_writer_gets_to_it_and_the_rate_limit_counts_from_there(
    line: Line,
) -> None:
    line.policy = replace(POLICY, concurrency=1, rate_limit=RateLimit(1, 10 * SECOND, 1))
    await line.restart()
    await line.post("a", "b")
    write = line.store.write

    async def busy(work: Callable[[Connection], object], **_: object) -> object:
        line.clock.advance(3 * SECOND)
        return await write(work)

    line.courier._store = replace_methods(line.store, write=busy)
    assert await line.courier.start_due() == 1
    await line.courier.drained()
    line.courier._store = line.store
    line.clock.move_to(NOON + 10 * SECOND)
    assert await line.courier.start_due() == 0, "it went at 3 s"
    line.clock.move_to(NOON + 13 * SECOND)
    assert await line.courier.start_due() == 1
    await line.courier.drained()


def replace_methods(store: Store, **methods: Callable[..., object]) -> Store:
    """A store that is the same but for some methods."""
    double = object.__new__(Store)
    double.__dict__.update(store.__dict__)
    double.__dict__.update(methods)
    return double


def empty(connection: Connection, *, table: str) -> None:
    connection.exec_driver_sql(f"DELETE FROM {table}")


LIVES = st.lists(
    st.one_of(
        st.tuples(st.just("post"), st.integers(1, 8)),
        st.tuples(st.just("wait"), st.integers(1, 70)),
        st.tuples(st.just("restart"), st.just(0)),
        st.tuples(st.just("say"), st.sampled_from([202, 202, 202, 429, 503])),
    ),
    min_size=5,
    max_size=25,
)
LIMITS = st.builds(
    lambda requests, seconds, burst: RateLimit(requests, seconds * SECOND, min(burst, requests)),
    st.integers(1, 6),
    st.integers(5, 60),
    st.integers(1, 6),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LIMITS, LIVES)
async def test_no_window_holds_more_requests_than_the_limit_whatever_is_answered_and_however_often_it_restarts(
    store: Store, limit: RateLimit, life: list[tuple[str, int]]
) -> None:
    for table in ("attempts", "deliveries", "standings"):
        await store.write(partial(empty, table=table))
    line = Line(store, replace(POLICY, rate_limit=limit))
    keys = iter(range(10_000))
    for what, number in life:
        match what:
            case "post":
                await line.post(*(f"k{next(keys)}" for _ in range(number)))
            case "wait":
                line.clock.advance(number * SECOND)
            case "restart":
                await line.restart()
            case _:
                line.answer(number, **({"retry_after": "7"} if number == 429 else {}))
        await line.courier.run_once()
    sent = line.transport.sent
    for first, start in enumerate(sent):
        assert len([one for one in sent[first:] if one < start + limit.per]) <= limit.requests
        assert sent.count(start) <= limit.burst
