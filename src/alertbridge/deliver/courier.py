"""One destination's loop: claims what is due, sends it, settles what came of it.

Each destination has its own, so that one that is slow, sick or paused holds up nothing but itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

import structlog
from sqlalchemy import Connection

from alertbridge.clock import Clock, Continuity, rest
from alertbridge.deliver.allowance import Allowance
from alertbridge.deliver.budget import RateLimit
from alertbridge.deliver.digester import Digester, Folded
from alertbridge.deliver.learning import effective, next_rise
from alertbridge.deliver.memory import kept, recalled
from alertbridge.deliver.report import Report
from alertbridge.deliver.retry import settle
from alertbridge.deliver.standing import Standing, Terms, after
from alertbridge.deliver.transport import Transport
from alertbridge.destinations import Destination
from alertbridge.destinations.quota import used_up
from alertbridge.errors import StoreBroken, StoreError
from alertbridge.incidents.state import Incident
from alertbridge.metrics import Metrics
from alertbridge.model import Ambiguous, Delivered, DeliveryState, Outcome, Response, Retry
from alertbridge.store import dispatch, repeats, standings, stops
from alertbridge.store.dispatch import Claim, Result
from alertbridge.store.standings import Kept
from alertbridge.store.store import Store

_T = TypeVar("_T")

_IDLE = timedelta(seconds=30)
_STORE_AGAIN = timedelta(seconds=1)
_KEPT_ANSWER = 4096  # characters of a response's body kept with the delivery


@dataclass(frozen=True, slots=True)
class Policy:
    """How a destination is to be treated."""

    timeout: timedelta
    max_age: timedelta
    concurrency: int = 4
    rate_limit: RateLimit | None = None
    key_interval: timedelta = timedelta(0)
    reject_limit: int = 5
    probe_interval: timedelta = timedelta(minutes=2)
    hold_for: timedelta | None = None
    failure_limit: int = 10
    landing_time: timedelta = timedelta(0)
    collapse: bool = False

    @property
    def terms(self) -> Terms:
        """By what outcomes are judged."""
        return Terms(
            reject_limit=self.reject_limit,
            probe_interval=self.probe_interval,
            failure_limit=self.failure_limit,
            concurrency=self.concurrency,
            rate_limit=self.rate_limit,
        )


@dataclass(frozen=True, slots=True)
class _Turn:
    """What one look at the outbox came to: what is ours to send, and what was done besides, to be told once it is on disk.

    `unfinished` if nothing was found so far, and not all was looked at.
    """

    claims: Sequence[Claim] = ()
    expired: int = 0
    folded: Folded | None = None
    ended: Sequence[Incident] = ()
    unfinished: bool = False


class Courier:
    """Sends one destination's deliveries: per key in order and one at a time, several keys side by side.

    `standing` is also on disk, as far as it outlives a restart, unless another courier `remembers` for this destination.
    A `digester` works where incidents can be told together.
    """

    def __init__(
        self,
        *,
        destination: Destination,
        policy: Policy,
        store: Store,
        transport: Transport,
        clock: Clock,
        metrics: Metrics,
        chance: Callable[[], float],
        clean: Callable[[str], str],
        digester: Digester | None = None,
    ) -> None:
        self.name = destination.name
        self.policy = policy
        self.standing = Standing()
        self.remembers = True
        self._destination = destination
        self._store = store
        self._transport = transport
        self._clock = clock
        self._metrics = metrics
        self._chance = chance
        self._clean = clean
        self._digester = digester
        self._wake = asyncio.Event()
        self._closing = False
        self._flying: set[asyncio.Task[None]] = set()
        self._looked_at = clock.now()
        self._allowance = Allowance(destination=self.name)
        self._continuity = Continuity(clock)
        self._report = Report(destination=self.name, metrics=metrics, clean=clean)
        self._log = structlog.get_logger().bind(destination=self.name)

    def wake(self) -> None:
        """Something may be due."""
        self._wake.set()

    async def open(self) -> None:
        """Make ready to send."""
        await self._transport.open()

    def close(self) -> None:
        """Claim nothing more; `run` ends at once, what is in flight goes on until `drained`."""
        self._closing = True
        self._wake.set()

    async def drained(self) -> None:
        """Return when nothing is in flight."""
        while self._flying:
            await asyncio.wait(self._flying)

    def recall(self, found: Kept) -> None:
        """Stand as an earlier run has left it."""
        self.standing = recalled(found, now=self._clock.now())

    def recount(self, connection: Connection) -> None:
        """Count towards the rate limit what earlier runs have sent."""
        if (limit := self.policy.rate_limit) is not None:
            self._allowance.recount(connection, limit, now=self._clock.now())

    def succeed(self, other: Courier) -> None:
        """Count what `other` has sent as its own; that one claims nothing more."""
        self._allowance.succeed(other._allowance)
        self._continuity = other._continuity

    def hasten(self) -> None:
        """If it is paused, let a probe go at once."""
        self.standing = self.standing.hastened(self._clock.now())
        self._wake.set()

    def remember(self, connection: Connection) -> None:
        """Write down how it stands now, in the caller's transaction: the last one that does so is right."""
        if self.remembers:
            standings.keep(connection, self.name, kept(self.standing, clean=self._clean))

    async def abandon(self) -> None:
        """Stop waiting for answers. What was in flight stays `sending` and is recovered at the next start."""
        for task in self._flying:
            task.cancel()
        await asyncio.gather(*self._flying, return_exceptions=True)
        await self._transport.close()

    async def run(self) -> None:
        """Send whatever is due until `close`. Raises StoreBroken."""
        while not self._closing:
            self._wake.clear()
            try:
                if not await self.start_due():
                    await self._rest()
            except StoreBroken:
                raise
            except StoreError as error:  # a full disk may get room again
                self._log.error("delivery.unclaimed", error=str(error))
                await self._clock.sleep(_STORE_AGAIN)

    async def run_once(self) -> int:
        """Send everything that is due now, wait until it is settled, and return how many attempts that were."""
        count = 0
        while started := await self.start_due():
            count += started
            await self.drained()
        return count

    async def start_due(self) -> int:
        """Claim as much as may be sent now, begin to send it, and return how many that were."""
        self._looked_at = self._clock.now()
        if missed := self._continuity.missed():
            await self._pass_over(missed)
        await self._end_quota()
        room = self._room()
        if room <= 0:
            return 0
        turn = await self._turn(room)
        while turn.unfinished and not self._closing:  # others had the writer in between
            turn = await self._turn(room)
        for claim in turn.claims:
            self.spend()
            task = asyncio.create_task(self._carry(claim))
            self._flying.add(task)
            task.add_done_callback(self._landed)
        return len(turn.claims)

    async def reserve(self, number: int) -> int | None:
        """Set so many requests aside for what goes past the outbox; where the rate limit allows fewer now, say how many."""

        def work(connection: Connection) -> int | None:
            budget, limit = self.budget(connection), self.policy.rate_limit
            if budget is not None and budget < number:
                return budget
            if limit is not None:
                self._allowance.set_aside(connection, number, limit, now=self._clock.now())
            return None

        return await self._store.write(work)

    def spend(self) -> None:
        """A request leaves, be it past the outbox: the rate limit counts from here, where the disk was slow."""
        if (limit := self.policy.rate_limit) is not None:
            self._allowance.spend(limit, now=self._clock.now())

    async def _turn(self, room: int) -> _Turn:
        """Look at the outbox once, and tell what was done there besides."""
        turn = await self._store.write(lambda connection: self._claim(connection, room))
        if turn.expired:
            self._log.warning("delivery.expired", number=turn.expired, held_for=str(self.policy.hold_for))
        self._report.digested(turn.folded, turn.ended)
        return turn

    @property
    def width(self) -> int:
        """How many requests may be under way at once now."""
        return self.standing.width.within(self.policy.concurrency)

    @property
    def limit(self) -> RateLimit | None:
        """The rate limit that holds now: what is configured, or less after a 429."""
        limit = self.policy.rate_limit
        return None if limit is None else effective(limit, self.standing.lesson, self._clock.now())

    def budget(self, connection: Connection) -> int | None:
        """How many requests the rate limit allows right now; None where there is no limit."""
        limit = self.limit
        return None if limit is None else self._allowance.allowed(connection, limit, now=self._clock.now())

    async def _pass_over(self, missed: timedelta) -> None:
        """A clock that was set forward, or a machine that slept, makes no request older, and nothing that waits."""
        self._allowance.pass_over(missed)
        now = self._clock.now()
        if self.standing.pause is None:  # else that time is counted with the pause
            await self._insist(
                lambda connection: dispatch.add_pause(connection, self.name, since=now - missed, until=now),
                unless_closing=True,
            )

    async def _end_quota(self) -> None:
        """End a pause that needs no probe for that, when its time has come."""
        before, now = self.standing, self._clock.now()
        if before.pause is None or not before.lapsed(now):
            return
        since = before.pause.since
        self.standing = standing = replace(before, pause=None)

        def work(connection: Connection) -> None:
            dispatch.add_pause(connection, self.name, since=since, until=now)
            self.remember(connection)

        await self._insist(work, unless_closing=True)
        self._report.stands(before, standing)

    def _room(self) -> int:
        return self.standing.room(self._clock.now(), most=self.policy.concurrency, flying=len(self._flying))

    def _claim(self, connection: Connection, room: int) -> _Turn:
        """What is ours to send now, after records that were held too long, and digests.

        An attempt begins now and not when the writer was asked for, which may be busy: the rate limit counts from here.
        """
        expired = 0
        now = self._clock.now()
        if self.policy.hold_for is not None:
            expired = dispatch.expire_held(connection, self.name, now=now, hold_for=self.policy.hold_for)
        room = min(room, self._room())  # an answer may have paused it while this waited for the writer
        if room <= 0 or stops.stopped(connection, self.name):
            return _Turn(expired=expired)
        budget = self.budget(connection)
        most = room if budget is None else min(room, budget)
        folded, ended = self._digest(connection, budget, now)
        if most <= 0:
            return _Turn((), expired, folded, ended)
        claims = dispatch.claim(
            connection,
            self.name,
            now=now,
            most=most,
            key_interval=self.policy.key_interval,
            landing_time=self.policy.landing_time,
            collapse=self.policy.collapse,
        )
        unfinished = not claims and bool(dispatch.first_in_line(connection, self.name, 1))
        return _Turn(claims, expired, folded, ended, unfinished)

    def _digest(
        self, connection: Connection, budget: int | None, now: datetime
    ) -> tuple[Folded | None, Sequence[Incident]]:
        """Fold what the budget does not reach: when something may go, so that as much as possible is known by then."""
        if self._digester is None:
            return None, ()
        folded = self._digester.fold(connection, allowed=budget, now=now) if budget else None
        return folded, self._digester.end(connection, now=now)

    async def _carry(self, claim: Claim) -> None:
        """One attempt, from request to settlement."""
        response: Response | None = None
        sent = False
        began = self._clock.monotonic()
        try:
            request = self._destination.request(claim.payload, claim.action)
            sent = True
            answer = await self._transport.post(request)
            if isinstance(answer, Response):
                response = answer
                outcome: Outcome = self._destination.interpret(answer)
            else:
                outcome = answer
        except Exception as error:  # noqa: BLE001 - whatever broke here, the delivery must not be lost
            self._log.exception("delivery.broke", delivery=claim.id)
            reason = f"internal error: {type(error).__name__}"
            outcome = Ambiguous(reason) if sent else Retry(reason)
        self._metrics.attempt_seconds.labels(self.name).observe(self._clock.monotonic() - began)
        try:
            await self._settle(claim, outcome, response)
        except StoreError:
            raise
        except Exception:  # noqa: BLE001 - whatever broke here, a key must not stay blocked by a delivery nobody settles
            self._log.exception("delivery.broke", delivery=claim.id)
            await self._settle(claim, Ambiguous("internal error while settling"), None)

    async def _settle(self, claim: Claim, said: Outcome, response: Response | None) -> None:
        now = self._clock.now()
        before = self.standing
        self.standing, outcome = after(
            before,
            said,
            key=claim.key,
            started_at=claim.started_at,
            now=now,
            terms=self.policy.terms,
            used_up=used_up(response) if response else None,
            random=self._chance(),
        )
        standing = self.standing
        settlement = settle(
            outcome,
            attempts=claim.attempt,
            age=_age(claim, before, now),
            max_age=self.policy.max_age,
            now=now,
            random=self._chance(),
        )
        result = Result(
            state=settlement.state,
            outcome=settlement.outcome,
            error=self._clean(settlement.error) or None,
            next_attempt_at=settlement.next_attempt_at,
            status=response.status if response else None,
            response=self._kept(response),
            reference=(outcome.reference or None) if isinstance(outcome, Delivered) else None,
        )

        def work(connection: Connection) -> bool:
            if before.pause is not None and standing.pause is None:
                dispatch.add_pause(connection, self.name, since=before.pause.since, until=now)
            if (before.pause, before.lesson) != (standing.pause, standing.lesson):
                self.remember(connection)
            settled = dispatch.settle(connection, claim, result, now=now)
            if settled and result.state is DeliveryState.DELIVERED:
                repeats.repeat(connection, claim, landing_time=self.policy.landing_time, now=now)
            return settled

        if await self._insist(work):
            self._report.settled(claim, result, now)
        self._report.stands(before, standing)

    async def _insist(self, work: Callable[[Connection], _T], *, unless_closing: bool = False) -> _T:
        """What has happened is never given up: a full disk may get room again.

        But `unless_closing`: what is on disk is still right for the next start, and nobody waits for this one.
        """
        while True:
            try:
                return await self._store.write(work)
            except StoreBroken:
                raise
            except StoreError as error:
                if unless_closing and self._closing:
                    raise
                self._log.error("delivery.unsettled", error=str(error))
                await self._clock.sleep(_STORE_AGAIN)

    def _kept(self, response: Response | None) -> dict[str, str | int] | None:
        if response is None:
            return None
        body = response.body.decode(errors="replace")[: 2 * _KEPT_ANSWER]
        return {"status": response.status, "body": self._clean(body)[:_KEPT_ANSWER]}

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._flying.discard(task)
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("courier.failed", error=str(error))

    async def _rest(self) -> None:
        """Wait for news, for something in flight to land, or for what has not been due yet when it was last looked.

        Looking takes time: what falls due meanwhile, or what the rate limit allows by then, is waited for no more.
        """
        now, looked_at = self._clock.now(), self._looked_at
        due = [now + _IDLE]
        obstacle = self.standing.obstacle
        if obstacle is not None and not obstacle.over(looked_at):
            due.append(obstacle.until)
        elif self._room() > 0:  # with everything under way, only what lands matters
            due += await self._store.read(lambda connection: self._next_due(connection, looked_at))
        span = max(timedelta(milliseconds=1), min(moment for moment in due if moment > looked_at) - now)
        await rest(self._clock, span, until=self._wake)

    def _next_due(self, connection: Connection, now: datetime) -> list[datetime]:
        due = []
        if (moment := dispatch.next_due(connection, self.name, now=now)) is not None:
            due.append(moment)
        limit, lesson = self.policy.rate_limit, self.standing.lesson
        if limit is not None:
            due.append(self._allowance.next(connection, effective(limit, lesson, now), now=now))
            if (rise := next_rise(limit, lesson, now)) is not None:
                due.append(rise)
        return due


def _age(claim: Claim, standing: Standing, now: datetime) -> timedelta:
    """How long the delivery could have been sent: time spent paused, also in the present pause, does not count."""
    paused = claim.paused_for
    if standing.pause is not None:
        paused += now - max(standing.pause.since, claim.created_at)
    return now - claim.created_at - paused
