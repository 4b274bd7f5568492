from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertbridge.deliver.breaker import WINDOW, Breaker, Tripping, counted, span
from tests.support.clock import NOON

SECOND = timedelta(seconds=1)
TRIPPING = Tripping(failures=10, longest=timedelta(minutes=2))
CHANCE = st.floats(0, 1, exclude_max=True)
ATTEMPTS = st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=60)


def attempt(breaker: Breaker, *, at: float, failed: bool, probe: bool = False) -> Breaker:
    return counted(
        breaker,
        "503" if failed else "",
        probe=probe,
        now=NOON + at * SECOND,
        tripping=TRIPPING,
        random=0.5,
    )


def attempts(*outcomes: bool, every: float = 1) -> Breaker:
    breaker = Breaker()
    for number, failed in enumerate(outcomes):
        breaker = attempt(breaker, at=number * every, failed=failed)
    return breaker


@pytest.mark.parametrize(
    ("outcomes", "every", "opens"),
    [
        ([True] * 9, 1, False),
        ([True] * 10, 1, True),
        ([False] * 10 + [True] * 9, 1, False),
        ([False] * 10 + [True] * 10, 1, True),
        ([False] * 11 + [True] * 10, 1, False),
        ([True] * 10, 5, True),
        ([True] * 30, 8, False),  # never ten in a minute
        ([True, False, False] * 30, 0.1, False),  # a third
    ],
)
def test_it_opens_at_so_many_failures_within_a_minute_if_they_are_half_of_all(
    outcomes: list[bool], every: float, *, opens: bool
) -> None:
    assert (attempts(*outcomes, every=every).opened is not None) is opens


@given(ATTEMPTS)
def test_it_is_as_if_everything_of_the_last_minute_were_counted_but_for_a_slot(
    steps: list[tuple[int, bool]],
) -> None:
    breaker, now = Breaker(), 0
    seen: list[tuple[int, bool]] = []
    for wait, failed in steps:
        now += wait
        breaker = attempt(breaker, at=now, failed=failed)
        seen.append((now, failed))
        minute = [bad for at, bad in seen if at > now - 60]
        if breaker.opened is not None:
            assert sum(minute) >= 10, "never without so many failures"
            return
        assert len(breaker.slots) <= 13
        shorter = [bad for at, bad in seen if at > now - 55]
        worst = sum(shorter) >= 10 and failed and 2 * sum(shorter) >= len(minute)
        assert not worst, "never missed"


def test_while_it_is_open_only_a_probe_counts() -> None:
    opened = attempts(*[True] * 10)
    assert opened.opened is not None
    assert attempt(opened, at=10, failed=False) == opened
    assert attempt(opened, at=30, failed=True) == opened
    assert attempt(opened, at=30, failed=False, probe=True) == Breaker()


def test_each_probe_that_fails_keeps_it_open_for_longer() -> None:
    breaker, at = attempts(*[True] * 10), 9.0
    spans = []
    for _ in range(8):
        assert breaker.opened is not None
        spans.append(breaker.opened.until - NOON - at * SECOND)
        at = (breaker.opened.until - NOON) / SECOND
        breaker = attempt(breaker, at=at, failed=True, probe=True)
    assert breaker.opened is not None
    assert breaker.opened.since == NOON + 9 * SECOND
    assert spans == [n * 0.75 * SECOND for n in (5, 10, 20, 40, 80, 120, 120, 120)]


@given(st.integers(1, 10**9), st.timedeltas(SECOND, timedelta(days=1)), CHANCE)
def test_it_stays_open_for_half_to_all_of_a_span_that_has_a_bound(
    times: int, longest: timedelta, random: float
) -> None:
    found = span(times, longest=longest, random=random)
    assert min(longest, 5 * SECOND) / 2 <= found <= longest
    assert span(times, longest=longest, random=0) <= found


def test_a_clock_that_was_set_back_leaves_nothing_counted() -> None:
    breaker = attempts(*[True] * 9)
    back = attempt(breaker, at=-3600, failed=True)
    assert back.opened is None
    assert sum(slot.tried for slot in back.slots) == 1
    assert timedelta(minutes=1) == WINDOW
