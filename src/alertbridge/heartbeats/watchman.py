"""The loop that listens for heartbeats: once a second it looks which fell silent, and which are heard again."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection

from alertbridge.clock import Clock, rest
from alertbridge.errors import StoreBroken, StoreError
from alertbridge.heartbeats.notice import notice
from alertbridge.heartbeats.silence import Conclusion, Pulse, Turn, judged, restarted, tended
from alertbridge.model import Event, instant
from alertbridge.rules.heartbeat import Heartbeat
from alertbridge.store import heartbeats, inbox
from alertbridge.store.heartbeats import Kept
from alertbridge.store.store import Store

_EVERY = timedelta(seconds=1)
_MOST_AT_ONCE = 5.0  # seconds that count as listened to between two looks; a longer gap was a stop
_KEEP_EVERY = 30.0  # seconds between two notes of when each was last heard


@dataclass(frozen=True, slots=True)
class _Judgement:
    """What came of one look: everything in it is on disk once its transaction is."""

    pulses: dict[str, Pulse]
    conclusions: tuple[tuple[Conclusion, Event], ...]


class Watchman:
    """Puts an event into the inbox whenever a heartbeat turns; what is to be sent then, the rules say.

    `configured` gives the heartbeats that are in use; it is asked in the thread that decides, too. `concluded` is called
    when an event was put there.
    """

    def __init__(
        self,
        *,
        store: Store,
        configured: Callable[[], Iterable[Heartbeat]],
        clock: Clock,
        new_id: Callable[[], str],
        concluded: Callable[[], None],
    ) -> None:
        self._store = store
        self._configured = configured
        self._clock = clock
        self._new_id = new_id
        self._concluded = concluded
        self._pulses: dict[str, Pulse] = {}
        self._news: deque[tuple[str, datetime, bool]] = deque()
        self._beats: dict[str, datetime] = {}
        self._ends: dict[str, datetime] = {}
        self._listened = 0.0
        self._looked = clock.monotonic()
        self._kept: list[Kept] = []
        self._kept_at = 0.0
        self._stop = asyncio.Event()
        self._log = structlog.get_logger().bind()

    def hear(self, names: Iterable[str], received_at: datetime) -> None:
        """These have beaten. Called from the thread that decides, before what it decides is on disk: the body is."""
        self._news.extend((name, received_at, True) for name in names)

    def hear_end(self, name: str, ended_at: datetime) -> None:
        """No alert that beats it fires any more. Called as `hear` is, in the order in which it was told."""
        self._news.append((name, ended_at, False))

    def close(self) -> None:
        """Let `run` end after the look at hand."""
        self._stop.set()

    def pulses(self) -> Mapping[str, Pulse]:
        """What is believed of every heartbeat that is configured, as of the last look."""
        return {name: pulse for name, pulse in self._pulses.items() if pulse.heartbeat is not None}

    async def start(self) -> None:
        """Remember what an earlier run has kept; listening begins now."""
        self._kept = kept = await self._store.read(heartbeats.load)
        self._pulses = tended(
            {one.name: Pulse(None, 0.0, one.last_beat, one.silent_since) for one in kept},
            self._configured(),
            listened=0.0,
        )
        self._looked = self._clock.monotonic()
        lasting = await self._store.read(heartbeats.open_silences)
        for silence in lasting:  # a crash may have come before this one was told
            self.hear_end(silence.heartbeat, silence.since)
        gone = [one.name for one in kept if one.name not in self._pulses]
        if gone:
            with suppress(StoreError):  # then they are found again at the next start
                await self._store.write(lambda connection: heartbeats.forget(connection, gone))

    async def run(self) -> None:
        """Look once a second until `close`. Raises StoreBroken when the disk cannot be trusted."""
        while not self._stop.is_set():
            await self.run_once()
            await rest(self._clock, _EVERY, until=self._stop)
        with suppress(StoreError):
            await self._store.write(lambda connection: heartbeats.keep(connection, _kept(self._pulses)))

    async def run_once(self) -> tuple[Conclusion, ...]:
        """Look once, and return what has turned."""
        moment = self._clock.monotonic()
        self._listened += min(moment - self._looked, _MOST_AT_ONCE)
        self._looked = moment
        before = self._pulses
        seen = self._judge(timedelta(0))
        gone = before.keys() - seen.pulses.keys()
        try:
            if seen.conclusions or gone:
                seen = await self._store.write(lambda connection: self._conclude(connection, gone))
                self._note_kept(seen.pulses)
            elif self._listened - self._kept_at >= _KEEP_EVERY and _kept(seen.pulses) != self._kept:
                await self._store.write(lambda connection: heartbeats.keep(connection, _kept(seen.pulses)))
                self._note_kept(seen.pulses)
        except StoreBroken:
            raise
        except StoreError as error:  # then no beat could be stored either
            self._pulses = restarted(self._pulses, listened=self._listened)
            self._log.error("heartbeat.unkept", error=str(error))
            return ()
        self._pulses = seen.pulses
        self._beats.clear()
        self._ends.clear()
        self._report(seen.conclusions)
        return tuple(conclusion for conclusion, _ in seen.conclusions)

    def _judge(self, waiting: timedelta) -> _Judgement:
        """What the beats so far make of the heartbeats that are configured now."""
        while self._news:
            name, at, beat = self._news.popleft()
            if beat:
                self._beats[name] = at
                self._ends.pop(name, None)
            else:
                self._ends[name] = at
        now = self._clock.now()
        pulses = tended(self._pulses, self._configured(), listened=self._listened)
        after, conclusions = judged(
            pulses, self._beats, ends=self._ends, listened=self._listened, now=now, waiting=waiting
        )
        return _Judgement(
            after, tuple((one, notice(one, identifier=self._new_id(), now=now)) for one in conclusions)
        )

    def _conclude(self, connection: Connection, gone: Iterable[str]) -> _Judgement:
        """Judge once more, where nothing is decided meanwhile, and store what has turned with the event of it."""
        oldest = inbox.oldest_undecided(connection)
        now = self._clock.now()
        seen = self._judge(max(timedelta(0), now - oldest) if oldest else timedelta(0))
        for conclusion, event in seen.conclusions:
            if conclusion.turn is Turn.SILENT and not conclusion.told:
                heartbeats.miss(connection, conclusion.name, since=conclusion.since)
            inbox.conclude(connection, event)
        heartbeats.forget(connection, gone)
        heartbeats.keep(connection, _kept(seen.pulses))
        return seen

    def _note_kept(self, pulses: Mapping[str, Pulse]) -> None:
        self._kept, self._kept_at = _kept(pulses), self._listened

    def _report(self, conclusions: Iterable[tuple[Conclusion, Event]]) -> None:
        for conclusion, event in conclusions:
            name, since = conclusion.name, instant(conclusion.since)
            match conclusion.turn:
                case Turn.SILENT:
                    self._log.warning("heartbeat.silent", heartbeat=name, since=since, event_id=event.id)
                case Turn.SPOKE:
                    self._log.info("heartbeat.spoke", heartbeat=name, since=since, event_id=event.id)
                case Turn.REMOVED:
                    self._log.warning("heartbeat.removed", heartbeat=name, since=since, event_id=event.id)
        if conclusions:
            self._concluded()


def _kept(pulses: Mapping[str, Pulse]) -> list[Kept]:
    return [Kept(name, pulse.last_beat, pulse.silent_since) for name, pulse in pulses.items()]
