from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from alertbridge.deliver.width import Width
from tests.support.clock import NOON

SECOND = timedelta(seconds=1)
MOST = st.integers(1, 64)
# Each attempt: how long it took, and whether it went well.
LIVES = st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=200)


def live(most: int, life: list[tuple[int, bool]]) -> list[Width]:
    width, seen = Width(), [Width()]
    for now, (took, good) in enumerate(life):
        started_at = NOON + (now - took) * SECOND
        if good:
            width = width.widened(most=most, started_at=started_at)
        else:
            width = width.narrowed(most=most, started_at=started_at, now=NOON + now * SECOND)
        seen.append(width)
    return seen


@given(MOST, LIVES)
def test_it_is_always_from_one_to_what_is_configured(most: int, life: list[tuple[int, bool]]) -> None:
    assert all(1 <= width.within(most) <= most for width in live(most, life))


@given(MOST, LIVES)
def test_a_failure_at_most_halves_it_and_a_success_adds_at_most_one(
    most: int, life: list[tuple[int, bool]]
) -> None:
    seen = [width.within(most) for width in live(most, life)]
    for (before, after), (_, good) in zip(pairwise(seen), life, strict=True):
        assert after - before in (0, 1) if good else after in (before, max(1, before // 2))


@given(st.integers(2, 64), st.integers(1, 10))
def test_it_takes_a_round_of_successes_to_make_it_one_more_and_it_comes_back_whole(
    most: int, cuts: int
) -> None:
    width, now = Width(), NOON
    for _ in range(cuts):
        now += SECOND
        width = width.narrowed(most=most, started_at=now, now=now)
    low = width.within(most)
    assert low == max(1, most >> cuts)
    for level in range(low, most):
        assert width.within(most) == level
        for _ in range(level):
            width = width.widened(most=most, started_at=now)
    assert width == Width()


def test_what_was_in_flight_when_it_was_halved_does_not_halve_it_again() -> None:
    width = Width().narrowed(most=16, started_at=NOON, now=NOON + SECOND)
    assert width.within(16) == 8
    assert width.narrowed(most=16, started_at=NOON, now=NOON + 2 * SECOND) == width
    assert width.narrowed(most=16, started_at=NOON + 1.5 * SECOND, now=NOON + 2 * SECOND).within(16) == 4


def test_it_keeps_to_a_configured_limit_that_has_been_lowered() -> None:
    width = Width().narrowed(most=16, started_at=NOON, now=NOON)
    assert width.within(4) == 4
