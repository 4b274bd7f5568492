"""SQL on saying the last state of a key once more, where a request that got no answer may have arrived after it."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, Text, exists, insert, select, type_coerce

from alertbridge.incidents.convergence import Word, contradicts
from alertbridge.incidents.precedence import rank
from alertbridge.model import Action, DeliveryState, Severity
from alertbridge.store.columns import among
from alertbridge.store.dispatch import Claim
from alertbridge.store.lines import LIFECYCLE
from alertbridge.store.schema import AMBIGUOUS, SAID, Heard, attempts, deliveries

_BELIEVED = timedelta(hours=1)  # no request lands later than that
_MOST = 20  # attempts that are looked at


def repeat(connection: Connection, said: Claim, *, landing_time: timedelta, now: datetime) -> bool:
    """After `said` was delivered: let it be said once more after `landing_time`, if it must be, and return whether.

    It must be if it is the last state of its key, and an attempt before it that says something else got no answer within
    the last hour. Each such attempt leads to one repetition: none follows a repetition, or an attempt from before one.
    """
    if not landing_time or said.action.value not in LIFECYCLE:
        return False
    if not _may_contradict(connection, said, now):
        return False
    waiting = exists().where(
        deliveries.c.destination == said.destination,
        deliveries.c.key == said.key,
        among(deliveries.c.state, DeliveryState.PENDING, DeliveryState.SENDING),
    )
    if connection.scalar(select(waiting)):
        return False
    row = connection.execute(select(deliveries).where(deliveries.c.id == said.id)).one()
    connection.execute(
        insert(deliveries).values(
            id=f"{row.id}-again",
            incident=row.incident,
            destination=row.destination,
            key=row.key,
            action=row.action,
            rules_hash=row.rules_hash,
            severity=row.severity,
            state=DeliveryState.PENDING.value,
            payload=row.payload,
            missing=[],
            repeats=row.id,
            next_attempt_at=now + landing_time,
            rank=rank(now, Severity(row.severity), news=False),
            ready=False,
            last_error="said once more: an earlier attempt on this key got no answer and may have arrived late",
            received_at=now,
            created_at=now,
        )
    )
    return True


def _may_contradict(connection: Connection, said: Claim, now: datetime) -> bool:
    """Whether an attempt that got no answer may have undone, or may still undo, what `said` has said."""
    on_key = (attempts.c.destination == said.destination, attempts.c.key == said.key)
    if not connection.scalar(select(exists().where(*on_key, AMBIGUOUS))):
        return False
    content = type_coerce(deliveries.c.payload, Text)
    rows = connection.execute(
        select(
            attempts.c.delivery,
            attempts.c.outcome,
            attempts.c.finished_at,
            deliveries.c.action,
            deliveries.c.incident,
            deliveries.c.repeats,
            content.label("content"),
        )
        .join(deliveries, deliveries.c.id == attempts.c.delivery)
        .where(*on_key, SAID, attempts.c.action.in_(LIFECYCLE))
        .order_by(attempts.c.seq.desc())
        .limit(_MOST)
    ).all()
    last = Word(said.action, said.incident, rows[0].content)
    for row in rows:
        word = Word(Action(row.action), row.incident, row.content)
        lost = row.outcome == Heard.AMBIGUOUS.value and row.finished_at >= now - _BELIEVED
        if lost and contradicts(word, last):
            return True
        if row.repeats is not None:
            return False
    return False
