"""`POST /api/v1/replay`: stored events are decided once more, by the rules of today."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Self

import structlog
from aiohttp import web
from pydantic import AwareDatetime, model_validator
from sqlalchemy import Connection

from alertbridge.clock import Clock
from alertbridge.model import JSON
from alertbridge.operate.asked import Asked, read
from alertbridge.operate.choice import Became, Chooser, Span
from alertbridge.operate.guard import Guard
from alertbridge.operate.lines import told
from alertbridge.operate.rehearsal import Rehearsal
from alertbridge.pipeline import Bridge
from alertbridge.problems import problem
from alertbridge.store import audit, inbox
from alertbridge.store import replay as kept
from alertbridge.store.audit import Entry
from alertbridge.store.store import Store

_AT_ONCE = 100  # events in one transaction
_MOST_WAITING = 300  # events, before more are put behind them
_BREATH = timedelta(milliseconds=50)


class Replay(Asked):
    """Which events; with `dry_run` they are only looked at."""

    since: AwareDatetime
    until: AwareDatetime | None = None
    source: str | None = None
    outcome: Became | None = None
    dry_run: bool = False

    @model_validator(mode="after")
    def _is_a_span(self) -> Self:
        if self.until is not None and self.until < self.since:
            raise ValueError("until: it is before since")
        return self

    @property
    def span(self) -> Span:
        """The same for those who choose."""
        return Span(self.since, self.until, self.source, self.outcome)


@dataclass(slots=True)
class _Progress:
    """How far it is: up to that place in the inbox."""

    seq: int = 0
    looked_at: int = 0
    replayed: int = 0


class ReplayPage:
    """Puts a copy of each chosen event behind all others, to be decided in its turn, and answers in lines.

    A copy names the event in `replay_of`. `bridge` is looked at anew for each request; `decide` is told when there is
    something to decide.
    """

    def __init__(
        self,
        *,
        store: Store,
        bridge: Callable[[], Bridge],
        clock: Clock,
        new_id: Callable[[], str],
        decide: Callable[[], None],
        guard: Guard,
    ) -> None:
        self._store = store
        self._bridge = bridge
        self._clock = clock
        self._new_id = new_id
        self._decide = decide
        self._guard = guard
        self._log = structlog.get_logger().bind()

    def routes(self) -> list[web.RouteDef]:
        """What to serve."""
        return [web.post("/api/v1/replay", self._guard.wrap(self._answer))]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        asked = await read(request, Replay)
        if isinstance(asked, web.Response):
            return asked
        bridge = self._bridge()
        if asked.source is not None and bridge.feed(asked.source) is None:
            return problem(400, "Bad request", f'source: no source is called "{asked.source}"')
        chooser = Chooser(asked.span, bridge=bridge)
        if asked.dry_run:
            return await told(request, self._rehearse(asked, chooser, bridge))
        return await told(request, self._replay(asked, chooser, by=self._guard.who(request)))

    async def _replay(self, asked: Replay, chooser: Chooser, *, by: str) -> AsyncIterator[Mapping[str, JSON]]:
        detail: dict[str, JSON] = asked.model_dump(mode="json", exclude_none=True, exclude={"dry_run"})
        now = self._clock.now()
        entry = Entry(by, "replay", detail=detail)
        await self._store.write(partial(audit.note, entry=entry, now=now))
        progress = _Progress()
        while page := await self._store.write(partial(self._some, asked, chooser, progress.seq)):
            progress.seq, looked_at, replayed = page
            progress.looked_at += looked_at
            progress.replayed += replayed
            self._decide()
            yield {"looked_at": progress.looked_at, "replayed": progress.replayed}
            while await self._store.read(inbox.count_undecided) > _MOST_WAITING:
                await self._clock.sleep(_BREATH)
        passed_over: dict[str, JSON] = dict(chooser.passed_over)
        self._log.info(
            "operator.replayed",
            by=by,
            looked_at=progress.looked_at,
            replayed=progress.replayed,
            passed_over=passed_over,
            detail=detail,
        )
        yield {
            "looked_at": progress.looked_at,
            "replayed": progress.replayed,
            "passed_over": passed_over,
            "complete": True,
        }

    def _some(
        self, asked: Replay, chooser: Chooser, after: int, connection: Connection
    ) -> tuple[int, int, int] | None:
        """One transaction: up to which place it came, how many it looked at and put back; None where nothing is left."""
        page = kept.accepted(connection, since=asked.since, source=asked.source, after=after, most=_AT_ONCE)
        chosen = [stored.event for stored in page if chooser.takes(stored)]
        for event in chosen:
            inbox.conclude(connection, replace(event, id=self._new_id(), replay_of=event.id))
        return (page[-1].seq, len(page), len(chosen)) if page else None

    async def _rehearse(
        self, asked: Replay, chooser: Chooser, bridge: Bridge
    ) -> AsyncIterator[Mapping[str, JSON]]:
        rehearsal = Rehearsal(bridge=bridge, new_id=self._new_id)
        last = await self._store.read(kept.newest)
        progress, messages, changing = _Progress(), 0, 0
        while True:
            page = await self._store.read(
                lambda connection: kept.accepted(
                    connection, since=asked.since, source=asked.source, after=progress.seq, most=_AT_ONCE
                )
            )
            page = [stored for stored in page if stored.seq <= last]
            if not page:
                break
            progress.seq = page[-1].seq
            chosen = [stored.event for stored in page if chooser.takes(stored)]
            progress.looked_at += len(page)
            progress.replayed += len(chosen)
            now = self._clock.now()
            for change in await self._store.read(partial(rehearsal.play, events=chosen, now=now)):
                said = change["messages"]
                messages += len(said) if isinstance(said, list) else 0
                changing += 1
                yield change
        yield {
            "looked_at": progress.looked_at,
            "replayed": progress.replayed,
            "passed_over": dict(chooser.passed_over),
            "changing": changing,
            "messages": messages,
            "complete": True,
        }
