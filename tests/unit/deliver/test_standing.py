from __future__ import annotations

from datetime import timedelta

from alertbridge.deliver.budget import RateLimit
from alertbridge.deliver.standing import Pause, Standing, Terms, after
from alertbridge.model import Ambiguous, Delivered, Outcome, Paused, Rejected, Retry
from tests.support.clock import NOON

MINUTE = timedelta(minutes=1)
TERMS = Terms(reject_limit=3, probe_interval=2 * MINUTE)


def judge(
    standing: Standing,
    outcome: Outcome,
    *,
    started: float = 0,
    at: float = 0,
    key: str = "k",
    used_up: timedelta | None = None,
    terms: Terms = TERMS,
) -> Standing:
    return after(
        standing,
        outcome,
        key=key,
        started_at=NOON + started * MINUTE,
        now=NOON + at * MINUTE,
        terms=terms,
        used_up=used_up,
    )[0]


PAUSED = Standing(Pause("rate_limited", "429", NOON, NOON + 60 * MINUTE))


def test_a_pause_lasts_as_long_as_was_asked_for() -> None:
    standing = judge(Standing(), Paused("rate_limited", "429", 60 * MINUTE))
    assert standing.pause == PAUSED.pause
    assert not standing.may_send(NOON + 59 * MINUTE)
    assert standing.may_send(NOON + 60 * MINUTE)


def test_a_late_answer_makes_a_pause_longer_but_never_shorter() -> None:
    assert judge(PAUSED, Paused("unavailable", "503", MINUTE), at=1).pause == PAUSED.pause
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


def failing() -> Standing:
    standing = Standing()
    for _ in range(TERMS.failure_limit):
        standing = judge(standing, Retry("503"))
    return standing


def test_many_failures_open_the_breaker_which_lets_one_probe_go_when_its_time_has_run_out() -> None:
    standing = failing()
    assert standing.pause is None, "it is failing and not paused: that time counts to the age of what waits"
    assert standing.obstacle is not None
    assert standing.obstacle.reason == "breaker"
    assert "10 of the last 10 attempts failed within a minute; the last: 503" in standing.obstacle.detail
    assert standing.room(NOON, most=4, flying=0) == 0
    later = standing.obstacle.until
    assert standing.room(later, most=4, flying=0) == 1
    assert standing.room(later, most=4, flying=1) == 0


def test_a_probe_that_is_taken_or_refused_closes_the_breaker_and_one_that_fails_does_not() -> None:
    for outcome in (Delivered(), Rejected("400")):
        assert judge(failing(), outcome, started=1, at=1).obstacle is None
    for failure in (Retry("503"), Ambiguous("no answer")):
        again = judge(failing(), failure, started=1, at=1).obstacle
        assert again is not None
        assert again.until > NOON + MINUTE
        assert again.since == NOON


def test_a_pause_takes_the_place_of_an_open_breaker_and_leaves_none_behind() -> None:
    paused = judge(failing(), Paused("unauthorized", "401"), started=1, at=1)
    assert paused.obstacle == paused.pause
    assert paused.pause is not None
    assert judge(paused, Delivered(), started=3, at=3).obstacle is None


def test_a_quota_that_is_used_up_holds_everything_back_and_ends_without_a_probe() -> None:
    standing = judge(Standing(), Delivered(), used_up=5 * MINUTE)
    assert standing.pause is not None
    assert (standing.pause.reason, standing.pause.until) == ("quota", NOON + 5 * MINUTE)
    assert not standing.lapsed(NOON + 4.9 * MINUTE)
    assert standing.lapsed(NOON + 5 * MINUTE)
    assert not PAUSED.lapsed(NOON + 60 * MINUTE)


def test_a_quota_makes_no_longer_pause_shorter() -> None:
    assert judge(PAUSED, Delivered(), at=1, used_up=MINUTE).pause == PAUSED.pause


def test_a_429_teaches_the_budget_once_and_a_probe_teaches_nothing() -> None:
    limit = RateLimit(60, 5 * MINUTE, 20)
    terms = Terms(rate_limit=limit)
    first = judge(Standing(), Paused("rate_limited", "429", 2 * MINUTE), at=1, terms=terms)
    assert first.lesson is not None
    assert first.lesson.allowed == 30
    for started in (0.5, 3):  # in flight when the first came; a probe
        again = judge(first, Paused("rate_limited", "429", MINUTE), started=started, at=3, terms=terms)
        assert again.lesson is not None
        assert again.lesson.allowed == 30


def test_credentials_that_are_refused_say_nothing_of_how_much_the_destination_bears() -> None:
    assert judge(Standing(), Paused("unauthorized", "401")).width.within(4) == 4
    for outcome in (Retry("503"), Ambiguous("no answer"), Paused("rate_limited", "429")):
        assert judge(Standing(), outcome).width.within(4) == 2


def test_to_be_freed_forgets_everything_but_what_a_429_has_taught() -> None:
    terms = Terms(rate_limit=RateLimit(60, 5 * MINUTE, 20))
    standing = judge(Standing(), Paused("rate_limited", "429"), terms=terms)
    assert standing.lesson is not None
    assert standing.freed() == Standing(lesson=standing.lesson)


def test_what_was_in_flight_when_the_breaker_opened_neither_closes_it_nor_keeps_it_open() -> None:
    opened = failing()
    for outcome in (Delivered(), Retry("503")):
        assert judge(opened, outcome, started=0, at=1).breaker == opened.breaker


def test_a_clock_that_was_set_back_strands_no_destination() -> None:
    for standing in (PAUSED, failing()):
        assert not standing.may_send(NOON - MINUTE)
        assert standing.may_send(NOON - 61 * MINUTE)
        assert judge(standing, Delivered(), started=-61, at=-61).obstacle is None
