"""A window holds by the clock on the wall of its time zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertbridge.rules.window import DAYS, WHOLE_DAY, Hours, Window

BERLIN = ZoneInfo("Europe/Berlin")
EVERY_DAY = frozenset(range(7))
WORKDAYS = frozenset(range(5))
OFFICE = Window(WORKDAYS, (Hours(8 * 60, 18 * 60),), BERLIN)
NIGHT = Window(WORKDAYS, (Hours(22 * 60, 6 * 60),), BERLIN)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("window", "at", "holds"),
    [
        (OFFICE, "2026-01-05T08:00:00+01:00", True),  # a Monday
        (OFFICE, "2026-01-05T07:59:59+01:00", False),
        (OFFICE, "2026-01-05T17:59:59.999999+01:00", True),
        (OFFICE, "2026-01-05T18:00:00+01:00", False),
        (OFFICE, "2026-01-05T07:00:00Z", True),
        (OFFICE, "2026-07-06T06:00:00Z", True),  # in summer an hour earlier by UTC
        (OFFICE, "2026-01-05T06:00:00Z", False),
        (OFFICE, "2026-01-04T12:00:00+01:00", False),  # a Sunday
        (OFFICE, "2026-01-04T23:30:00-10:00", True),  # Monday, 10:30 in Berlin
        (NIGHT, "2026-01-09T22:00:00+01:00", True),  # Friday evening
        (NIGHT, "2026-01-10T05:59:00+01:00", True),  # still Friday's night
        (NIGHT, "2026-01-10T06:00:00+01:00", False),
        (NIGHT, "2026-01-10T22:30:00+01:00", False),  # Saturday's does not begin
        (NIGHT, "2026-01-05T05:00:00+01:00", False),  # Sunday's would reach into Monday
        (Window(frozenset([6]), (Hours(22 * 60, 6 * 60),), UTC), "2026-01-05T05:00:00Z", True),
        (Window(frozenset([5]), (Hours(18 * 60, 24 * 60),), UTC), "2026-01-10T23:59:59Z", True),
        (Window(frozenset([5]), (Hours(18 * 60, 24 * 60),), UTC), "2026-01-11T00:00:00Z", False),
        (Window(frozenset([5]), (Hours(18 * 60, 0),), UTC), "2026-01-11T00:00:00Z", False),
        (Window(frozenset([5]), (WHOLE_DAY,), BERLIN), "2026-01-09T23:00:00Z", True),
    ],
)
def test_a_window_holds_by_the_clock_of_its_zone(window: Window, at: str, *, holds: bool) -> None:
    assert window.holds(moment(at)) is holds


def test_where_the_clock_goes_back_the_hour_holds_twice_and_where_it_goes_forward_not_at_all() -> None:
    small_hours = Window(EVERY_DAY, (Hours(2 * 60, 3 * 60),), BERLIN)
    autumn = [moment("2026-10-25T00:00:00Z") + timedelta(minutes=step) for step in range(180)]
    spring = [moment("2026-03-29T00:00:00Z") + timedelta(minutes=step) for step in range(180)]

    assert sum(map(small_hours.holds, autumn)) == 120
    assert sum(map(small_hours.holds, spring)) == 0


_HOURS = st.builds(Hours, st.integers(0, 1439), st.integers(0, 1440)).filter(
    lambda hours: hours.begin != hours.end
)
_WINDOWS = st.builds(
    Window,
    st.frozensets(st.integers(0, 6), min_size=1),
    st.lists(_HOURS, min_size=1, max_size=3).map(tuple),
    st.sampled_from([UTC, BERLIN, ZoneInfo("America/St_Johns"), ZoneInfo("Pacific/Chatham")]),
)


@given(_WINDOWS, st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - the zone is said beside it
def test_a_window_agrees_with_every_minute_of_its_week_written_out(window: Window, at: datetime) -> None:
    minutes = {
        (day * 1440 + minute) % (7 * 1440)
        for day in window.days
        for hours in window.hours
        for minute in range(hours.begin, hours.end + (1440 if hours.end <= hours.begin else 0))
    }
    local = at.astimezone(window.zone)
    assert window.holds(at) is (local.weekday() * 1440 + local.hour * 60 + local.minute in minutes)


@pytest.mark.parametrize(
    ("window", "written"),
    [
        (OFFICE, "mon-fri 08:00-18:00 Europe/Berlin"),
        (Window(frozenset([4, 5, 6, 0]), (WHOLE_DAY,), UTC), "fri-mon UTC"),
        (Window(frozenset([0, 2, 3, 6]), (WHOLE_DAY,), UTC), "sun-mon, wed-thu UTC"),
        (Window(EVERY_DAY, (Hours(1320, 360), Hours(720, 1440)), UTC), "22:00-06:00, 12:00-24:00 UTC"),
        (Window(EVERY_DAY, (WHOLE_DAY,), UTC), "every day UTC"),
        (Window(frozenset([1]), (WHOLE_DAY,), UTC), "tue UTC"),
    ],
)
def test_a_window_is_written_in_few_words(window: Window, written: str) -> None:
    assert window.written() == written


def test_what_the_clock_shows_is_told_with_day_and_zone() -> None:
    assert OFFICE.clock(moment("2026-01-04T23:30:00Z")) == "mon 00:30 Europe/Berlin"
    assert DAYS[0] == "mon"
