"""How soon the next request may start under a rate limit. Pure: replayed from the starts that were recorded.

Two rules hold together. No window of length `per` ever holds more than `requests` starts. And starts beyond a
`burst` come no faster than evenly, `requests` per `per` (the generic cell rate algorithm). All arithmetic is in whole
microseconds relative to now, and the even spacing is kept as a fraction of `requests`, so nothing is rounded away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `requests` starts in any half-open window of length `per`, at most `burst` of them back to back."""

    requests: int
    per: timedelta
    burst: int

    def __post_init__(self) -> None:
        if self.requests < 1 or self.burst < 1 or self.per < _MICROSECOND:
            raise ValueError(f"{self}: requests and burst are at least 1, per is longer than nothing")


def next_start(limit: RateLimit, starts: Sequence[datetime], now: datetime) -> datetime:
    """The earliest instant, not before `now`, at which one more request may start.

    `starts` are those of the last `per` at least, ascending; older ones do no harm.
    """
    recent = _recent(limit, starts, now)
    if not recent:
        return now
    waits = [0, _evenly(limit, recent)]
    if len(recent) == limit.requests:
        waits.append(recent[0] + limit.per // _MICROSECOND)
    return now + max(waits) * _MICROSECOND


def available(limit: RateLimit, starts: Sequence[datetime], now: datetime) -> int:
    """How many requests could start at `now`, one straight after the other."""
    recent = _recent(limit, starts, now)
    per = limit.per // _MICROSECOND
    room = limit.requests - sum(1 for start in recent if start > -per)
    ahead = max(0, _arrival(limit, recent)) if recent else 0
    tolerated = ((limit.burst - 1) * per - ahead) // per + 1
    return max(0, min(room, tolerated))


def _recent(limit: RateLimit, starts: Sequence[datetime], now: datetime) -> list[int]:
    """The last `requests` starts, in microseconds from now: what came before them cannot bind any more.

    A start more than one `per` ahead of now is left over from a clock that has been set back.
    """
    real = [start for start in starts if start - now <= limit.per]
    return [(start - now) // _MICROSECOND for start in real[-limit.requests :]]


def _arrival(limit: RateLimit, recent: list[int]) -> int:
    """When an evenly spaced request would next arrive, in microseconds from now, multiplied by `requests`."""
    per = limit.per // _MICROSECOND
    arrival = recent[0] * limit.requests
    for start in recent:
        arrival = max(arrival, start * limit.requests) + per
    return arrival


def _evenly(limit: RateLimit, recent: list[int]) -> int:
    """The wait that even spacing after a burst asks for, in microseconds, rounded up."""
    early = (limit.burst - 1) * (limit.per // _MICROSECOND)
    return -((early - _arrival(limit, recent)) // limit.requests)
