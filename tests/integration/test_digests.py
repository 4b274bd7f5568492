"""Digests: what a scarce budget does not reach is told as one, on a real database and against a plain Elven."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, event

from alertbridge.operate.pruner import Pruner
from alertbridge.store import ledger, listings
from alertbridge.store.store import Store
from alertbridge.store.trace import trace
from tests.support.storm import DIGEST, Storm

MONTH = timedelta(days=30)
QUEUE = "{overflow: queue}"


@pytest.fixture
def storm(store: Store, tmp_path: Path) -> Storm:
    return Storm(store, tmp_path)


async def test_a_storm_of_low_alerts_is_told_as_one_and_ends_as_one(storm: Storm) -> None:
    await storm.fire(*range(50))
    await storm.fire(90, 91, severity="critical")
    await storm.settle()
    assert [said["severity"] for _, said in storm.elven.heard] == ["critical", "critical", "low", "low"]
    (digest,) = storm.elven.digests
    assert digest["title"] == "49 alerts of low severity"
    assert digest["tags"] == [{"name": "digest", "value": "true"}]
    await storm.resolve(*range(50), 90, 91)
    await storm.settle()
    assert storm.elven.open == {}
    assert len(storm.elven.heard) == 8, "the members were never told of by themselves"


async def test_without_the_setting_each_waits_its_turn(storm: Storm) -> None:
    storm.load(QUEUE)
    await storm.fire(*range(20))
    await storm.settle()
    assert sorted(storm.elven.open) == sorted(f"g{number}" for number in range(20))


async def test_nothing_is_folded_as_long_as_no_more_wait_than_may(storm: Storm) -> None:
    await storm.fire(*range(7))
    await storm.settle()
    assert storm.elven.digests == []
    assert len(storm.elven.open) == 7


async def test_what_is_severe_is_told_by_itself_however_much_waits(storm: Storm) -> None:
    await storm.fire(*range(20), severity="moderate")
    await storm.fire(*range(20, 30))
    await storm.settle()
    (digest,) = storm.elven.digests
    assert digest["title"] == "10 alerts of low severity"
    assert {f"g{number}" for number in range(20)} <= storm.elven.open.keys()


async def test_more_joins_the_digest_that_is_not_said_yet_and_then_begins_another(storm: Storm) -> None:
    await storm.fire(*range(30))
    await storm.pass_by(1)
    await storm.fire(*range(30, 50))
    await storm.pass_by(10)
    (first,) = storm.elven.digests
    assert first["title"] == "45 alerts of low severity"
    await storm.fire(*range(50, 70))
    await storm.settle()
    assert len(storm.elven.digests) == 2
    assert first in storm.elven.digests, "what was said is not said in another way"


async def test_what_may_have_arrived_is_joined_by_nothing(storm: Storm) -> None:
    await storm.fire(*range(30))
    await storm.pass_by(1)
    storm.elven.answer = "late"
    await storm.pass_by(10)
    (first,) = storm.elven.digests
    await storm.fire(*range(30, 60))
    await storm.settle()
    assert len(storm.elven.digests) == 2
    assert first in storm.elven.digests


async def test_a_digest_takes_the_turn_of_the_first_that_it_stands_for(storm: Storm) -> None:
    await storm.fire(*range(10))
    storm.clock.advance(timedelta(minutes=1))
    await storm.pass_by(1)
    ((turn, first),) = await storm.rows(
        "SELECT (SELECT rank FROM deliveries WHERE key LIKE 'alertbridge/%'), min(rank) FROM deliveries "
        "WHERE last_error LIKE '%folded%'"
    )
    assert turn == first


async def test_what_is_new_of_a_member_that_nobody_has_time_for_stays_in_its_digest(storm: Storm) -> None:
    await storm.fire(*range(20), severity="informational")
    await storm.settle()
    await storm.fire(100, severity="low", group="g19")
    await storm.fire(*range(50, 80), severity="low")
    await storm.pass_by(1)
    (first, _) = await storm.rows("SELECT id FROM incidents WHERE rule = 'alertbridge/digest' ORDER BY id")
    (note,) = await storm.rows(
        "SELECT last_error FROM deliveries WHERE key = 'g19' ORDER BY seq DESC LIMIT 1"
    )
    assert note == (f"superseded: folded into digest {first[0]}",)
    assert (
        len(
            await storm.rows(
                "SELECT * FROM digests WHERE incident IN (SELECT id FROM incidents WHERE key = 'g19')"
            )
        )
        == 1
    )


async def test_it_is_over_when_the_last_of_its_members_is(storm: Storm) -> None:
    await storm.fire(*range(20))
    await storm.settle()
    await storm.resolve(*range(19))
    await storm.settle()
    assert len(storm.elven.digests) == 1
    await storm.resolve(19)
    await storm.settle()
    assert storm.elven.open == {}
    assert await storm.rows("SELECT id FROM incidents WHERE closed_at IS NULL") == []


async def test_a_member_that_becomes_worse_is_told_by_itself_and_leaves_it(storm: Storm) -> None:
    await storm.fire(*range(20))
    await storm.settle()
    await storm.fire(100, severity="critical", group="g19")
    await storm.settle()
    assert storm.elven.open["g19"]["severity"] == "critical"
    await storm.resolve(*range(19))
    await storm.settle()
    assert list(storm.elven.open) == ["g19"]
    await storm.resolve(19, 100)
    await storm.settle()
    assert storm.elven.open == {}


async def test_what_was_over_before_it_was_told_is_folded_too(storm: Storm) -> None:
    await storm.fire(*range(20))
    await storm.resolve(*range(20))
    await storm.pass_by(1)
    ends = "SELECT id FROM deliveries WHERE action = 'resolved' AND state = 'pending' AND key LIKE 'g%'"
    assert len(await storm.rows(ends)) == 3, "of those that were told"
    await storm.settle()
    assert storm.elven.open == {}
    assert len(storm.elven.heard) == 8, "three alarms and a digest, and the end of each"


async def test_a_digest_that_was_begun_ends_though_it_is_switched_off(storm: Storm) -> None:
    await storm.fire(*range(20))
    await storm.settle()
    storm.load(QUEUE)
    await storm.resolve(*range(20))
    await storm.settle()
    assert storm.elven.open == {}


async def test_a_key_where_something_may_be_open_is_not_folded(storm: Storm) -> None:
    storm.elven.answer = "lost"
    await storm.fire(1)
    await storm.pass_by(1)
    storm.elven.answer = "ok"
    await storm.resolve(1)
    await storm.pass_by(35)
    assert storm.elven.heard[-1][1]["action"] == "resolved"
    await storm.fire(*range(2, 30))
    await storm.fire(1)
    await storm.settle()
    assert len(storm.elven.digests) == 1
    assert "g1" in storm.elven.open, "it takes the place of the repetition, and has to be said"


async def test_what_was_told_before_is_not_folded_when_it_opens_again(storm: Storm) -> None:
    storm.reopen_window = "1h"
    storm.load(DIGEST)
    await storm.fire(1)
    await storm.pass_by(1)
    await storm.resolve(1)
    await storm.pass_by(10)
    await storm.fire(*range(2, 30))
    await storm.fire(1)
    await storm.settle()
    assert "g1" in storm.elven.open


async def test_where_an_end_was_given_up_the_next_incident_is_told_by_itself(storm: Storm) -> None:
    await storm.fire(1)
    await storm.pass_by(10)
    await storm.resolve(1)
    give_up = "UPDATE deliveries SET state = 'discarded' WHERE action = 'resolved'"
    await storm.store.write(lambda connection: connection.exec_driver_sql(give_up))
    await storm.fire(*range(2, 30))
    await storm.fire(1)
    await storm.settle()
    assert await storm.rows("SELECT id FROM deliveries WHERE key = 'g1' AND last_error LIKE '%folded%'") == []


async def test_the_text_of_a_digest_keeps_to_the_room_there_is(storm: Storm) -> None:
    await storm.fire(*range(400))
    await storm.settle()
    (digest,) = storm.elven.digests
    assert digest["title"] == "397 alerts of low severity"
    lines = digest["description"].splitlines()
    assert len(digest["description"]) <= 4000
    assert lines[-1] == f"and {397 - (len(lines) - 2)} more"


async def test_closing_a_digest_by_hand_ends_what_it_stands_for(storm: Storm) -> None:
    await storm.fire(*range(20))
    await storm.settle()
    key = storm.elven.digests[0]["external_aggregate_key"]
    ((digest,),) = await storm.rows(f"SELECT id FROM incidents WHERE key = '{key}'")
    firing = await storm.store.read(lambda connection: ledger.firing_in(connection, digest))
    assert sorted(member.alert.fingerprint for member in firing) == sorted(f"f{n}" for n in range(3, 20))


async def test_a_digest_and_what_it_stands_for_are_kept_as_long_as_any_of_them_is_open(storm: Storm) -> None:
    await storm.fire(*range(20))
    await storm.settle()
    await storm.resolve(*range(19))
    await storm.settle()
    storm.clock.advance(timedelta(days=31))
    pruner = Pruner(store=storm.store, events=MONTH, deliveries=MONTH, clock=storm.clock, window=timedelta(0))
    await pruner.run_once()
    assert await storm.rows("SELECT count(*) FROM digests") == [(17,)]
    await storm.resolve(19)
    await storm.settle()
    storm.clock.advance(timedelta(days=31))
    await pruner.run_once()
    await pruner.run_once()
    assert await storm.rows("SELECT id FROM incidents") == []
    assert await storm.rows("SELECT * FROM digests") == []


async def test_the_trace_leads_from_a_member_to_its_digest_and_back(storm: Storm) -> None:
    await storm.fire(*range(20))
    await storm.settle()
    told = await storm.store.read(lambda connection: trace(connection, "g19"))
    assert told is not None
    story = json.loads(json.dumps(told))
    (member,), (alarm,) = story["incidents"], [one for one in story["story"] if one["what"] == "said"]
    assert alarm["last_error"] == f"superseded: folded into digest {member['digest']}"
    found = await storm.store.read(lambda connection: listings.find_incident(connection, member["digest"]))
    digest = json.loads(json.dumps(found))
    assert {"incident": member["id"], "key": "g19", "state": "open"} in digest["folded"]
    assert len(digest["folded"]) == 17


STEP = st.one_of(
    st.tuples(st.just("fire"), st.integers(0, 30), st.integers(1, 25)),
    st.tuples(st.just("worse"), st.integers(0, 30), st.just(0)),
    st.tuples(st.just("resolve"), st.integers(0, 30), st.integers(1, 40)),
    st.tuples(st.just("wait"), st.integers(1, 25), st.just(0)),
    st.tuples(
        st.sampled_from(["ok", "refused", "lost", "late", "crash", "off", "on"]), st.just(0), st.just(0)
    ),
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(STEP, min_size=3, max_size=14), st.booleans())
async def test_whatever_happens_the_truth_is_told_within_the_budget(
    store: Store,
    tmp_path: Path,
    steps: list[tuple[str, int, int]],
    collapse: bool,  # noqa: FBT001 - given by hypothesis
) -> None:

    def empty(connection: Connection) -> None:
        for table in ("digests", "deliveries", "incidents", "alerts", "doubts", "events"):
            connection.exec_driver_sql(f"DELETE FROM {table}")

    await store.write(empty)
    storm = Storm(store, tmp_path, DIGEST.replace("}", ", collapse: true}") if collapse else DIGEST)
    for step in steps:
        await live(storm, *step)
        await storm.check_represented()
    await storm.settle()
    await storm.check_folded()
    groups = {group for group, _ in storm.firing.values()}
    assert [group for group in groups if not storm.elven.knows(group)] == []
    ghosts = {key for key in storm.elven.open if not key.startswith("alertbridge/")} - groups
    assert ghosts == set()
    for said in storm.elven.digests:
        assert any(f"({group})" in said["description"] for group in groups), "nothing of it fires"
    await storm.resolve(*storm.firing)
    await storm.settle()
    assert storm.elven.open == {}
    assert await storm.rows("SELECT id FROM incidents WHERE closed_at IS NULL") == []
    storm.check_budget()


async def live(storm: Storm, step: str, first: int, number: int) -> None:
    """One step of a random life."""
    match step:
        case "fire":
            await storm.fire(*(n for n in range(first, first + number) if n not in storm.firing))
        case "worse":
            if first + 1000 not in storm.firing:
                await storm.fire(first + 1000, severity="critical", group=f"g{first}")
        case "resolve":
            await storm.resolve(*[n for n in storm.firing if first <= n % 1000 < first + number])
        case "wait":
            await storm.pass_by(first)
        case "crash":
            await storm.crash()
        case "off" | "on":
            storm.load(QUEUE if step == "off" else storm.overflow)
        case _:
            storm.elven.answer = step


async def test_no_step_of_a_digest_reads_a_history_or_sorts_a_queue(storm: Storm) -> None:
    """Every statement from the fold to the end is asked how it is answered."""
    statements: dict[str, tuple[object, ...]] = {}

    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        of_digests = "digest" in statement or "alertbridge/digest" in str(parameters)
        if of_digests and isinstance(parameters, tuple) and not statement.startswith("INSERT"):
            statements[statement] = parameters

    engine = storm.store._writer._engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        await storm.fire(*range(20))
        await storm.settle()
        await storm.resolve(*range(20))
        await storm.settle()
    finally:
        event.remove(engine, "before_cursor_execute", note)

    def explain(connection: Connection) -> dict[str, list[str]]:
        return {
            statement: [
                row.detail
                for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            ]
            for statement, parameters in statements.items()
        }

    plans = await storm.store.read(explain)
    assert len(plans) >= 4, "what may be folded, what may be joined, what is over, and its members"
    for statement, steps in plans.items():
        for step in steps:
            assert not step.startswith("SCAN") or step == "SCAN CONSTANT ROW", (statement, steps)
            assert "TEMP B-TREE" not in step, (statement, steps)
