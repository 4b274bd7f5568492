"""The clock that the daemon goes by, whatever is done to the machine's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertbridge.clock import Continuity, SystemClock
from tests.support.clock import NOON, ManualClock

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Machine:
    """A machine whose clock can be set, and which can sleep."""

    def __init__(self) -> None:
        self.wall = NOON
        self.lived = 0.0

    def live(self, span: timedelta) -> None:
        self.wall += span
        self.lived += span.total_seconds()

    def clock(self) -> SystemClock:
        return SystemClock(wall=lambda: self.wall, monotonic=lambda: self.lived)


def test_it_tells_what_the_machine_tells() -> None:
    machine = Machine()
    clock = machine.clock()
    assert clock.now() == NOON
    machine.live(HOUR)
    assert (clock.now(), clock.ahead()) == (NOON + HOUR, timedelta(0))


def test_set_forward_it_follows_at_once() -> None:
    machine = Machine()
    clock = machine.clock()
    clock.now()
    machine.wall += HOUR
    assert clock.now() == NOON + HOUR


@pytest.mark.parametrize("back", [timedelta(milliseconds=3), HOUR, DAY])
def test_set_back_it_goes_on_and_is_caught_up(back: timedelta) -> None:
    machine = Machine()
    clock = machine.clock()
    clock.now()
    machine.wall -= back
    assert (clock.now(), clock.ahead()) == (NOON, back)
    machine.live(timedelta(minutes=10))
    assert clock.now() >= NOON + timedelta(minutes=9) - timedelta(microseconds=1)
    machine.live(10 * back)
    assert (clock.now(), clock.ahead()) == (machine.wall, timedelta(0))


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["live", "set", "sleep"]),
            st.integers(-3 * 86400, 3 * 86400),
            st.integers(0, 4000),
        )
    )
)
def test_it_never_goes_back_and_never_stands_still(steps: list[tuple[str, int, int]]) -> None:
    machine = Machine()
    clock = machine.clock()
    told = clock.now()
    for kind, seconds, lived in steps:
        if kind == "set":
            machine.wall += timedelta(seconds=seconds)
            clock.now()
        elif kind == "sleep":
            machine.wall += timedelta(seconds=abs(seconds))
        before = clock.now()
        machine.live(timedelta(seconds=lived))
        assert clock.now() - before >= 0.9 * timedelta(seconds=lived) - timedelta(microseconds=1)
        assert clock.now() >= told
        told = clock.now()


def test_a_later_run_goes_on_from_where_the_last_one_was() -> None:
    clock = Machine().clock()
    assert clock.resume(NOON + DAY)
    assert (clock.now(), clock.ahead()) == (NOON + DAY, DAY)
    assert clock.resume(NOON)
    assert clock.now() == NOON + DAY


def test_an_instant_that_is_days_ahead_was_a_mistake() -> None:
    clock = Machine().clock()
    assert not clock.resume(NOON + timedelta(days=700))
    assert clock.now() == NOON


def test_what_was_not_lived_through_is_noticed_once() -> None:
    clock = ManualClock()
    continuity = Continuity(clock)
    clock.advance(HOUR)
    assert not continuity.missed()
    clock.set_forward(HOUR)
    assert continuity.missed() == HOUR
    assert not continuity.missed()
    clock.set_forward(timedelta(seconds=2))
    assert not continuity.missed()


def test_the_clock_of_this_machine_is_aware() -> None:
    assert abs(SystemClock().now() - datetime.now(UTC)) < timedelta(seconds=5)
