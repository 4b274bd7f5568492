from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from alertbridge.deliver.budget import RateLimit, next_start
from alertbridge.deliver.learning import Lesson, effective, next_rise, taught
from tests.support.clock import NOON

MINUTE = timedelta(minutes=1)
LIMIT = RateLimit(60, 5 * MINUTE, 20)
LIMITS = st.builds(
    lambda requests, minutes, burst: RateLimit(requests, minutes * MINUTE, min(burst, requests)),
    st.integers(1, 100),
    st.integers(1, 10),
    st.integers(1, 100),
)
# Each 429: how many minutes after the last, how long its attempt had taken, whether it was a probe.
HISTORY = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 5), st.booleans()), max_size=30)


def learn(limit: RateLimit, history: list[tuple[int, int, bool]]) -> tuple[Lesson | None, datetime]:
    lesson, now = None, NOON
    for minutes, took, probe in history:
        now += minutes * MINUTE
        lesson = taught(limit, lesson, started_at=now - took * MINUTE, now=now, probe=probe)
    return lesson, now


@given(LIMITS, HISTORY, st.timedeltas(timedelta(days=-2), timedelta(days=2)))
def test_whatever_was_learned_the_budget_is_never_above_what_is_configured_nor_nothing(
    limit: RateLimit, history: list[tuple[int, int, bool]], later: timedelta
) -> None:
    lesson, now = learn(limit, history)
    held = effective(limit, lesson, now + later)
    assert 1 <= held.requests <= limit.requests
    assert 1 <= held.burst <= limit.burst
    assert held.per == limit.per


@given(LIMITS, HISTORY)
def test_windows_without_a_429_give_everything_back_little_by_little(
    limit: RateLimit, history: list[tuple[int, int, bool]]
) -> None:
    lesson, now = learn(limit, history)
    windows = [effective(limit, lesson, now + n * limit.per).requests for n in range(limit.requests + 1)]
    assert windows == sorted(windows)
    assert windows[-1] == limit.requests
    steps = {after - before for before, after in pairwise(windows)}
    assert all(0 <= step <= max(1, limit.requests // 10) for step in steps)


@given(LIMITS, HISTORY, st.lists(st.timedeltas(timedelta(), 10 * MINUTE), max_size=60))
def test_with_lessons_in_between_no_window_holds_more_than_what_is_configured(
    limit: RateLimit, history: list[tuple[int, int, bool]], idle: list[timedelta]
) -> None:
    starts: list[datetime] = []
    lesson, now = None, NOON
    for number, wait in enumerate(idle):
        now = next_start(effective(limit, lesson, now), starts, now + wait)
        starts.append(now)
        if number < len(history) and history[number][0] % 3 == 0:
            lesson = taught(limit, lesson, started_at=now, now=now, probe=history[number][2])
    for first, start in enumerate(starts):
        assert len([other for other in starts[first:] if other < start + limit.per]) <= limit.requests


def test_a_429_halves_the_budget_and_its_burst_and_each_quiet_window_gives_a_tenth_back() -> None:
    lesson = taught(LIMIT, None, started_at=NOON, now=NOON, probe=False)
    assert effective(LIMIT, lesson, NOON) == RateLimit(30, 5 * MINUTE, 10)
    shown = [effective(LIMIT, lesson, NOON + n * 5 * MINUTE).requests for n in range(7)]
    assert shown == [30, 36, 42, 48, 54, 60, 60]


def test_it_never_falls_below_a_tenth() -> None:
    lesson, _ = learn(LIMIT, [(1, 0, False)] * 20)
    assert lesson is not None
    assert lesson.allowed == 6


def test_several_429s_at_once_are_one_lesson() -> None:
    first = taught(LIMIT, None, started_at=NOON, now=NOON + MINUTE, probe=False)
    assert taught(LIMIT, first, started_at=NOON, now=NOON + MINUTE, probe=False).allowed == 30
    assert (
        taught(LIMIT, first, started_at=NOON + 2 * MINUTE, now=NOON + 2 * MINUTE, probe=False).allowed == 15
    )


def test_a_probe_lowers_nothing_but_lets_the_quiet_windows_begin_anew() -> None:
    first = taught(LIMIT, None, started_at=NOON, now=NOON, probe=False)
    again = taught(LIMIT, first, started_at=NOON + 4 * MINUTE, now=NOON + 4 * MINUTE, probe=True)
    assert again == Lesson(LIMIT, 30, NOON + 4 * MINUTE)


def test_another_limit_begins_without_what_was_learned_of_this_one() -> None:
    lesson = taught(LIMIT, None, started_at=NOON, now=NOON, probe=False)
    other = RateLimit(90, 5 * MINUTE, 20)
    assert effective(other, lesson, NOON) == other
    assert taught(other, lesson, started_at=NOON, now=NOON + MINUTE, probe=False).allowed == 45


def test_it_is_known_when_more_is_allowed_again() -> None:
    lesson = taught(LIMIT, None, started_at=NOON, now=NOON, probe=False)
    now, rises = NOON, 0
    while (rise := next_rise(LIMIT, lesson, now)) is not None:
        before = effective(LIMIT, lesson, rise - timedelta(microseconds=1)).requests
        assert before == effective(LIMIT, lesson, now).requests
        assert effective(LIMIT, lesson, rise).requests > before
        now, rises = rise, rises + 1
    assert rises == 5
    assert effective(LIMIT, lesson, now) == LIMIT
    assert next_rise(LIMIT, None, NOON) is None


def test_a_clock_that_was_set_back_by_more_than_a_window_forgets_it() -> None:
    lesson = taught(LIMIT, None, started_at=NOON, now=NOON, probe=False)
    assert effective(LIMIT, lesson, NOON - timedelta(days=1)) == LIMIT
