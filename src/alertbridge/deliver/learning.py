"""What a 429 teaches about a rate limit that is configured: it is too high. Pure.

A 429 to what the budget had allowed halves the budget; each window without one gives a tenth of it back. It never falls
below that tenth, since a vendor that is ill answers 429 too; and it is never more than is configured.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from alertbridge.deliver.budget import RateLimit


@dataclass(frozen=True, slots=True)
class Lesson:
    """`allowed` requests per window were left of `limit` after a 429 at `since`. Of another limit it says nothing."""

    limit: RateLimit
    allowed: int
    since: datetime


def effective(limit: RateLimit, lesson: Lesson | None, now: datetime) -> RateLimit:
    """The limit that holds now; the burst shrinks as the whole does."""
    if lesson is None or lesson.limit != limit or lesson.since - now > limit.per:  # a clock that was set back
        return limit
    allowed = min(limit.requests, max(1, lesson.allowed) + _windows(lesson, now) * _step(limit))
    return RateLimit(allowed, limit.per, max(1, limit.burst * allowed // limit.requests))


def next_rise(limit: RateLimit, lesson: Lesson | None, now: datetime) -> datetime | None:
    """When more is allowed than now, since another window has passed without a 429; None where all is allowed."""
    if lesson is None or effective(limit, lesson, now).requests == limit.requests:
        return None
    return lesson.since + (_windows(lesson, now) + 1) * limit.per


def taught(
    limit: RateLimit, lesson: Lesson | None, *, started_at: datetime, now: datetime, probe: bool
) -> Lesson:
    """After a 429 to an attempt that began at `started_at`.

    What had begun by the last one says nothing new; nor does a probe, which goes alone: it only lets the windows
    without a 429 be counted anew.
    """
    known = lesson if lesson is not None and lesson.limit == limit else None
    allowed = effective(limit, known, now).requests
    if probe or (known is not None and started_at <= known.since <= now):
        return Lesson(limit, allowed, now)
    return Lesson(limit, max(_step(limit), allowed // 2), now)


def _windows(lesson: Lesson, now: datetime) -> int:
    """How many windows have passed since."""
    return max(0, (now - lesson.since) // lesson.limit.per)


def _step(limit: RateLimit) -> int:
    return max(1, limit.requests // 10)
