"""How many requests may be under way to a destination at once: the most that is configured, less while it fails. Pure.

Additive increase, multiplicative decrease: a failure halves it, down to one; then it takes as many successes as may be
under way to make it one more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Width:
    """`level` is how many may be under way, None if no failure has lowered it; `good` counts towards one more.

    `cut_at` is when it was last halved: what had begun by then says nothing new.
    """

    level: int | None = None
    good: int = 0
    cut_at: datetime | None = None

    def within(self, most: int) -> int:
        """How many may be under way where `most` is the configured limit: from one to `most`."""
        return most if self.level is None else min(self.level, most)

    def narrowed(self, *, most: int, started_at: datetime, now: datetime) -> Width:
        """After a failure of an attempt that began at `started_at`."""
        if self.cut_at is not None and started_at <= self.cut_at <= now:
            return self
        return Width(max(1, self.within(most) // 2), 0, now)

    def widened(self, *, most: int, started_at: datetime) -> Width:
        """After a success of an attempt that began at `started_at`."""
        if self.level is None or (self.cut_at is not None and started_at < self.cut_at):
            return self
        level = self.within(most)
        if self.good + 1 < level:
            return replace(self, level=level, good=self.good + 1)
        return Width() if level + 1 >= most else Width(level + 1, 0, self.cut_at)
