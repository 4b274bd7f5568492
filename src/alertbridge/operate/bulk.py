"""`POST /api/v1/deliveries/retry` and `/discard`: the same for every delivery that a filter names, after a look at them."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, Self

import structlog
from aiohttp import web
from pydantic import AwareDatetime, Field, model_validator
from sqlalchemy import Connection

from alertbridge.clock import Clock
from alertbridge.deliver.repairing import Repair
from alertbridge.destinations import Destination
from alertbridge.model import JSON, Action, DeliveryState
from alertbridge.operate.answers import said
from alertbridge.operate.asked import Asked, Reason, read
from alertbridge.operate.guard import Guard
from alertbridge.operate.lines import told
from alertbridge.problems import problem
from alertbridge.store import amend, audit, bulk
from alertbridge.store.amend import Amended, NotPossible
from alertbridge.store.audit import Entry
from alertbridge.store.bulk import Matching
from alertbridge.store.listings import Wanted
from alertbridge.store.store import Store

_AT_ONCE = 200  # deliveries in one transaction
_MOST_REFUSALS = 100  # named one by one


class Many(Asked):
    """Which deliveries: one filter at least. With `dry_run` they are only looked at, else `count` says how many at most."""

    ACTION: ClassVar[str]
    STATES: ClassVar[tuple[DeliveryState, ...]]

    state: DeliveryState | None = None
    destination: str | None = None
    key: str | None = None
    incident: str | None = None
    action: Action | None = None
    since: AwareDatetime | None = None
    count: int | None = Field(default=None, ge=0)
    dry_run: bool = False

    @model_validator(mode="after")
    def _is_meant(self) -> Self:
        states = ", ".join(self.STATES)
        if self.wanted == Wanted():
            raise ValueError("say which: state, destination, key, incident, action or since")
        if self.state is None:
            raise ValueError(f"state: say one of {states}")
        if self.state not in self.STATES:
            raise ValueError(f"state: what is {self.state} cannot be meant here; one of {states}")
        if self.dry_run == (self.count is not None):
            raise ValueError("say dry_run, or in count how many it may be")
        return self

    @property
    def wanted(self) -> Wanted:
        """The filter."""
        return Wanted(
            state=self.state,
            destination=self.destination,
            key=self.key,
            incident=self.incident,
            action=self.action,
            since=self.since,
        )


class RetryMany(Many):
    """With `force` also where something newer was delivered."""

    ACTION = "retry"
    STATES = (DeliveryState.DEAD, DeliveryState.PENDING)

    force: bool = False


class DiscardMany(Many):
    """`reason` is needed for the deed and not for the look."""

    ACTION = "discard"
    STATES = (DeliveryState.HELD, DeliveryState.PENDING, DeliveryState.DEAD)

    reason: Reason | None = None

    @model_validator(mode="after")
    def _has_a_reason(self) -> Self:
        if self.reason is None and not self.dry_run:
            raise ValueError("reason: say why")
        return self


@dataclass(slots=True)
class _Tally:
    """What has come of it so far."""

    matched: int
    done: int = 0
    resolved: int = 0
    left_open: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    refusals: list[JSON] = field(default_factory=list)

    def count(self, delivery: str, result: Amended | str) -> None:
        if isinstance(result, Amended):
            self.done += 1
            self.resolved += result.resolved_by is not None
            self.left_open += result.left_open
            return
        self.reasons[result] += 1
        if len(self.refusals) < _MOST_REFUSALS:
            self.refusals.append({"delivery": delivery, "reason": result})

    def so_far(self) -> dict[str, JSON]:
        return {"matched": self.matched, "done": self.done, "refused": self.reasons.total()}

    def in_the_end(self) -> dict[str, JSON]:
        follows: dict[str, JSON] = {"resolved": self.resolved, "left_open": self.left_open}
        return {**self.so_far(), **{name: number for name, number in follows.items() if number}}


class Bulk:
    """Answers a `dry_run` with what matches; else does it, oldest first, in transactions of 200, and answers in lines.

    Where more match than `count` says, nothing is done: 409. `destinations` is asked for the present ones.
    """

    def __init__(
        self,
        *,
        store: Store,
        destinations: Callable[[], Mapping[str, Destination]],
        wake: Callable[[], None],
        clock: Clock,
        new_id: Callable[[], str],
        guard: Guard,
    ) -> None:
        self._store = store
        self._destinations = destinations
        self._wake = wake
        self._clock = clock
        self._new_id = new_id
        self._guard = guard
        self._log = structlog.get_logger().bind()

    def routes(self) -> list[web.RouteDef]:
        """What to serve."""
        return [
            web.post(f"/api/v1/deliveries/{model.ACTION}", self._guard.wrap(partial(self._answer, model)))
            for model in (RetryMany, DiscardMany)
        ]

    async def _answer(self, model: type[Many], request: web.Request) -> web.StreamResponse:
        asked = await read(request, model)
        if isinstance(asked, web.Response):
            return asked
        found = await self._store.read(lambda connection: bulk.matching(connection, asked.wanted))
        if asked.count is None:
            return said({"matched": found.count, "groups": found.groups, "examples": [*found.examples]})
        if found.count > asked.count:
            detail = (
                f"{found.count} match, more than the {asked.count} that it may be; look again with dry_run"
            )
            return problem(409, "Not possible", detail)
        return await told(request, self._do(asked, found, by=self._guard.who(request)))

    async def _do(self, asked: Many, found: Matching, *, by: str) -> AsyncIterator[Mapping[str, JSON]]:
        """The deed, told after each transaction."""
        tally, after = _Tally(found.count), 0
        while True:
            place, results = await self._store.write(partial(self._some, asked, after, found.last, by))
            if place is None:
                break
            after = place
            for delivery, result in results:
                tally.count(delivery, result)
            self._wake()
            if len(results) == _AT_ONCE:
                yield tally.so_far()
        reasons: dict[str, JSON] = dict(tally.reasons.most_common())
        self._log.info(
            "operator.acted_on_many", action=asked.ACTION, by=by, **tally.in_the_end(), reasons=reasons
        )
        yield {**tally.in_the_end(), "reasons": reasons, "refusals": tally.refusals, "complete": True}

    def _some(
        self, asked: Many, after: int, last: int, by: str, connection: Connection
    ) -> tuple[int | None, list[tuple[str, Amended | str]]]:
        """One transaction: where it ended, and each delivery as it is left, or with the reason why it was refused."""
        chosen = bulk.chosen(connection, asked.wanted, after=after, last=last, most=_AT_ONCE)
        results = [(delivery, self._one(connection, asked, delivery, by)) for _, delivery in chosen]
        return (chosen[-1][0] if chosen else None), results

    def _one(self, connection: Connection, asked: Many, delivery: str, by: str) -> Amended | str:
        now = self._clock.now()
        try:
            if isinstance(asked, RetryMany):
                repair = Repair(connection, destinations=self._destinations(), new_id=self._new_id, now=now)
                left = repair.retry(delivery, force=asked.force)
            else:
                assert isinstance(asked, DiscardMany)
                left = amend.discard(connection, delivery, reason=asked.reason or "", now=now)
        except NotPossible as error:
            return str(error)
        assert left is not None, "it was found in this transaction"
        detail = asked.model_dump(mode="json", exclude_none=True, exclude={"count", "dry_run"})
        noted = {"filter": detail, **left.aftermath}
        entry = Entry(by, asked.ACTION, left.incident, delivery, left.destination, noted)
        audit.note(connection, entry, now=now)
        return left
