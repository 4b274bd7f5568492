from __future__ import annotations

from datetime import timedelta

from alertbridge.deliver.standing import Pause, Standing, after
from alertbridge.model import Delivered, Outcome, Paused, Rejected, Retry
from tests.support.clock import NOON

MINUTE = timedelta(minutes=1)


def judge(
    standing: Standing, outcome: Outcome, *, started: float = 0, at: float = 0, key: str = "k"
) -> Standing:
    return after(
        standing,
        outcome,
        key=key,
        started_at=NOON + started * MINUTE,
        now=NOON + at * MINUTE,
        reject_limit=3,
        probe_interval=2 * MINUTE,
    )[0]


PAUSED = Standing(Pause("rate_limited", "429", NOON, NOON + 60 * MINUTE))


def test_a_pause_lasts_as_long_as_was_asked_for() -> None:
    standing = judge(Standing(), Paused("rate_limited", "429", 60 * MINUTE))
    assert standing == PAUSED
    assert not standing.may_send(NOON + 59 * MINUTE)
    assert standing.may_send(NOON + 60 * MINUTE)


def test_a_late_answer_makes_a_pause_longer_but_never_shorter() -> None:
    assert judge(PAUSED, Paused("unavailable", "503", MINUTE), at=1) == PAUSED
    longer = judge(PAUSED, Paused("rate_limited", "429", 90 * MINUTE), at=1)
    assert longer.pause is not None
    assert longer.pause.until == NOON + 91 * MINUTE


def test_what_was_in_flight_neither_ends_nor_prolongs_a_pause() -> None:
    for outcome in (Delivered(), Retry("503"), Rejected("400")):
        assert judge(PAUSED, outcome, at=1).pause == PAUSED.pause


def test_a_probe_that_arrives_or_is_refused_ends_the_pause() -> None:
    for outcome in (Delivered(), Rejected("400")):
        assert judge(PAUSED, outcome, started=60, at=60).pause is None


def test_a_probe_that_fails_prolongs_the_pause_which_keeps_its_beginning() -> None:
    pause = judge(PAUSED, Retry("503"), started=60, at=61).pause
    assert pause is not None
    assert (pause.since, pause.until) == (NOON, NOON + 63 * MINUTE)


def test_refusals_of_one_key_alone_pause_nothing() -> None:
    standing = Standing()
    for _ in range(5):
        standing = judge(standing, Rejected("400"))
    assert standing.pause is None


def test_something_delivered_breaks_the_run_of_refusals() -> None:
    standing = Standing()
    for key in "ab":
        standing = judge(standing, Rejected("400"), key=key)
    standing = judge(standing, Delivered())
    assert judge(standing, Rejected("400"), key="c").pause is None
