"""A clock that moves only when a test says so."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class ManualClock:
    """Starts at noon. `advance` moves it and wakes whoever has slept long enough."""

    def __init__(self, start: datetime = NOON) -> None:
        self._now = start
        self._set_forward = timedelta(0)
        self._sleepers: list[tuple[datetime, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return (self._now - self._set_forward).timestamp()

    def resume(self, latest: datetime) -> bool:
        """It is set by tests alone."""
        return latest <= self._now

    def ahead(self) -> timedelta:
        """There is no other."""
        return timedelta(0)

    async def sleep(self, span: timedelta) -> None:
        if span <= timedelta(0):
            await asyncio.sleep(0)
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._now + span, done))
        await done

    def advance(self, span: timedelta) -> None:
        self.move_to(self._now + span)

    def set_forward(self, span: timedelta) -> None:
        """As if somebody corrected it, or the machine had slept: nobody lives through `span`."""
        self._set_forward += span
        self.advance(span)

    def move_to(self, moment: datetime) -> None:
        self._now = moment
        for until, done in self._sleepers:
            if until <= self._now and not done.done():
                done.set_result(None)
        self._sleepers = [(until, done) for until, done in self._sleepers if not done.done()]
