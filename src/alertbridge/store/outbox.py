"""SQL on the way into the outbox: what is to be said, and what of it is overtaken before it was said.

States only move along `held → pending → sending → delivered | dead`, back from `sending` to `pending` for
another try, and sideways to `superseded`, `skipped`, `discarded`. One writing connection makes every statement on
deliveries atomic against every other. The way out is `dispatch`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter

from sqlalchemy import Connection, bindparam, case, func, insert, select, update

from alertbridge.model import JSON, Action, DeliveryState, Severity
from alertbridge.store.schema import Instant, deliveries


@dataclass(frozen=True, slots=True)
class Posting:
    """A delivery about to enter the outbox."""

    id: str
    incident: str
    destination: str
    key: str
    action: Action
    rules_hash: str
    severity: Severity
    state: DeliveryState
    payload: Mapping[str, JSON]
    missing: tuple[str, ...]
    due_at: datetime
    received_at: datetime
    note: str | None = None


_UNSENT = (DeliveryState.HELD.value, DeliveryState.PENDING.value)
_CHUNK = 5000  # far below the 32,766 parameters that one SQLite statement may have
_WITHDRAW = (
    update(deliveries)
    .where(
        deliveries.c.incident.in_(bindparam("whose", expanding=True)),
        deliveries.c.action == bindparam("told"),
        deliveries.c.state.in_(_UNSENT),
    )
    .values(
        state=DeliveryState.SUPERSEDED.value, settled_at=bindparam("at", type_=Instant), next_attempt_at=None
    )
)

_UNSAID_ALARM = (deliveries.c.action == Action.ALARMED.value) & deliveries.c.state.in_(_UNSENT)
_UNHEARD = (
    select(deliveries.c.incident)
    .where(deliveries.c.incident.in_(bindparam("whose", expanding=True)))
    .group_by(deliveries.c.incident)
    .having(
        func.max(deliveries.c.attempts) == 0,
        func.sum(case((_UNSAID_ALARM, 1), else_=0)) > 0,
    )
)
_SKIP = (
    update(deliveries)
    .where(deliveries.c.incident.in_(bindparam("whose", expanding=True)), deliveries.c.state.in_(_UNSENT))
    .values(
        state=DeliveryState.SKIPPED.value,
        settled_at=bindparam("at", type_=Instant),
        next_attempt_at=None,
        last_error="the incident was over before this was sent (collapse: true)",
    )
)


def withdraw(connection: Connection, overtaken: Iterable[tuple[str, Action]], *, now: datetime) -> None:
    """Supersede the unsent deliveries of these incidents and actions: a newer truth takes their place."""
    for action, pairs in groupby(sorted(overtaken, key=itemgetter(1)), key=itemgetter(1)):
        incidents = [incident for incident, _ in pairs]
        for start in range(0, len(incidents), _CHUNK):
            connection.execute(
                _WITHDRAW, {"told": action.value, "whose": incidents[start : start + _CHUNK], "at": now}
            )


def collapse(connection: Connection, whose: Iterable[str], *, now: datetime) -> None:
    """Skip all that waits to be said of those incidents whose `alarmed` was never tried: nobody has heard of them."""
    incidents = list(whose)
    for start in range(0, len(incidents), _CHUNK):
        unheard = connection.scalars(_UNHEARD, {"whose": incidents[start : start + _CHUNK]}).all()
        if unheard:
            connection.execute(_SKIP, {"whose": unheard, "at": now})


def post(connection: Connection, postings: Sequence[Posting], *, now: datetime) -> None:
    """Enter deliveries, in order."""
    if not postings:
        return
    connection.execute(
        insert(deliveries),
        [
            {
                "id": posting.id,
                "incident": posting.incident,
                "destination": posting.destination,
                "key": posting.key,
                "action": posting.action.value,
                "rules_hash": posting.rules_hash,
                "severity": posting.severity.value,
                "state": posting.state.value,
                "payload": posting.payload,
                "missing": list(posting.missing),
                "next_attempt_at": posting.due_at if posting.state is DeliveryState.PENDING else None,
                "last_error": posting.note,
                "received_at": posting.received_at,
                "created_at": now,
                "settled_at": None if posting.state.value in _UNSENT else now,
            }
            for posting in postings
        ],
    )
