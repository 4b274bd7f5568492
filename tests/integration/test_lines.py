"""What is said on a key: superseding across incidents, after failures, ambiguity and crashes, on a real database."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alertbridge.model import Action
from alertbridge.store import dispatch
from alertbridge.store.store import Store
from tests.support.line import REJECTED, Outbox, broke, failed, lost, moment
from tests.support.naive_reducer import World


@pytest.fixture
def box(store: Store) -> Outbox:
    return Outbox(store)


async def test_an_alert_that_flaps_through_an_outage_is_told_once(box: Outbox) -> None:
    for episode in range(1, 10):
        await box.post(f"A{episode}", at=episode)
        await box.send(at=episode, result=failed(episode))
        if episode < 9:
            await box.post(f"R{episode}", at=episode)
    assert await box.send(at=60) == ["A9"]


async def test_the_incident_that_was_told_is_closed_before_the_last_one_is_told(box: Outbox) -> None:
    await box.post("A1")
    await box.send()
    await box.post("R1 A2 R2 A3")
    assert await box.send() == ["R1", "A3"]


async def test_what_was_superseded_says_by_what_and_stays_to_be_looked_at(box: Outbox) -> None:
    await box.post("A1 R1 A2")
    rows = await box.rows("SELECT state, last_error FROM deliveries ORDER BY seq")
    reason = "superseded by alarmed D000003 of incident k-2"
    assert [(row["state"], row["last_error"]) for row in rows] == [
        ("superseded", reason),
        ("superseded", reason),
        ("pending", None),
    ]


async def test_what_is_in_flight_counts_as_said_until_it_fails(box: Outbox) -> None:
    await box.post("A1")
    (claim,) = await box.claim()
    await box.post("R1 A2 R2 A3")
    assert await box.waiting() == "A1 R1 A3"
    await box.settle(claim, failed(1))
    assert await box.send(at=1) == ["A3"], "nobody has heard of the first"


async def test_what_may_have_arrived_is_closed(box: Outbox) -> None:
    await box.post("A1")
    await box.send(result=lost(1))
    await box.post("R1 A2")
    assert await box.send(at=1) == ["R1", "A2"]


async def test_a_dead_alarm_was_not_said(box: Outbox) -> None:
    await box.post("A1")
    await box.send(result=REJECTED)
    await box.post("R1")
    assert await box.send() == []


async def test_a_server_that_broke_may_have_acted_before(box: Outbox) -> None:
    await box.post("A1")
    await box.send(result=broke(1))
    await box.send(at=1, result=REJECTED)
    await box.post("R1", at=1)
    assert await box.send(at=1) == ["R1"]


async def test_what_fires_again_is_told_where_the_end_before_may_have_arrived(box: Outbox) -> None:
    await box.post("A1")
    await box.send()
    await box.post("R1")
    await box.send(result=broke(1))
    await box.post("A1")
    assert (await box.send(at=1))[-1] == "A1"


async def test_collapse_closes_what_a_server_that_broke_may_have_opened(box: Outbox) -> None:
    box.collapse = True
    await box.post("A1")
    await box.send(result=broke(1))
    await box.post("R1", at=1)
    assert await box.send(at=1) == ["R1"]


async def test_the_resolve_of_what_was_never_announced_is_sent(box: Outbox) -> None:
    await box.post("R1")
    assert await box.send() == ["R1"]


async def test_a_resolve_does_not_wait_behind_an_update_that_is_held_back(box: Outbox) -> None:
    box.interval = 300
    await box.post("A1")
    await box.send()
    await box.post("A1+", at=10, news=False)
    assert await box.send(at=10) == []
    await box.post("R1", at=20)
    assert await box.send(at=20) == ["R1"]


async def test_an_alert_that_flaps_faster_than_the_interval_does_not_lag_behind(box: Outbox) -> None:
    box.interval = 300
    said = []
    for episode in range(1, 9):
        await box.post(f"A{episode}", at=20 * episode)
        said += await box.send(at=20 * episode)
        if episode < 8:
            await box.post(f"R{episode}", at=20 * episode + 10)
            said += await box.send(at=20 * episode + 10)
    assert said == ["A1", "R1"]
    assert await box.send(at=319) == []
    assert await box.send(at=320) == ["A8"]


async def test_collapse_tells_nothing_of_what_nobody_has_heard_of(box: Outbox) -> None:
    box.collapse = True
    await box.post("A1")
    await box.send(result=failed(1))
    await box.post("R1")
    assert await box.send(at=1) == []
    rows = await box.rows("SELECT state FROM deliveries")
    assert {row["state"] for row in rows} == {"skipped"}


async def test_collapse_closes_what_may_have_been_heard_of(box: Outbox) -> None:
    box.collapse = True
    await box.post("A1")
    await box.send(result=lost(1))
    await box.post("R1")
    assert await box.send(at=1) == ["R1"]


async def test_what_takes_the_place_of_another_takes_its_turn(box: Outbox) -> None:
    await box.post("A1", "flapping", at=0)
    for episode in range(1, 9):
        await box.post(f"A{episode}", f"other {episode}", at=episode)
        await box.post(f"R{episode} A{episode + 1}", "flapping", at=100 + episode)
    (first,) = await box.claim(at=200, most=1)
    assert (first.key, box.name(first)) == ("flapping", "A9")


async def test_the_opposite_waits_until_a_request_without_an_answer_can_no_longer_land(box: Outbox) -> None:
    box.landing = 30
    await box.post("A1")
    await box.send(result=lost(2))
    await box.post("R1", at=1)
    assert await box.send(at=2) == ["A1"], "the same action does not wait"
    assert await box.send(at=29) == []
    assert await box.send(at=30) == ["R1"]


async def test_after_ambiguity_the_last_state_is_said_once_more_and_only_once(box: Outbox) -> None:
    box.landing = 30
    await box.post("A1")
    await box.send(result=lost(1))
    assert await box.send(at=1) == ["A1"]
    assert await box.waiting() == "", "the same again undoes nothing"
    await box.post("R1", at=40)
    assert await box.send(at=40) == ["R1"]
    assert await box.waiting() == "=R1"
    assert await box.send(at=69) == []
    assert await box.send(at=70) == ["=R1"]
    assert await box.waiting() == ""
    rows = await box.rows("SELECT repeats FROM deliveries WHERE id LIKE '%-again'")
    assert rows == [{"repeats": "D000002"}]


async def test_something_newer_takes_the_place_of_what_was_to_be_said_once_more(box: Outbox) -> None:
    box.landing = 30
    await box.post("A1")
    await box.send(result=lost(1))
    await box.post("R1", at=2)
    assert await box.send(at=40) == ["A1", "R1"]
    await box.post("A2", at=50)
    assert await box.waiting() == "A2"
    assert await box.send(at=50) == ["A2"]
    assert await box.waiting() == "=A2", "the first alarm may still arrive late"
    assert await box.send(at=80) == ["=A2"]
    await box.post("R2", at=90)
    assert await box.send(at=90) == ["R2"]
    assert await box.waiting() == "", "that attempt has been answered for"


async def test_nothing_is_said_once_more_hours_after_the_attempt_without_an_answer(box: Outbox) -> None:
    box.landing = 30
    await box.post("A1")
    await box.send(result=lost(1))
    await box.send(at=1)
    await box.post("R1", at=3601)
    assert await box.send(at=3601) == ["R1"]
    assert await box.waiting() == ""


async def test_what_is_said_once_more_keeps_to_the_interval(box: Outbox) -> None:
    box.landing, box.interval = 30, 300
    await box.post("A1")
    await box.send(result=lost(1))
    await box.post("R1", at=2)
    assert await box.send(at=40) == ["A1", "R1"]
    assert await box.send(at=339) == []
    assert await box.send(at=340) == ["=R1"]


async def test_crashes_do_not_multiply_what_is_said_once_more(box: Outbox) -> None:
    box.landing = 30
    await box.post("A1")
    for at in (0, 1, 2):
        assert len(await box.claim(at=at)) == 1
        await box.store.write(lambda connection, at=at: dispatch.recover(connection, now=moment(at)))  # type: ignore[misc]
    await box.post("R1", at=3)
    assert await box.send(at=40) == ["A1", "R1"]
    assert len(await box.claim(at=70)) == 1
    await box.store.write(lambda connection: dispatch.recover(connection, now=moment(71)))
    assert await box.send(at=71) == ["=R1"]
    assert await box.send(at=500) == []


async def test_without_a_landing_time_nothing_waits_and_nothing_is_said_twice(box: Outbox) -> None:
    await box.post("A1")
    await box.send(result=lost(1))
    await box.post("R1", at=1)
    assert await box.send(at=1) == ["A1", "R1"]
    assert await box.send(at=500) == []


STEPS = st.lists(
    st.sampled_from(
        [
            "open",
            "reopen",
            "change",
            "close",
            "arrives",
            "fails",
            "lands",
            "breaks",
            "is lost",
            "crash",
            "wait",
        ]
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS, st.booleans(), st.sampled_from([0, 5]), st.sampled_from([0, 20]))
async def test_whatever_happens_a_key_ends_in_the_true_state(
    store: Store,
    steps: list[str],
    collapse: bool,  # noqa: FBT001 - given by hypothesis
    landing: int,
    interval: int,
) -> None:
    await store.write(lambda connection: connection.exec_driver_sql("DELETE FROM deliveries"))
    key = _Key(Outbox(store, collapse=collapse, landing=landing, interval=interval))
    for step in steps:
        await key.live(step)
        assert len((await key.box.waiting()).split()) <= 4, "one in flight, and three"
    await key.finish()
    assert key.believed == key.truth
    spoken = [identifier for identifier in key.sent if not identifier.endswith("-again")]
    assert spoken == sorted(spoken), "nothing overtakes"
    assert sum(identifier.endswith("-again") for identifier in set(key.sent)) <= key.lost


class _Key:
    """The truth, what the destination believes, and the outbox between them."""

    def __init__(self, box: Outbox) -> None:
        self.box = box
        self.now = 0
        self.number = 0
        self.truth: World = None
        self.believed: World = None
        self.sent: list[str] = []
        self.lost = 0

    async def live(self, step: str) -> None:
        match step:
            case "open" if self.truth is None and self.number < 9:
                self.number += 1
                await self.say(f"A{self.number}")
            case "reopen" if self.truth is None and self.number:
                await self.say(f"A{self.number}")
            case "change" if self.truth is not None:
                await self.say(f"A{self.number}" + ("" if self.truth[1].endswith("+") else "+"))
            case "close" if self.truth is not None:
                await self.say(f"R{self.number}")
            case "crash":
                self.lost += len(await self.box.claim(at=self.now, most=1))
                now = moment(self.now)
                await self.box.store.write(lambda connection: dispatch.recover(connection, now=now))
            case "wait":
                self.now += 7
            case "arrives" | "fails" | "lands" | "breaks" | "is lost":
                await self.send(step)
            case _:
                pass

    async def say(self, text: str) -> None:
        self.truth = (f"k-{self.number}", text) if text[0] == "A" else None
        await self.box.post(text, at=self.now)

    async def send(self, outcome: str) -> bool:
        claims = await self.box.claim(at=self.now, most=1)
        for claim in claims:
            self.sent.append(claim.id)
            if outcome in {"arrives", "lands", "breaks"}:
                alarm = claim.action is Action.ALARMED
                self.believed = (claim.incident, str(claim.payload["text"])) if alarm else None
            match outcome:
                case "arrives":
                    await self.box.settle(claim, at=self.now)
                case "breaks":
                    await self.box.settle(claim, broke(self.now + 3), at=self.now)
                case "fails":
                    await self.box.settle(claim, failed(self.now + 3), at=self.now)
                case _:
                    self.lost += 1
                    await self.box.settle(claim, lost(self.now + 3), at=self.now)
        return bool(claims)

    async def finish(self) -> None:
        while await self.box.waiting():
            await self.send("arrives")
            self.now += 1


async def test_an_update_that_says_what_was_said_last_is_not_sent(box: Outbox) -> None:
    await box.post("A1")
    await box.send()
    await box.post("A1+ A1", news=False)
    assert await box.send() == [], "the texts went to and fro before the second could be sent"
