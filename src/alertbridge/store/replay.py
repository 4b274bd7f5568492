"""SQL on events that may be decided once more, in the order of their acceptance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from alertbridge.model import Event, EventOutcome
from alertbridge.store.listings import NOT_POSTED
from alertbridge.store.schema import events

_MOST_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Stored:
    """An event as it is kept, and what became of it; `notes` are those of its alerts."""

    seq: int
    event: Event
    outcome: EventOutcome
    notes: frozenset[str]


def newest(connection: Connection) -> int:
    """The place of the newest event; 0 if there is none."""
    return connection.scalar(select(func.max(events.c.seq))) or 0


def accepted(
    connection: Connection, *, since: datetime, source: str | None, after: int, most: int
) -> list[Stored]:
    """The next events after that place, received at `since` or later; what is itself a replay is passed over.

    At most `most` of them, and about 4 MiB of bodies, but at least one if there is any.
    """
    size = func.length(events.c.body).label("size")
    query = select(events.c.seq, size).where(
        events.c.seq > after, events.c.received_at >= since, events.c.replay_of.is_(None)
    )
    if source is not None:
        query = query.where(events.c.source == source)
    room, seqs = _MOST_BYTES, list[int]()
    for row in connection.execute(query.order_by(events.c.seq).limit(most)):
        if seqs and row.size > room:
            break
        room -= row.size
        seqs.append(row.seq)
    return _read(connection, seqs)


def _read(connection: Connection, seqs: Sequence[int]) -> list[Stored]:
    names = ("seq", "id", "source", "received_at", "body", "outcome", "alerts", *NOT_POSTED)
    query = select(*(events.c[name] for name in names)).where(events.c.seq.in_(seqs)).order_by(events.c.seq)
    return [
        Stored(
            seq=row.seq,
            event=Event(
                id=row.id,
                source=row.source,
                received_at=row.received_at,
                body=bytes(row.body),
                inferred=row.inferred or "",
                adopted=row.adopted or "",
                by_hand=row.by_hand or "",
            ),
            outcome=EventOutcome(row.outcome),
            notes=frozenset(alert["note"] for alert in row.alerts or () if alert["note"]),
        )
        for row in connection.execute(query)
    ]
