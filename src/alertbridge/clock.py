"""Time, handed in: the only module that asks the system what time it is, or waits."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells instants, measures spans, waits. Tests pass one that moves only when told to."""

    def now(self) -> datetime:
        """The current instant, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary origin; never steps back."""
        ...

    async def sleep(self, span: timedelta) -> None:
        """Return when `span` has passed."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """The current instant, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds from an arbitrary origin; never steps back."""
        return time.monotonic()

    async def sleep(self, span: timedelta) -> None:
        """Return when `span` has passed."""
        await asyncio.sleep(max(0.0, span.total_seconds()))


async def rest(clock: Clock, span: timedelta, *, until: asyncio.Event) -> None:
    """Return when `span` has passed or `until` is set, whichever comes first."""
    timer = asyncio.ensure_future(clock.sleep(span))
    waking = asyncio.ensure_future(until.wait())
    await asyncio.wait((timer, waking), return_when=asyncio.FIRST_COMPLETED)
    timer.cancel()
    waking.cancel()
