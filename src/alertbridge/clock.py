"""Time, handed in: the only module that asks the system what time it is, or waits."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

_SLOWED = 0.9  # how fast this clock goes while the machine's is behind it
_FARTHEST_AHEAD = timedelta(days=2)
_TOLERATED = 5.0  # seconds


class Clock(Protocol):
    """Tells instants, measures spans, waits. Tests pass one that moves only when told to."""

    def now(self) -> datetime:
        """The current instant, aware, in UTC; never earlier than one that was told before."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary origin; never steps back."""
        ...

    def resume(self, latest: datetime) -> bool:
        """Go on from `latest`, the latest instant that an earlier run has told; False if that cannot be believed."""
        ...

    def ahead(self) -> timedelta:
        """How far this is ahead of the machine's clock, which was set back."""
        ...

    async def sleep(self, span: timedelta) -> None:
        """Return when `span` has passed."""
        ...


class SystemClock:
    """The clock of this machine, except that it never goes back.

    Set forward, it follows at once. Set back, it goes on from where it was at nine tenths of its speed, until the
    machine's has caught up: so nothing waits a second time, and nothing is told before what it follows.
    """

    def __init__(
        self,
        *,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._told = datetime.min.replace(tzinfo=UTC)
        self._told_at: float | None = None  # monotonic seconds; known only while ahead of the machine's clock
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """The current instant, aware, in UTC; never earlier than one that was told before."""
        wall = self._wall()
        with self._lock:
            if self._told_at is not None or wall < self._told:
                self._go_on_slowly()
            if wall >= self._told:
                self._told, self._told_at = wall, None
            return self._told

    def monotonic(self) -> float:
        """Seconds from an arbitrary origin; never steps back."""
        return self._monotonic()

    def resume(self, latest: datetime) -> bool:
        """Go on from `latest`, the latest instant that an earlier run has told; False if that cannot be believed.

        More than two days ahead, it is rather that run's clock that was wrong.
        """
        if latest - self.now() > _FARTHEST_AHEAD:
            return False
        with self._lock:
            if latest > self._told:
                self._told, self._told_at = latest, self._monotonic()
        return True

    def ahead(self) -> timedelta:
        """How far this clock is ahead of the machine's, which was set back."""
        return max(timedelta(0), self.now() - self._wall())

    def _go_on_slowly(self) -> None:
        moment = self._monotonic()
        if self._told_at is not None:
            self._told += _SLOWED * timedelta(seconds=moment - self._told_at)
        self._told_at = moment

    async def sleep(self, span: timedelta) -> None:
        """Return when `span` has passed."""
        await asyncio.sleep(max(0.0, span.total_seconds()))


class Continuity:
    """Notices that a clock was set forward, or that the machine slept: then less time was lived through than it says."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._now, self._monotonic = clock.now(), clock.monotonic()

    def missed(self) -> timedelta:
        """How much of the time since this was last asked was not lived through; small differences are none."""
        now, monotonic = self._clock.now(), self._clock.monotonic()
        gap = (now - self._now) - timedelta(seconds=monotonic - self._monotonic)
        self._now, self._monotonic = now, monotonic
        return gap if gap.total_seconds() > _TOLERATED else timedelta(0)


async def rest(clock: Clock, span: timedelta, *, until: asyncio.Event) -> None:
    """Return when `span` has passed or `until` is set, whichever comes first."""
    timer = asyncio.ensure_future(clock.sleep(span))
    waking = asyncio.ensure_future(until.wait())
    await asyncio.wait((timer, waking), return_when=asyncio.FIRST_COMPLETED)
    timer.cancel()
    waking.cancel()
