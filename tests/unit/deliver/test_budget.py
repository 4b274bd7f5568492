from __future__ import annotations

from bisect import insort
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertbridge.deliver.budget import RateLimit, available, next_start

NOW = datetime(2025, 9, 22, 11, 15, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
TICK = timedelta(microseconds=1)

LIMITS = st.builds(
    RateLimit,
    requests=st.integers(1, 8),
    per=st.integers(1, 40).map(lambda ticks: ticks * TICK),
    burst=st.integers(1, 10),
)
# How long after each start, or after it became allowed, somebody has something to send.
IDLE = st.lists(st.one_of(st.just(0), st.integers(0, 60)), max_size=40)


def busy(limit: RateLimit, idle: list[int]) -> list[datetime]:
    """Starts as early as allowed, each after its share of idleness."""
    starts: list[datetime] = []
    now = NOW
    for ticks in idle:
        now = next_start(limit, starts, now + ticks * TICK)
        starts.append(now)
    return starts


def tokens(limit: RateLimit, starts: list[datetime], now: datetime) -> Fraction:
    """The reference for bursts: a bucket of `burst` tokens, refilled evenly, exact."""
    level, last = Fraction(limit.burst), NOW
    for instant in [*starts, now]:
        refilled = Fraction((instant - last) // TICK * limit.requests, limit.per // TICK)
        level, last = min(Fraction(limit.burst), level + refilled), instant
        if instant is not now:
            level -= 1
    return level


def allowed(limit: RateLimit, starts: list[datetime], now: datetime) -> bool:
    """The reference: one more start at `now` breaks neither rule."""
    inside = [start for start in starts if start > now - limit.per]
    return len(inside) < limit.requests and tokens(limit, starts, now) >= 1


@given(LIMITS, IDLE, st.integers(0, 60))
def test_the_next_start_is_the_first_instant_that_breaks_no_rule(
    limit: RateLimit, idle: list[int], later: int
) -> None:
    starts = busy(limit, idle)
    now = (starts[-1] if starts else NOW) + later * TICK
    expected = now
    while not allowed(limit, starts, expected):
        expected += TICK
    assert next_start(limit, starts, now) == expected


@given(LIMITS, IDLE)
def test_no_window_ever_holds_more_than_the_limit(limit: RateLimit, idle: list[int]) -> None:
    starts = busy(limit, idle)
    for first, start in enumerate(starts):
        window = [other for other in starts[first:] if other < start + limit.per]
        assert len(window) <= limit.requests


@given(LIMITS, IDLE)
def test_no_more_than_a_burst_goes_back_to_back(limit: RateLimit, idle: list[int]) -> None:
    starts = busy(limit, idle)
    for index, start in enumerate(starts):
        assert tokens(limit, starts[:index], start) >= 1
        assert starts.count(start) <= min(limit.burst, limit.requests)


@given(LIMITS, st.integers(0, 30))
def test_a_busy_destination_reaches_the_full_rate(limit: RateLimit, before: int) -> None:
    limit = replace(limit, per=limit.per * 1_000)
    starts = busy(limit, [before, *[0] * (limit.requests * 12)])
    rounding = len(starts) * TICK
    assert starts[-1] - starts[0] <= 12 * limit.per + rounding


@given(LIMITS, IDLE, st.integers(0, 60))
def test_starts_older_than_a_window_do_not_matter(limit: RateLimit, idle: list[int], later: int) -> None:
    starts = busy(limit, idle)
    now = (starts[-1] if starts else NOW) + later * TICK
    recent = [start for start in starts if start > now - limit.per]
    assert next_start(limit, recent, now) == next_start(limit, starts, now)
    assert available(limit, recent, now) == available(limit, starts, now)


@given(LIMITS, IDLE, st.integers(0, 60))
def test_as_many_are_available_as_can_start_one_after_the_other(
    limit: RateLimit, idle: list[int], later: int
) -> None:
    starts = busy(limit, idle)
    now = (starts[-1] if starts else NOW) + later * TICK
    promised = available(limit, starts, now)
    for _ in range(promised):
        assert next_start(limit, starts, now) == now
        starts.append(now)
    assert next_start(limit, starts, now) > now


@given(LIMITS, st.lists(st.integers(-200, 200)))
def test_starts_that_broke_the_limit_are_forgiven_after_a_window(
    limit: RateLimit, offsets: list[int]
) -> None:
    starts: list[datetime] = []
    for ticks in offsets:
        insort(starts, NOW + ticks * TICK)
    real = [start for start in starts if start <= NOW + limit.per]
    assert NOW <= next_start(limit, starts, NOW) <= max([NOW, *real]) + limit.per
    assert 0 <= available(limit, starts, NOW) <= min(limit.burst, limit.requests)


def test_the_example_of_the_documentation() -> None:
    limit = RateLimit(requests=60, per=300 * SECOND, burst=20)
    starts: list[datetime] = []
    for _ in range(80):
        starts.append(next_start(limit, starts, NOW))
    seconds = [(start - NOW) / SECOND for start in starts]
    assert seconds[:20] == [0] * 20
    assert seconds[20:60] == [5 * each for each in range(1, 41)]
    assert seconds[60:] == [300] * 20
    assert available(limit, [], NOW) == 20
    assert available(limit, starts[:20], NOW) == 0
    assert available(limit, starts[:20], NOW + 12 * SECOND) == 2


def test_even_spacing_is_not_rounded() -> None:
    limit = RateLimit(requests=3, per=timedelta(seconds=1), burst=1)
    starts = busy(limit, [0] * 4)
    assert [(start - NOW) // TICK for start in starts] == [0, 333_334, 666_668, 1_000_002]
    assert available(limit, starts[:1], NOW + 333_333 * TICK) == 0
    assert available(limit, starts[:1], NOW + 333_334 * TICK) == 1


def test_a_clock_set_back_does_not_stop_the_destination_for_long() -> None:
    limit = RateLimit(requests=1, per=timedelta(minutes=5), burst=1)
    assert next_start(limit, [NOW + timedelta(hours=1)], NOW) == NOW
    assert next_start(limit, [NOW + SECOND], NOW) == NOW + SECOND + limit.per


@pytest.mark.parametrize(("requests", "per", "burst"), [(0, SECOND, 1), (1, SECOND, 0), (1, timedelta(), 1)])
def test_a_limit_that_allows_nothing_is_refused(requests: int, per: timedelta, burst: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        RateLimit(requests, per, burst)
