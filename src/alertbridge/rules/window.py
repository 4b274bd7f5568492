"""Time windows by wall clock: on which days, between which hours, in whose time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo

_MINUTES_OF_DAY = 24 * 60
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Hours:
    """From `begin` until just before `end`, in minutes of the day; an `end` that is not after it lies on the next day."""

    begin: int
    end: int


WHOLE_DAY = Hours(0, _MINUTES_OF_DAY)


@dataclass(frozen=True, slots=True)
class Window:
    """Some hours of some days, Monday being 0. Hours that cross midnight belong to the day on which they begin."""

    days: frozenset[int]
    hours: tuple[Hours, ...]
    zone: tzinfo

    def holds(self, at: datetime) -> bool:
        """Whether a clock on the wall there and then shows a time within the window."""
        local = at.astimezone(self.zone)
        today = local.weekday()
        minute = local.hour * 60 + local.minute
        return any(self._holds(hours, today, minute) for hours in self.hours)

    def _holds(self, hours: Hours, today: int, minute: int) -> bool:
        if hours.begin < hours.end:
            return today in self.days and hours.begin <= minute < hours.end
        yesterday = (today - 1) % len(DAYS)
        return (today in self.days and minute >= hours.begin) or (
            yesterday in self.days and minute < hours.end
        )

    def clock(self, at: datetime) -> str:
        """What that clock shows: `sun 01:45 Europe/Berlin`."""
        local = at.astimezone(self.zone)
        return f"{DAYS[local.weekday()]} {local:%H:%M} {self.zone}"

    def written(self) -> str:
        """The window on one line: `mon-fri 08:00-18:00 Europe/Berlin`."""
        days = "" if len(self.days) == len(DAYS) else f"{_days(self.days)} "
        hours = "" if self.hours == (WHOLE_DAY,) else f"{', '.join(map(_hours, self.hours))} "
        return f"{days or ('' if hours else 'every day ')}{hours}{self.zone}"


def _days(days: frozenset[int]) -> str:
    """The days as few ranges, which may go on from Sunday to Monday."""
    ranges: list[list[int]] = []
    for day in sorted(days):
        if ranges and ranges[-1][-1] == day - 1:
            ranges[-1].append(day)
        else:
            ranges.append([day])
    if len(ranges) > 1 and ranges[0][0] == 0 and ranges[-1][-1] == len(DAYS) - 1:
        ranges[0] = ranges.pop() + ranges[0]
    return ", ".join(
        DAYS[each[0]] if len(each) == 1 else f"{DAYS[each[0]]}-{DAYS[each[-1]]}" for each in ranges
    )


def _hours(hours: Hours) -> str:
    return "-".join(f"{minute // 60:02}:{minute % 60:02}" for minute in (hours.begin, hours.end))
