"""SQL on events: what was accepted, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
from sqlalchemy import Connection, bindparam, func, insert, select, update

from alertbridge.incidents.state import Verdict
from alertbridge.model import JSON, Event, EventOutcome
from alertbridge.store.schema import Instant, among, events, to_microseconds


@dataclass(frozen=True, slots=True)
class Decided:
    """What is noted on an event once it has been decided, or has failed to be."""

    event: str
    outcome: EventOutcome
    rules_hash: str
    truncated: int = 0
    alerts: tuple[Mapping[str, JSON], ...] = ()
    error: str | None = None


def row(event: Event, outcome: EventOutcome, error: str | None = None) -> tuple[object, ...]:
    """The row that `Writer.append` puts on disk for `event`."""
    return (event.id, event.source, to_microseconds(event.received_at), event.body, outcome.value, error)


def conclude(connection: Connection, event: Event) -> None:
    """Put an event that nobody sent where the others are, to be decided in its turn; `event.inferred` says why."""
    connection.execute(
        insert(events).values(
            id=event.id,
            source=event.source,
            received_at=event.received_at,
            body=event.body,
            outcome=EventOutcome.RECEIVED.value,
            inferred=event.inferred,
        )
    )


def told(verdict: Verdict) -> dict[str, JSON]:
    """A verdict as it is kept with its event and shown to operators."""
    return {
        "fingerprint": verdict.alert.fingerprint,
        "status": verdict.status,
        "rules": list(verdict.rules),
        "incidents": [{"id": incident, "effect": effect.value} for incident, effect in verdict.effects],
        "note": verdict.note,
    }


_WAITING = among(events.c.outcome, EventOutcome.RECEIVED)
_SIZES = (
    select(events.c.seq, func.length(events.c.body))
    .where(_WAITING)
    .order_by(events.c.seq)
    .limit(bindparam("most"))
)
_UNDECIDED = (
    select(events.c.id, events.c.source, events.c.received_at, events.c.body, events.c.inferred)
    .where(_WAITING, events.c.seq <= bindparam("last"))
    .order_by(events.c.seq)
)
_OLDEST_UNDECIDED = select(events.c.received_at).where(_WAITING).order_by(events.c.seq).limit(1)
_COUNT_UNDECIDED = select(func.count()).select_from(events).where(_WAITING)
_ROWS = func.json_each(bindparam("rows")).table_valued("value", name="decided")
_DECIDE = (
    update(events)
    .where(events.c.id == func.json_extract(_ROWS.c.value, "$.event"))
    .values(
        decided_at=bindparam("now", type_=Instant),
        **{
            name: func.json_extract(_ROWS.c.value, f"$.{name}")
            for name in ("outcome", "rules_hash", "truncated", "alerts", "error")
        },
    )
)


def undecided(connection: Connection, *, most: int, most_bytes: int) -> list[Event]:
    """The oldest events that are not decided yet, in the order of their acceptance.

    At most `most` of them, and as many as fit into `most_bytes` of bodies, but at least one if there is any.
    """
    sizes = (connection.execute(_SIZES, {"most": most})).all()
    room, last = most_bytes, None
    for seq, size in sizes:
        if last is not None and size > room:
            break
        room, last = room - size, seq
    if last is None:
        return []
    rows = connection.execute(_UNDECIDED, {"last": last})
    return [Event(r.id, r.source, r.received_at, bytes(r.body), r.inferred or "") for r in rows]


def count_undecided(connection: Connection) -> int:
    """How many events wait to be decided."""
    return int(connection.scalar(_COUNT_UNDECIDED) or 0)


def oldest_undecided(connection: Connection) -> datetime | None:
    """When the event was received that has waited longest to be decided; None if none waits."""
    found: datetime | None = connection.scalar(_OLDEST_UNDECIDED)
    return found


def mark(connection: Connection, decided: Sequence[Decided], *, now: datetime) -> None:
    """Note what became of events, in the transaction that stores their changes: neither is seen without the other.

    All in one statement, its rows handed over as one JSON text.
    """
    if decided:
        rows = [
            {
                "event": item.event,
                "outcome": item.outcome.value,
                "rules_hash": item.rules_hash,
                "truncated": item.truncated,
                "alerts": item.alerts,
                "error": item.error,
            }
            for item in decided
        ]
        connection.execute(_DECIDE, {"rows": orjson.dumps(rows).decode(), "now": now})
