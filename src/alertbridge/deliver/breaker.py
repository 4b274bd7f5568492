"""The circuit breaker of a destination: too many attempts that fail, and for a while nothing but a probe is sent. Pure.

Attempts are counted in slots of five seconds, so that a window costs the same however many there were.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

WINDOW = timedelta(minutes=1)
_SLOT = WINDOW / 12
_FIRST = timedelta(seconds=5)
_DOUBLINGS = 16  # far past any interval between probes


@dataclass(frozen=True, slots=True)
class Slot:
    """What was counted from `since` on: how many attempts ended, and how many of them in vain."""

    since: datetime
    tried: int
    failed: int


@dataclass(frozen=True, slots=True)
class Opened:
    """The breaker is open since `since`; at `until` one probe may go. `times` is how often it has opened in a row."""

    detail: str
    since: datetime
    until: datetime
    times: int


@dataclass(frozen=True, slots=True)
class Breaker:
    """What the last minute of attempts came to. It is closed unless `opened` is there."""

    slots: tuple[Slot, ...] = ()
    opened: Opened | None = None


@dataclass(frozen=True, slots=True)
class Tripping:
    """When a breaker opens: at `failures` within a minute, if no more went well; and how long it stays so at most."""

    failures: int
    longest: timedelta


def counted(
    breaker: Breaker, failure: str, *, probe: bool, now: datetime, tripping: Tripping, random: float
) -> Breaker:
    """The breaker after one more attempt; `failure` says why it was in vain, and is empty if it was not.

    While it is open, only a `probe` counts, which is an attempt that began when the time had run out: it closes the
    breaker, or opens it again for longer. `random` lies in [0, 1).
    """
    opened = breaker.opened
    if opened is None:
        return _closed(breaker, failure, now, tripping, random)
    if not probe:
        return breaker
    if not failure:
        return Breaker()
    times = opened.times + 1
    detail = f"so many probes failed in a row: {times - 1}; the last: {failure}"
    until = now + span(times, longest=tripping.longest, random=random)
    return replace(breaker, opened=Opened(detail, opened.since, until, times))


def span(times: int, *, longest: timedelta, random: float) -> timedelta:
    """How long a breaker stays open that has opened so often in a row: 5 s doubled each time, at most `longest`.

    It is between half of that and all of it, so that several who went together do not come back together.
    """
    whole = min(longest, _FIRST * (1 << min(times - 1, _DOUBLINGS)))
    return whole * (0.5 + random / 2)


def _closed(breaker: Breaker, failure: str, now: datetime, tripping: Tripping, random: float) -> Breaker:
    # What lies ahead of now is left over from a clock that has been set back.
    slots = [slot for slot in breaker.slots if now - WINDOW < slot.since <= now]
    if not slots or slots[-1].since <= now - _SLOT:
        slots.append(Slot(now, 0, 0))
    last = slots[-1]
    slots[-1] = Slot(last.since, last.tried + 1, last.failed + bool(failure))
    tried = sum(slot.tried for slot in slots)
    failed = sum(slot.failed for slot in slots)
    if not failure or failed < tripping.failures or 2 * failed < tried:
        return Breaker(tuple(slots))
    detail = f"{failed} of the last {tried} attempts failed within a minute; the last: {failure}"
    return Breaker(opened=Opened(detail, now, now + span(1, longest=tripping.longest, random=random), 1))
