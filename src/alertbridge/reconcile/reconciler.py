"""The loop that holds what is believed of a source against what its Alertmanagers say."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy import Connection

from alertbridge.clock import Clock, Continuity, rest
from alertbridge.errors import StoreBroken, StoreError
from alertbridge.metrics import Metrics
from alertbridge.model import Event
from alertbridge.reconcile.answer import Answer, Told, Unknown
from alertbridge.reconcile.judge import (
    Conclusion,
    Judgement,
    LeftOut,
    Memory,
    Suppressed,
    active,
    confirmed,
    judge,
)
from alertbridge.reconcile.peers import Peers
from alertbridge.reconcile.wording import events_of
from alertbridge.store import beliefs, inbox
from alertbridge.store.store import Store

_BREATH = timedelta(seconds=1)  # between rounds, however often somebody asks for one


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the peers are asked, and what is concluded when."""

    every: timedelta
    absent_for: timedelta
    suppressed: Suppressed = Suppressed.KEEP


class Reconciler:
    """Concludes for one source, and only by events: it puts them into the inbox, and calls `concluded`.

    Since when alerts are absent is known to this process alone: after a restart that time begins anew, and also where
    the clock was set forward or the machine slept.
    """

    def __init__(
        self,
        *,
        source: str,
        pace: Pace,
        peers: Peers,
        store: Store,
        clock: Clock,
        metrics: Metrics,
        new_id: Callable[[], str],
        concluded: Callable[[], None],
    ) -> None:
        self._source = source
        self._pace = pace
        self._peers = peers
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._new_id = new_id
        self._concluded = concluded
        self._memory = Memory()
        self._continuity = Continuity(clock)
        self._left_out: set[LeftOut] = set()
        self._reasons: dict[str, str] = {}
        self._heard: set[str] = set()
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        self._log = structlog.get_logger().bind(source=source)

    async def open(self) -> None:
        """Make ready for `run`. Raises ssl.SSLError, OSError where `ca_file` holds no certificates."""
        await self._peers.open()

    async def abandon(self) -> None:
        """Close every connection of one that was opened and never ran."""
        await self._peers.close()

    def ask(self, left_out: LeftOut | None = None) -> None:
        """Ask the peers at once: something was left out, or is doubted."""
        if left_out is not None:
            self._left_out.add(left_out)
        self._wake.set()

    def close(self) -> None:
        """Let `run` end after the round at hand."""
        self._closing.set()
        self._wake.set()

    async def run(self) -> None:
        """Ask every `every`, and whenever `ask` is called, until `close`. Raises StoreBroken."""
        try:
            while not self._closing.is_set():
                self._wake.clear()
                try:
                    await self.run_once()
                except StoreBroken:
                    raise
                except Exception as error:  # noqa: BLE001 - the alerts that are posted go on without it
                    known = isinstance(error, StoreError)
                    self._log.error("reconcile.failed", error=str(error), exc_info=None if known else error)
                breath = min(_BREATH, self._pace.every)
                await rest(self._clock, breath, until=self._closing)
                await rest(self._clock, self._pace.every - breath, until=self._wake)
        finally:
            await self._peers.close()
            self._forget()

    async def run_once(self) -> Judgement | None:
        """One round; None if `close` was called while the peers were asked."""
        wanted = frozenset(self._left_out)
        answers = await self._ask_unless_closing()
        if answers is None:
            return None
        for answer in answers:
            self._note(answer)
        if self._continuity.missed():
            self._memory = Memory(adopted=self._memory.adopted)
        asked = frozenset(active(answers))
        believed = await self._store.read(
            lambda connection: beliefs.read(connection, self._source, asked=asked)
        )
        judgement = judge(
            answers,
            believed,
            self._memory,
            now=self._clock.now(),
            absent_for=self._pace.absent_for,
            suppressed=self._pace.suppressed,
            left_out=wanted,
        )
        if judgement.ends or judgement.adoptions:
            judgement = await self._conclude(judgement, asked)
        self._memory = judgement.memory
        if judgement.whole:
            self._left_out -= wanted
        return judgement

    async def _ask_unless_closing(self) -> list[Answer] | None:
        asking = asyncio.ensure_future(self._peers.ask())
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait((asking, closing), return_when=asyncio.FIRST_COMPLETED)
            return asking.result() if asking.done() else None
        finally:
            closing.cancel()
            asking.cancel()
            await asyncio.gather(asking, closing, return_exceptions=True)

    async def _conclude(self, judgement: Judgement, asked: frozenset[str]) -> Judgement:
        """Put what still stands into the inbox: it is looked at again in the transaction that does so."""
        now = self._clock.now()
        concerned = {end.fingerprint for end in judgement.ends}
        concerned |= {one.listed.fingerprint for one in judgement.adoptions}

        def work(connection: Connection) -> tuple[Judgement, list[Event]]:
            left = confirmed(
                judgement,
                beliefs.read(connection, self._source, asked=asked),
                mentioned=beliefs.mentioned(connection, self._source, concerned),
            )
            events = events_of(
                self._source, ends=left.ends, adoptions=left.adoptions, now=now, new_id=self._new_id
            )
            for event in events:
                inbox.conclude(connection, event)
            return left, events

        left, events = await self._store.write(work)
        kinds = Counter(end.kind for end in left.ends) + Counter({Conclusion.ADOPTED: len(left.adoptions)})
        for kind, number in kinds.items():
            self._metrics.conclusions.labels(self._source, kind.value).inc(number)
        for event in events:
            self._log.info(
                "reconcile.concluded", event_id=event.id, inferred=event.inferred, adopted=event.adopted
            )
        if events:
            self._concluded()
        return left

    def _note(self, answer: Answer) -> None:
        """Show how a peer stands, and log where that has changed."""
        labels = (self._source, answer.peer)
        self._metrics.peer_up.labels(*labels).set(isinstance(answer, Told))
        reason = answer.reason if isinstance(answer, Unknown) else ""
        before = self._reasons.get(answer.peer)
        self._reasons[answer.peer] = reason
        if isinstance(answer, Told):
            self._heard.add(answer.peer)
            self._metrics.peer_last_told.labels(*labels).set(self._clock.now().timestamp())
            if before != reason:
                self._log.info("peer.known", peer=answer.peer, alerts=len(answer.alerts))
        elif not before:
            self._log.warning("peer.unknown", peer=answer.peer, reason=reason)

    def _forget(self) -> None:
        for name in self._reasons:
            self._metrics.peer_up.remove(self._source, name)
        for name in self._heard:
            self._metrics.peer_last_told.remove(self._source, name)
