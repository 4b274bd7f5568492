"""One destination's loop: claims what is due, sends it, settles what came of it.

Each destination has its own, so that one that is slow, sick or paused holds up nothing but itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection

from alertbridge.clock import Clock, rest
from alertbridge.deliver.budget import RateLimit, available, next_start
from alertbridge.deliver.retry import settle
from alertbridge.deliver.standing import Standing, after
from alertbridge.deliver.transport import Transport
from alertbridge.destinations import Destination
from alertbridge.errors import StoreBroken, StoreError
from alertbridge.metrics import Metrics
from alertbridge.model import Ambiguous, Delivered, DeliveryState, Outcome, Response, Retry
from alertbridge.store import dispatch, repeats, stops
from alertbridge.store.dispatch import Claim, Result
from alertbridge.store.store import Store

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
    landing_time: timedelta = timedelta(0)
    collapse: bool = False


class Courier:
    """Sends one destination's deliveries: per key in order and one at a time, several keys side by side."""

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
    ) -> None:
        self.name = destination.name
        self.policy = policy
        self.standing = Standing()
        self._destination = destination
        self._store = store
        self._transport = transport
        self._clock = clock
        self._metrics = metrics
        self._chance = chance
        self._clean = clean
        self._wake = asyncio.Event()
        self._closing = False
        self._flying: set[asyncio.Task[None]] = set()
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
        now = self._clock.now()
        room = self.policy.concurrency - len(self._flying)
        if not self.standing.may_send(now):
            return 0
        if self.standing.pause is not None:
            room = min(room, 1 - len(self._flying))
        if room <= 0:
            return 0
        claims, expired = await self._store.write(lambda connection: self._claim(connection, now, room))
        if expired:
            self._log.warning("delivery.expired", number=expired, held_for=str(self.policy.hold_for))
        for claim in claims:
            task = asyncio.create_task(self._carry(claim))
            self._flying.add(task)
            task.add_done_callback(self._landed)
        return len(claims)

    def budget(self, connection: Connection) -> int | None:
        """How many requests the rate limit allows right now; None where there is no limit."""
        limit = self.policy.rate_limit
        if limit is None:
            return None
        now = self._clock.now()
        return available(limit, dispatch.recent_starts(connection, self.name, since=now - limit.per), now)

    def _claim(self, connection: Connection, now: datetime, room: int) -> tuple[list[Claim], int]:
        """What is ours to send now, and how many records were held too long: said once that is on disk."""
        expired = 0
        if self.policy.hold_for is not None:
            expired = dispatch.expire_held(connection, self.name, now=now, hold_for=self.policy.hold_for)
        if not self.standing.may_send(now):  # an answer may have paused it while this waited for the writer
            return [], expired
        if stops.stopped(connection, self.name):
            return [], expired
        budget = self.budget(connection)
        most = room if budget is None else min(room, budget)
        if most <= 0:
            return [], expired
        claims = dispatch.claim(
            connection,
            self.name,
            now=now,
            most=most,
            key_interval=self.policy.key_interval,
            landing_time=self.policy.landing_time,
            collapse=self.policy.collapse,
        )
        return claims, expired

    async def _carry(self, claim: Claim) -> None:
        """One attempt, from request to settlement."""
        response: Response | None = None
        began = self._clock.monotonic()
        try:
            answer = await self._transport.post(self._destination.request(claim.payload, claim.action))
            if isinstance(answer, Response):
                response = answer
                outcome: Outcome = self._destination.interpret(answer)
            else:
                outcome = answer
        except Exception as error:  # noqa: BLE001 - whatever broke here, the delivery must not be lost
            self._log.exception("delivery.broke", delivery=claim.id)
            outcome = Retry(f"internal error: {type(error).__name__}")
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
            reject_limit=self.policy.reject_limit,
            probe_interval=self.policy.probe_interval,
        )
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
            if before.pause is not None and self.standing.pause is None:
                dispatch.add_pause(connection, self.name, since=before.pause.since, until=now)
            settled = dispatch.settle(connection, claim, result, now=now)
            if settled and result.state is DeliveryState.DELIVERED:
                repeats.repeat(connection, claim, landing_time=self.policy.landing_time, now=now)
            return settled

        if await self._insist(work):
            self._report(claim, result, now)
        self._report_standing(before)

    async def _insist(self, work: Callable[[Connection], bool]) -> bool:
        """A settlement is never given up: a full disk may get room again."""
        while True:
            try:
                return await self._store.write(work)
            except StoreBroken:
                raise
            except StoreError as error:
                self._log.error("delivery.unsettled", error=str(error))
                await self._clock.sleep(_STORE_AGAIN)

    def _kept(self, response: Response | None) -> dict[str, str | int] | None:
        if response is None:
            return None
        body = response.body.decode(errors="replace")[: 2 * _KEPT_ANSWER]
        return {"status": response.status, "body": self._clean(body)[:_KEPT_ANSWER]}

    def _report(self, claim: Claim, result: Result, now: datetime) -> None:
        self._metrics.deliveries.labels(self.name, claim.action.value, result.outcome).inc()
        if result.state is DeliveryState.DEAD and result.outcome != "rejected":
            self._metrics.deliveries.labels(self.name, claim.action.value, "dead").inc()
        if result.state is DeliveryState.DELIVERED:
            self._metrics.end_to_end_seconds.labels(self.name).observe(
                (now - claim.received_at).total_seconds()
            )
        log = self._log.info if result.state is DeliveryState.DELIVERED else self._log.warning
        log(
            "delivery.settled",
            delivery=claim.id,
            incident=claim.incident,
            key=claim.key,
            action=claim.action.value,
            attempt=claim.attempt,
            outcome=result.outcome,
            state=result.state.value,
            status=result.status,
            error=result.error,
            next_attempt_at=result.next_attempt_at.isoformat() if result.next_attempt_at else None,
        )

    def _report_standing(self, before: Standing) -> None:
        pause = self.standing.pause
        if pause is not None and (before.pause is None or before.pause.reason != pause.reason):
            self._log.warning(
                "destination.paused",
                reason=pause.reason,
                detail=self._clean(pause.detail),
                until=pause.until.isoformat(),
            )
        if pause is None and before.pause is not None:
            self._log.info("destination.resumed", reason=before.pause.reason)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._flying.discard(task)
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("courier.failed", error=str(error))

    async def _rest(self) -> None:
        """Wait for news, for something in flight to land, or for the next thing to fall due."""
        now = self._clock.now()
        due = [now + _IDLE]
        pause = self.standing.pause
        if pause is not None and pause.until > now:
            due.append(pause.until)
        else:
            due += await self._store.read(lambda connection: self._next_due(connection, now))
        span = max(timedelta(milliseconds=1), min(moment for moment in due if moment > now) - now)
        await rest(self._clock, span, until=self._wake)

    def _next_due(self, connection: Connection, now: datetime) -> list[datetime]:
        due = []
        if (moment := dispatch.next_due(connection, self.name, now=now)) is not None:
            due.append(moment)
        limit = self.policy.rate_limit
        if limit is not None:
            starts = dispatch.recent_starts(connection, self.name, since=now - limit.per)
            due.append(next_start(limit, starts, now))
        return due


def _age(claim: Claim, standing: Standing, now: datetime) -> timedelta:
    """How long the delivery could have been sent: time spent paused, also in the present pause, does not count."""
    paused = claim.paused_for
    if standing.pause is not None:
        paused += now - max(standing.pause.since, claim.created_at)
    return now - claim.created_at - paused
