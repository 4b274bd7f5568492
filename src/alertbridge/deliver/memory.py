"""What of a destination's standing outlives a restart: its pause, the run of rejections, what a 429 has taught. Pure.

The breaker and the width do not: they are found again within a minute.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from alertbridge.deliver.budget import RateLimit
from alertbridge.deliver.learning import Lesson
from alertbridge.deliver.standing import VENDORS_OWN, Pause, Standing
from alertbridge.destinations.quota import LONGEST_WAIT
from alertbridge.store.standings import Kept


def kept(standing: Standing, *, clean: Callable[[str], str]) -> Kept:
    """What is to be stored; `clean` takes the secrets out of a text."""
    found = Kept(rejected=tuple(sorted(standing.rejected)) if standing.pause else ())
    if (pause := standing.pause) is not None:
        found = replace(
            found, reason=pause.reason, detail=clean(pause.detail), since=pause.since, until=pause.until
        )
    if (lesson := standing.lesson) is not None:
        limit = lesson.limit
        found = replace(
            found,
            requests=limit.requests,
            per=limit.per,
            burst=limit.burst,
            allowed=lesson.allowed,
            taught_at=lesson.since,
        )
    return found


def recalled(found: Kept, *, now: datetime) -> Standing:
    """How a destination stands after a restart at `now`.

    A pause whose length the vendor has said goes on for as long, though not longer than any vendor is heeded. Any other
    is asked about at once, by one probe: what was wrong may have been mended meanwhile.
    """
    return Standing(pause=_pause(found, now), rejected=frozenset(found.rejected), lesson=_lesson(found))


def _pause(found: Kept, now: datetime) -> Pause | None:
    if found.reason is None or found.since is None or found.until is None:
        return None
    latest = now + LONGEST_WAIT if found.reason in VENDORS_OWN else now
    return Pause(found.reason, found.detail or "", min(found.since, now), min(found.until, latest))


def _lesson(found: Kept) -> Lesson | None:
    if found.requests is None or found.per is None or found.burst is None:
        return None
    if found.allowed is None or found.taught_at is None:
        return None
    return Lesson(RateLimit(found.requests, found.per, found.burst), found.allowed, found.taught_at)
