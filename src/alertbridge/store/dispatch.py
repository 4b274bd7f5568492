"""SQL on the way out of the outbox: what is due, what is being sent, what became of it.

The way in, and the states, are `outbox`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Connection,
    bindparam,
    case,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    type_coerce,
    update,
)
from sqlalchemy.engine import Row

from alertbridge.model import JSON, Action, DeliveryState
from alertbridge.store import spacing, stops
from alertbridge.store.columns import Instant, Span, among
from alertbridge.store.lines import LIFECYCLE, converge
from alertbridge.store.schema import ALIVE_STATES, attempts, deliveries


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery that is ours to send now. `attempt` counts from 1."""

    id: str
    incident: str
    destination: str
    key: str
    action: Action
    payload: Mapping[str, JSON]
    attempt: int
    created_at: datetime
    received_at: datetime
    paused_for: timedelta
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Result:
    """How a claimed delivery is to be left after its attempt."""

    state: DeliveryState
    outcome: str
    error: str | None
    next_attempt_at: datetime | None
    status: int | None = None
    response: Mapping[str, JSON] | None = None
    reference: str | None = None


_AHEAD = (DeliveryState.PENDING, DeliveryState.SENDING)
_PENDING = among(deliveries.c.state, DeliveryState.PENDING)
_PUT_OFF = (
    update(deliveries)
    .where(deliveries.c.id == bindparam("which"))
    .values(next_attempt_at=bindparam("until", type_=Instant), ready=False)
)
_FARTHEST = timedelta(days=2)  # no retry is put off that far
_PAGE = 100  # rows that are looked at together once the first do not do
_MOST_LOOKED_AT = 200  # in one transaction: others want the writer as well


def claim(
    connection: Connection,
    destination: str,
    *,
    now: datetime,
    most: int,
    key_interval: timedelta,
    landing_time: timedelta = timedelta(0),
    collapse: bool = False,
) -> list[Claim]:
    """Take up to `most` due deliveries by their rank, each the first in the line of its key, and note that attempts begin.

    A delivery behind another of its key that is neither final nor held is never taken, so a key has at most one in
    flight and keeps its order. What is not worth saying any more is left out. Where much is put off or left out this
    gives up for now: then there is still a `first_in_line`, and it is to be called again in another transaction.
    """
    _notice_due(connection, destination, now)
    taken: list[Row[Any]] = []
    looked_at, page = 0, most
    while len(taken) < most and looked_at < _MOST_LOOKED_AT:
        rows = connection.execute(_first(destination, min(page, _MOST_LOOKED_AT - looked_at))).all()
        if not rows:
            break
        looked_at, page = looked_at + len(rows), _PAGE
        keys = {row.key for row in rows if row.action in LIFECYCLE}
        if keys and converge(connection, destination, keys, collapse=collapse, now=now):
            continue  # what follows on those keys takes its turn among these
        put_off = spacing.earliest(
            connection, rows, now=now, key_interval=key_interval, landing_time=landing_time
        )
        _put_off(connection, put_off)  # it makes room for what is due behind it
        ready = [row for row in rows if row.id not in put_off][: most - len(taken)]
        _mark_sending(connection, ready)
        taken += ready
    claims = [_claim(row, now) for row in taken]
    if claims:
        connection.execute(insert(attempts), [_attempt(one) for one in claims])
    return claims


def _mark_sending(connection: Connection, rows: Sequence[Row[Any]]) -> None:
    connection.execute(
        update(deliveries)
        .where(deliveries.c.id.in_([row.id for row in rows]))
        .values(
            state=DeliveryState.SENDING.value,
            attempts=deliveries.c.attempts + 1,
            next_attempt_at=None,
            ready=False,
        )
    )


def _attempt(claim: Claim) -> dict[str, Any]:
    return {
        "delivery": claim.id,
        "number": claim.attempt,
        "destination": claim.destination,
        "key": claim.key,
        "action": claim.action.value,
        "started_at": claim.started_at,
    }


def _notice_due(connection: Connection, destination: str, now: datetime) -> None:
    """Let what has fallen due take its turn by rank; so what is not due yet is not looked at again and again."""
    connection.execute(
        update(deliveries)
        .where(
            deliveries.c.destination == destination,
            _PENDING,
            ~deliveries.c.ready,
            deliveries.c.next_attempt_at <= now,
        )
        .values(ready=True)
    )


def _first(destination: str, most: int) -> Any:
    ahead = deliveries.alias("ahead")
    return (
        select(deliveries)
        .where(
            deliveries.c.destination == destination,
            _PENDING,
            deliveries.c.ready,
            ~exists().where(
                ahead.c.destination == deliveries.c.destination,
                ahead.c.key == deliveries.c.key,
                among(ahead.c.state, *_AHEAD),
                # What was held, or dead, may have let something newer go ahead.
                or_(ahead.c.seq < deliveries.c.seq, among(ahead.c.state, DeliveryState.SENDING)),
            ),
        )
        .order_by(deliveries.c.rank, deliveries.c.seq)
        .limit(most)
    )


def first_in_line(connection: Connection, destination: str, most: int) -> list[str]:
    """Which deliveries would be taken first."""
    return [row.id for row in connection.execute(_first(destination, most))]


def _put_off(connection: Connection, until: Mapping[str, datetime]) -> None:
    if until:
        connection.execute(_PUT_OFF, [{"which": each, "until": due} for each, due in until.items()])


def settle(connection: Connection, claimed: Claim, result: Result, *, now: datetime) -> bool:
    """Leave a claimed delivery as its attempt made it.

    The guards on state and attempt make a late settlement of an attempt that was given up, or is settled, harmless: it
    returns False.
    """
    final = result.state not in {DeliveryState.PENDING, DeliveryState.HELD}
    done = connection.execute(
        update(deliveries)
        .where(
            deliveries.c.id == claimed.id,
            deliveries.c.state == DeliveryState.SENDING.value,
            deliveries.c.attempts == claimed.attempt,
        )
        .values(
            state=result.state.value,
            last_outcome=result.outcome,
            last_error=result.error,
            next_attempt_at=result.next_attempt_at,
            response=result.response,
            reference=result.reference,
            delivered_at=now if result.state is DeliveryState.DELIVERED else None,
            settled_at=now if final else None,
        )
    )
    connection.execute(
        update(attempts)
        .where(
            attempts.c.delivery == claimed.id,
            attempts.c.number == claimed.attempt,
            attempts.c.finished_at.is_(None),
        )
        .values(finished_at=now, outcome=result.outcome, status=result.status, error=result.error)
    )
    return done.rowcount == 1


def recover(connection: Connection, *, now: datetime) -> int:
    """After a crash: what was being sent may have arrived, so its attempt was ambiguous and it goes again.

    What was put off or posted under a clock that has been set back since is due now.
    """
    reason = "the daemon stopped while this was being sent; it may have arrived"
    connection.execute(
        update(attempts)
        .where(attempts.c.finished_at.is_(None))
        .values(finished_at=now, outcome="ambiguous", error=reason)
    )
    connection.execute(
        update(deliveries)
        .where(
            _PENDING,
            ~deliveries.c.ready,
            deliveries.c.next_attempt_at > now + _FARTHEST,
            # One that was never tried may wait longer than that, for a `reopen_window`.
            or_(deliveries.c.attempts > 0, deliveries.c.created_at > now),
        )
        .values(next_attempt_at=now)
    )
    done = connection.execute(
        update(deliveries)
        .where(among(deliveries.c.state, *ALIVE_STATES), deliveries.c.state == DeliveryState.SENDING.value)
        .values(
            state=DeliveryState.PENDING.value,
            next_attempt_at=now,
            last_outcome="ambiguous",
            last_error=reason,
        )
    )
    return done.rowcount


def expire_held(connection: Connection, destination: str, *, now: datetime, hold_for: timedelta) -> int:
    """Give up held deliveries that nobody completed in time: they are dead, in front of an operator.

    One that was sent again by hand, and only then found to lack something, has its whole time from there.
    """
    done = connection.execute(
        update(deliveries)
        .where(
            deliveries.c.destination == destination,
            among(deliveries.c.state, DeliveryState.HELD),
            deliveries.c.created_at <= now - hold_for,  # by the index, whatever was paused since
            deliveries.c.created_at <= literal(now - hold_for, Instant) - deliveries.c.paused_for,
        )
        .values(
            state=DeliveryState.DEAD.value,
            settled_at=now,
            last_error=f"held for {hold_for} and never completed",
        )
    )
    return done.rowcount


def add_pause(connection: Connection, destination: str, *, since: datetime, until: datetime) -> None:
    """Let the time that a destination was paused not count to the age of what waited there.

    From where an operator stopped it on, that is left to whoever lifts the stop.
    """
    stop = stops.find(connection).get(destination)
    until = until if stop is None else min(until, stop.since)
    since = min(since, until)  # the clock may have been set back
    began = case((deliveries.c.created_at > since, deliveries.c.created_at), else_=literal(since, Instant))
    counted = deliveries.c.paused_for + type_coerce(literal(until, Instant) - began, Span)
    most = type_coerce(literal(until, Instant) - deliveries.c.created_at, Span)
    connection.execute(
        update(deliveries)
        .where(
            deliveries.c.destination == destination,
            among(deliveries.c.state, *_AHEAD),
            deliveries.c.created_at <= until,
            deliveries.c.paused_for < most,
        )
        # Of what was sent again meanwhile, all time before that counts as paused already.
        .values(paused_for=case((counted > most, most), else_=counted))
    )


def next_due(connection: Connection, destination: str, *, now: datetime) -> datetime | None:
    """When the next delivery that is not due yet will be."""
    found: datetime | None = connection.scalar(
        select(func.min(deliveries.c.next_attempt_at)).where(
            deliveries.c.destination == destination,
            _PENDING,
            ~deliveries.c.ready,
            deliveries.c.next_attempt_at > now,
        )
    )
    return found


def recent_starts(connection: Connection, destination: str, *, since: datetime) -> list[datetime]:
    """When the attempts since `since` began, in order."""
    rows = connection.execute(
        select(attempts.c.started_at)
        .where(attempts.c.destination == destination, attempts.c.started_at > since)
        .order_by(attempts.c.started_at)
    )
    return [row.started_at for row in rows]


def _claim(row: Row[Any], now: datetime) -> Claim:
    return Claim(
        id=row.id,
        incident=row.incident,
        destination=row.destination,
        key=row.key,
        action=Action(row.action),
        payload=row.payload,
        attempt=row.attempts + 1,
        created_at=row.created_at,
        received_at=row.received_at,
        paused_for=row.paused_for,
        started_at=now,
    )
