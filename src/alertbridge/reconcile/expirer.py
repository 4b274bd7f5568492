"""The loop that resolves what a source has not repeated: `stale_alerts: resolve`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta

import structlog
from sqlalchemy import Connection

from alertbridge.clock import Clock, Continuity, rest
from alertbridge.errors import StoreBroken, StoreError
from alertbridge.incidents.beliefs import Believed
from alertbridge.metrics import Metrics
from alertbridge.model import Event, instant
from alertbridge.reconcile.judge import Conclusion, End
from alertbridge.reconcile.wording import events_of
from alertbridge.store import beliefs, inbox
from alertbridge.store.store import Store

_EVERY = timedelta(minutes=1)


class Expirer:
    """Puts an inferred resolve into the inbox for every open alert not heard of for as long as `patience` says.

    `patience` is by source, and may be replaced at any time. What was not heard while nobody listened proves nothing:
    the time begins with this process, and with a source's entry in `patience`, at the earliest; and anew where the clock
    was set forward or the machine slept.
    """

    def __init__(
        self,
        *,
        patience: Mapping[str, timedelta],
        store: Store,
        clock: Clock,
        metrics: Metrics,
        new_id: Callable[[], str],
        concluded: Callable[[], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._new_id = new_id
        self._concluded = concluded
        self._stop = asyncio.Event()
        self._log = structlog.get_logger().bind()
        self._listening = {name: clock.now() for name in patience}
        self._patience = dict(patience)
        self._continuity = Continuity(clock)

    def exchange(self, patience: Mapping[str, timedelta]) -> None:
        """Have this patience from now on."""
        now = self._clock.now()
        self._listening = {name: self._listening.get(name, now) for name in patience}
        self._patience = dict(patience)

    def close(self) -> None:
        """Let `run` end."""
        self._stop.set()

    async def run(self) -> None:
        """Look every minute, until `close`. Raises StoreBroken."""
        while not self._stop.is_set():
            await self.look()
            wait = min([_EVERY, *self._patience.values()])
            await rest(self._clock, wait, until=self._stop)

    async def look(self) -> int:
        """Conclude what is stale anywhere, and return how many alerts that were. Raises StoreBroken."""
        if self._continuity.missed():
            self._listening = dict.fromkeys(self._listening, self._clock.now())
        ended = 0
        for source in list(self._patience):
            try:
                ended += await self.run_once(source)
            except StoreBroken:
                raise
            except StoreError as error:
                self._log.error("reconcile.failed", source=source, error=str(error))
        return ended

    async def run_once(self, source: str) -> int:
        """Conclude what is stale at `source` now, and return how many alerts that were."""
        now, patience = self._clock.now(), self._patience.get(source)
        if patience is None or now - self._listening[source] < patience:
            return 0
        if not await self._store.read(
            lambda connection: beliefs.stale(connection, source, before=now - patience)
        ):
            return 0

        def work(connection: Connection) -> tuple[list[End], list[Event]]:
            found = beliefs.stale(connection, source, before=now - patience)
            mentioned = beliefs.mentioned(connection, source, [one.fingerprint for one in found])
            ends = [_end(one, patience) for one in found if one.fingerprint not in mentioned]
            events = events_of(source, ends=ends, now=now, new_id=self._new_id)
            for event in events:
                inbox.conclude(connection, event)
            return ends, events

        ends, events = await self._store.write(work)
        self._metrics.conclusions.labels(source, Conclusion.STALE.value).inc(len(ends))
        for event in events:
            self._log.info(
                "reconcile.concluded", source=source, event_id=event.id, inferred=event.inferred, adopted=""
            )
        if events:
            self._concluded()
        return len(ends)


def _end(one: Believed, patience: timedelta) -> End:
    """It ended when it should have been repeated: that is when it was first missed."""
    since = instant(one.last_seen.replace(microsecond=0))
    reason = f"not heard of since {since}, though it is repeated within {patience}"
    return End(Conclusion.STALE, one.fingerprint, one.starts_at, one.last_seen + patience, reason, one)
