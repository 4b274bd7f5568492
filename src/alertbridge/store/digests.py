"""SQL on digests: what may be folded into one, what each stands for, and which are over.

All of it in the transaction that claims: what is folded was on no way to its destination yet, and cannot be by then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, FromClause, and_, bindparam, exists, func, select, update
from sqlalchemy.dialects import sqlite

from alertbridge.incidents.digest import KEY_PREFIX, RULE, Opening
from alertbridge.incidents.state import Changes, Incident
from alertbridge.model import Action, DeliveryState, Severity
from alertbridge.store import ledger
from alertbridge.store.columns import Instant, among
from alertbridge.store.schema import AMBIGUOUS, attempts, deliveries, digests, incidents, said

_MOST = 1000  # openings that are folded at once: nothing else is written meanwhile
_AFTER_PREFIX = KEY_PREFIX[:-1] + chr(ord(KEY_PREFIX[-1]) + 1)
_PENDING = among(deliveries.c.state, DeliveryState.PENDING)
_digest = incidents.alias("digest")
_alarm = deliveries.alias("alarm")
# The open digest that stands for the incident of a delivery: announced, or about to be.
_TOLD_BY = (
    select(_digest.c.id)
    .join(digests, digests.c.digest == _digest.c.id)
    .where(
        digests.c.incident == deliveries.c.incident,
        _digest.c.closed_at.is_(None),
        exists().where(
            _alarm.c.incident == _digest.c.id,
            _alarm.c.action == Action.ALARMED.value,
            among(_alarm.c.state, DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.DELIVERED),
        ),
    )
    .limit(1)
    .scalar_subquery()
)
_FOLD = (
    update(deliveries)
    .where(deliveries.c.id == bindparam("which"), deliveries.c.state == DeliveryState.PENDING.value)
    .values(
        state=DeliveryState.SUPERSEDED.value,
        last_error=bindparam("why"),
        settled_at=bindparam("at", type_=Instant),
        next_attempt_at=None,
        ready=False,
    )
)


def waiting(connection: Connection, destination: str, *, most: int) -> int:
    """How many messages are due, counted up to `most`."""
    due = select(deliveries.c.seq).where(
        deliveries.c.destination == destination, _PENDING, deliveries.c.ready
    )
    return connection.scalar(select(func.count()).select_from(due.limit(most).subquery())) or 0


def openings(connection: Connection, destination: str, *, highest: Severity) -> list[Opening]:
    """The waiting `alarmed`, by rank, that nobody would miss: of incidents never told, on keys where nothing is open.

    Where a request got no answer, nothing is folded: what may land there yet has to be contradicted on that key.
    """
    ahead, tried, last = deliveries.alias("ahead"), deliveries.alias("tried"), attempts.alias("last")
    on_key = and_(attempts.c.destination == deliveries.c.destination, attempts.c.key == deliveries.c.key)
    last_said = (
        select(last.c.action)
        .where(
            last.c.destination == deliveries.c.destination,
            last.c.key == deliveries.c.key,
            said(last),
        )
        .order_by(last.c.seq.desc())
        .limit(1)
        .scalar_subquery()
    )
    rows = connection.execute(
        select(
            deliveries.c.id,
            deliveries.c.incident,
            deliveries.c.key,
            deliveries.c.rank,
            deliveries.c.received_at,
            _TOLD_BY.label("told_by"),
        )
        .where(
            deliveries.c.destination == destination,
            _PENDING,
            deliveries.c.ready,
            deliveries.c.action == Action.ALARMED.value,
            deliveries.c.severity <= highest.value,
            deliveries.c.attempts == 0,
            deliveries.c.repeats.is_(None),
            exists().where(incidents.c.id == deliveries.c.incident, incidents.c.rule != RULE),
            ~exists().where(
                ahead.c.destination == deliveries.c.destination,
                ahead.c.key == deliveries.c.key,
                ahead.c.seq < deliveries.c.seq,
                among(ahead.c.state, DeliveryState.PENDING, DeliveryState.SENDING),
            ),
            ~exists().where(tried.c.incident == deliveries.c.incident, tried.c.attempts > 0),
            ~exists().where(on_key, AMBIGUOUS),
            func.coalesce(last_said, "") != Action.ALARMED.value,
        )
        .order_by(deliveries.c.rank, deliveries.c.seq)
        .limit(_MOST)
    )
    return [Opening(row.id, row.incident, row.key, row.rank, row.received_at, row.told_by) for row in rows]


def joinable(connection: Connection, destination: str) -> str | None:
    """The open digest whose `alarmed` waits and was never tried, so that it can still say more."""
    unsent = exists().where(
        _alarm.c.incident == incidents.c.id,
        _alarm.c.action == Action.ALARMED.value,
        among(_alarm.c.state, DeliveryState.PENDING),
    )
    tried = exists().where(_alarm.c.incident == incidents.c.id, _alarm.c.attempts > 0)
    found: str | None = connection.scalar(
        select(incidents.c.id)
        .where(*_open(destination), unsent, ~tried)
        .order_by(incidents.c.key.desc())
        .limit(1)
    )
    return found


def put(connection: Connection, folded: Sequence[Opening], *, incident: Incident, now: datetime) -> None:
    """Store the digest as it is now, and that it stands for what is folded, which is superseded by it."""
    ledger.store(connection, Changes(incidents={incident.id: incident}))
    standing_for = {one.incident: {"digest": incident.id, "incident": one.incident} for one in folded}
    connection.execute(sqlite.insert(digests).on_conflict_do_nothing(), [*standing_for.values()])
    supersede(connection, folded, by=incident.id, now=now)


def supersede(connection: Connection, folded: Iterable[Opening], *, by: str, now: datetime) -> None:
    """These are not told by themselves: the digest `by` stands for them."""
    why = f"superseded: folded into digest {by}"
    connection.execute(_FOLD, [{"which": one.delivery, "why": why, "at": now} for one in folded])


def members(connection: Connection, digest: str) -> list[Incident]:
    """The incidents that a digest stands for, or stood for, in the order of their opening."""
    wanted = select(digests.c.incident).where(digests.c.digest == digest)
    return ledger.find_all(connection, wanted)


def over(connection: Connection, destination: str) -> list[Incident]:
    """The open digests with no member that is open and was never told by itself."""
    told = exists().where(
        _alarm.c.incident == incidents.c.id,
        _alarm.c.action == Action.ALARMED.value,
        among(_alarm.c.state, DeliveryState.DELIVERED),
    )
    left = (
        select(digests.c.incident)
        .join(incidents, incidents.c.id == digests.c.incident)
        .where(digests.c.digest == _digest.c.id, incidents.c.closed_at.is_(None), ~told)
        .exists()
    )
    wanted = select(_digest.c.id).where(*_open(destination, _digest), ~left)
    return ledger.find_all(connection, wanted)


def take_turn(connection: Connection, digest: str, folded: Iterable[Opening]) -> None:
    """Its `alarmed` goes when the first of them would have gone."""
    turn = min(one.rank for one in folded)
    connection.execute(
        update(deliveries)
        .where(deliveries.c.incident == digest, _PENDING, deliveries.c.rank > turn)
        .values(rank=turn)
    )


def _open(destination: str, table: FromClause = incidents) -> tuple[ColumnElement[bool], ...]:
    """The open digests there, found by their key in the index of what is open."""
    columns = table.c
    return (
        columns.destination == destination,
        columns.closed_at.is_(None),
        columns.key >= KEY_PREFIX,
        columns.key < _AFTER_PREFIX,
        columns.rule == RULE,
    )
