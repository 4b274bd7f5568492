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
