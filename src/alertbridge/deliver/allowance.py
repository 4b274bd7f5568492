"""What has left for a destination, and what its rate limit allows after that: from the disk, and from when it really left."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection

from alertbridge.deliver.budget import RateLimit, available, next_start
from alertbridge.store import dispatch, trials


class Allowance:
    """Counts the requests to one destination that has a rate limit."""

    def __init__(self, *, destination: str) -> None:
        self._destination = destination
        self._left: list[datetime] = []  # when requests left, as far back as the rate limit counts

    def recount(self, connection: Connection, limit: RateLimit, *, now: datetime) -> None:
        """Count what earlier runs have sent, for as long as it counts."""
        self._left = self._on_disk(connection, since=now - limit.per)[-limit.requests :]

    def spend(self, limit: RateLimit, *, now: datetime) -> None:
        """A request leaves: later than stands on the disk, where that was slow."""
        self._left = [*self._left, now][-limit.requests :]

    def set_aside(self, connection: Connection, number: int, limit: RateLimit, *, now: datetime) -> None:
        """So many requests are about to leave past the outbox."""
        trials.note(connection, self._destination, number, now=now, per=limit.per)

    def pass_over(self, missed: timedelta) -> None:
        """Nobody lived through that time: a clock was set forward, and makes no request older."""
        self._left = [moment + missed for moment in self._left]

    def succeed(self, other: Allowance) -> None:
        """Count what `other` has sent as its own."""
        self._left = other._left

    def allowed(self, connection: Connection, limit: RateLimit, *, now: datetime) -> int:
        """How many requests may leave right now."""
        return min(available(limit, starts, now) for starts in self._starts(connection, limit, now))

    def next(self, connection: Connection, limit: RateLimit, *, now: datetime) -> datetime:
        """When one more may leave; not before `now`."""
        return max(next_start(limit, starts, now) for starts in self._starts(connection, limit, now))

    def _starts(
        self, connection: Connection, limit: RateLimit, now: datetime
    ) -> tuple[list[datetime], list[datetime]]:
        """When requests began: as it is on disk; and as they left."""
        return self._on_disk(connection, since=now - limit.per), self._left

    def _on_disk(self, connection: Connection, *, since: datetime) -> list[datetime]:
        on_disk = dispatch.recent_starts(connection, self._destination, since=since)
        return sorted([*on_disk, *trials.starts(connection, self._destination, since=since)])
