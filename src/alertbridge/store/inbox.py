"""SQL on events: what was accepted, and what became of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

import orjson
from sqlalchemy import Connection, bindparam, func, insert, select, update

from alertbridge.incidents.state import Verdict
from alertbridge.model import JSON, Event, EventOutcome
from alertbridge.store.columns import Instant, among, to_microseconds
from alertbridge.store.schema import events


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
    """Put an event that nobody sent, or that is decided once more, where the others are, to be decided in its turn; it says why."""
    connection.execute(
        insert(events).values(
            id=event.id,
            source=event.source,
            received_at=event.received_at,
            body=event.body,
            outcome=EventOutcome.RECEIVED.value,
            inferred=event.inferred or None,
            adopted=event.adopted or None,
            by_hand=event.by_hand or None,
            replay_of=event.replay_of or None,
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
_OLDEST = (
    select(events.c.seq, events.c.id, func.length(events.c.body).label("size"))
    .where(_WAITING)
    .order_by(events.c.seq)
    .limit(bindparam("most"))
    .subquery()
)
# One row for all of them: before each row the interpreter's lock is let go, and must be won back from a busy event loop.
_WHICH = select(func.json_group_array(func.json_array(_OLDEST.c.seq, _OLDEST.c.id, _OLDEST.c.size)))
_BY_SEQ = select(
    events.c.id,
    events.c.source,
    events.c.received_at,
    events.c.body,
    events.c.inferred,
    events.c.adopted,
    events.c.by_hand,
    events.c.replay_of,
).where(events.c.seq.in_(bindparam("seqs", expanding=True)))
_OLDEST_UNDECIDED = (
    select(events.c.received_at)
    .where(
        _WAITING, events.c.replay_of.is_(None)
    )  # a replay waits since it was asked for, and not since it was received
    .order_by(events.c.seq)
    .limit(1)
)
_BACKLOG = select(events.c.id, func.length(events.c.body).label("size")).where(_WAITING)
_COUNT_UNDECIDED = select(func.count()).select_from(events).where(_WAITING)
_VERDICTS = func.json_each(bindparam("verdicts")).table_valued("key", "value", name="decided")
_DECIDE = (
    update(events)
    .where(events.c.id == _VERDICTS.c.key)
    .values(
        outcome=bindparam("outcome"),
        decided_at=bindparam("now", type_=Instant),
        rules_hash=bindparam("rules_hash"),
        truncated=bindparam("truncated"),
        alerts=_VERDICTS.c.value,
        error=bindparam("error"),
    )
)


def undecided(
    connection: Connection, *, most: int, most_bytes: int, at_hand: Mapping[str, Event] = MappingProxyType({})
) -> list[Event]:
    """The oldest events that are not decided yet, in the order of their acceptance; those `at_hand` are not read again.

    At most `most` of them, and as many as fit into `most_bytes` of bodies, but at least one if there is any.
    """
    room = most_bytes
    which: dict[str, int] = {}
    for seq, identifier, size in sorted(orjson.loads(connection.scalar(_WHICH, {"most": most}) or "[]")):
        if which and size > room:
            break
        room -= size
        which[identifier] = seq
    absent = [seq for identifier, seq in which.items() if identifier not in at_hand]
    read = {event.id: event for event in _read(connection, absent)} if absent else {}
    return [at_hand.get(identifier) or read[identifier] for identifier in which]


def _read(connection: Connection, seqs: Sequence[int]) -> list[Event]:
    rows = connection.execute(_BY_SEQ, {"seqs": seqs})
    return [
        Event(
            id=row.id,
            source=row.source,
            received_at=row.received_at,
            body=bytes(row.body),
            inferred=row.inferred or "",
            adopted=row.adopted or "",
            by_hand=row.by_hand or "",
            replay_of=row.replay_of or "",
        )
        for row in rows
    ]


def count_undecided(connection: Connection) -> int:
    """How many events wait to be decided."""
    return int(connection.scalar(_COUNT_UNDECIDED) or 0)


def backlog(connection: Connection) -> dict[str, int]:
    """The ids of all that waits to be decided, with the size of each body in bytes."""
    return {row.id: row.size for row in connection.execute(_BACKLOG)}


def oldest_undecided(connection: Connection) -> datetime | None:
    """When the event was received that has waited longest to be decided; None if none waits."""
    found: datetime | None = connection.scalar(_OLDEST_UNDECIDED)
    return found


def mark(connection: Connection, decided: Sequence[Decided], *, now: datetime) -> None:
    """Note what became of events, in the transaction that stores their changes: neither is seen without the other.

    One statement for all of which the same is to be noted but for their alerts, which are handed over as one JSON text.
    """
    alike: dict[tuple[EventOutcome, str, int, str | None], dict[str, Any]] = defaultdict(dict)
    for item in decided:
        alike[item.outcome, item.rules_hash, item.truncated, item.error][item.event] = item.alerts
    for (outcome, rules_hash, truncated, error), verdicts in alike.items():
        noted = {
            "verdicts": orjson.dumps(verdicts).decode(),
            "outcome": outcome.value,
            "now": now,
            "rules_hash": rules_hash,
            "truncated": truncated,
            "error": error,
        }
        connection.execute(_DECIDE, noted)
