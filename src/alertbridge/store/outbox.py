"""SQL on the way into the outbox: what is to be said, and what of it is withdrawn before it was said.

States only move along `held → pending → sending → delivered | dead`, back from `sending` to `pending` for
another try, and sideways to `superseded`, `skipped`, `discarded`. One writing connection makes every statement on
deliveries atomic against every other. The way out is `dispatch`; what of it all is still worth saying, `lines`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, insert, update

from alertbridge.incidents.precedence import rank
from alertbridge.model import JSON, Action, DeliveryState, Severity
from alertbridge.store.columns import Instant
from alertbridge.store.schema import deliveries


@dataclass(frozen=True, slots=True)
class Posting:
    """A delivery about to enter the outbox. `news` if it says that something has begun or is over."""

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
    news: bool = True


_UNSENT = (DeliveryState.HELD.value, DeliveryState.PENDING.value)
_CHUNK = 5000  # far below the 32,766 parameters that one SQLite statement may have
REOPENED = "superseded: its incident is open again"
_WITHDRAW = (
    update(deliveries)
    .where(
        deliveries.c.incident.in_(bindparam("whose", expanding=True)),
        deliveries.c.action == Action.RECORD.value,
        deliveries.c.state.in_(_UNSENT),
    )
    .values(
        state=DeliveryState.SUPERSEDED.value,
        settled_at=bindparam("at", type_=Instant),
        next_attempt_at=None,
        ready=False,
        last_error=REOPENED,
    )
)


def withdraw_records(connection: Connection, reopened: Iterable[str], *, now: datetime) -> None:
    """Supersede the unsent records of these incidents: they are not over after all, and will have another."""
    incidents = list(reopened)
    for start in range(0, len(incidents), _CHUNK):
        connection.execute(_WITHDRAW, {"whose": incidents[start : start + _CHUNK], "at": now})


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
                "rank": rank(now, posting.severity, news=posting.news),
                "ready": posting.state is DeliveryState.PENDING and posting.due_at <= now,
                "last_error": posting.note,
                "received_at": posting.received_at,
                "created_at": now,
                "settled_at": None if posting.state.value in _UNSENT else now,
            }
            for posting in postings
        ],
    )
