"""SQL that forgets: what is finished and old enough is found by a reader, then deleted by key in small batches.

Finding may take long and holds up nobody. Each deletion says the whole condition again, so that what has changed since
it was found stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    bindparam,
    delete,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
)

from alertbridge.model import DeliveryState, EventOutcome
from alertbridge.store.columns import among
from alertbridge.store.lines import LIFECYCLE
from alertbridge.store.schema import (
    ALIVE_STATES,
    CLOSED,
    QUIET,
    alerts,
    deliveries,
    deployments,
    digests,
    doubts,
    events,
    incidents,
    merges,
    rule_sets,
)

Key: TypeAlias = tuple[Any, ...]
Batch: TypeAlias = list[Key]  # what is deleted in one transaction
_FOUND_AT_ONCE = 5000
_MOST_ROWS = 500
_ROWS_BETWEEN_LOOKS = 25  # at the time
_SETS_TO_LOOK_BACK_AT = 20
_MOST_BYTES = 16 * 1024 * 1024  # deleting a large body takes the writer about as long as writing it did
_FINAL = (
    DeliveryState.DELIVERED,
    DeliveryState.SUPERSEDED,
    DeliveryState.SKIPPED,
    DeliveryState.DEAD,
    DeliveryState.DISCARDED,
)


@dataclass(frozen=True, slots=True)
class Kind:
    """Something that is kept for a time.

    `expired` says which rows are done with since before an instant; `order` is an order that an index gives; `size`
    is what deleting a row costs, in bytes, where that counts.
    """

    table: Table
    expired: Callable[[datetime], ColumnElement[bool]]
    order: ColumnElement[Any]
    size: ColumnElement[int]


def _events(before: datetime) -> ColumnElement[bool]:
    return and_(events.c.received_at < before, events.c.outcome != EventOutcome.RECEIVED.value)


def _deliveries(before: datetime) -> ColumnElement[bool]:
    """Final, of an incident that is closed, and on a key where nothing may still be said.

    What is worth saying on a key rests on what was said there. Something dead may be sent again until it goes itself.
    """
    # Literals, because a deletion of many keys takes no list as a parameter.
    final = deliveries.c.state.in_([literal_column(f"'{state.value}'") for state in _FINAL])
    still_open = exists().where(incidents.c.id == deliveries.c.incident, incidents.c.closed_at.is_(None))
    alive = deliveries.alias("alive")
    to_be_said = exists().where(
        alive.c.destination == deliveries.c.destination,
        alive.c.key == deliveries.c.key,
        among(alive.c.state, *ALIVE_STATES),
        alive.c.action.in_([literal_column(f"'{action}'") for action in LIFECYCLE]),
        or_(alive.c.state != DeliveryState.DEAD.value, alive.c.settled_at >= before),
    )
    return and_(deliveries.c.settled_at < before, final, ~still_open, ~to_be_said)


def _incidents(before: datetime) -> ColumnElement[bool]:
    """Closed, past reopening, and with nothing more to say: a delivery that is still kept keeps its incident.

    A digest and what it stands for are kept as long as any of them is open.
    """
    over = or_(incidents.c.reopen_until.is_(None), incidents.c.reopen_until < before)
    said = exists().where(deliveries.c.incident == incidents.c.id)
    other = incidents.alias("other")
    stands_for = exists().where(
        digests.c.digest == incidents.c.id, other.c.id == digests.c.incident, other.c.closed_at.is_(None)
    )
    folded = exists().where(
        digests.c.incident == incidents.c.id, other.c.id == digests.c.digest, other.c.closed_at.is_(None)
    )
    return and_(CLOSED, incidents.c.closed_at < before, over, ~said, ~stands_for, ~folded)


def _alerts(before: datetime) -> ColumnElement[bool]:
    """Quiet for long, and not doubted: what is decided on a doubt rests on what was known of its alert."""
    doubted = exists().where(doubts.c.source == alerts.c.source, doubts.c.fingerprint == alerts.c.fingerprint)
    return and_(QUIET, alerts.c.last_seen < before, ~doubted)


def _deployments(before: datetime) -> ColumnElement[bool]:
    """Told and finished before: one that is told late stays for a while all the same."""
    finished = or_(deployments.c.finished_at.is_(None), deployments.c.finished_at < before)
    return and_(deployments.c.told_at < before, finished)


def _merges(before: datetime) -> ColumnElement[bool]:
    return merges.c.merged_at < before


def _rule_sets(_before: datetime) -> ColumnElement[bool]:
    """Named by nothing any more, however old; the last loaded are kept to look back at, and one of them is in use."""
    newest = rule_sets.alias("newest")
    last = select(newest.c.seq).order_by(newest.c.seq.desc()).limit(1).offset(_SETS_TO_LOOK_BACK_AT - 1)
    naming = [exists().where(one.c.rules_hash == rule_sets.c.hash) for one in (events, incidents, deliveries)]
    return and_(rule_sets.c.seq < last.scalar_subquery(), *(~named for named in naming))


EVENTS = Kind(events, _events, events.c.received_at, func.length(events.c.body))
DELIVERIES = Kind(deliveries, _deliveries, deliveries.c.settled_at, literal(0))
INCIDENTS = Kind(incidents, _incidents, incidents.c.closed_at, literal(0))
ALERTS = Kind(alerts, _alerts, alerts.c.last_seen, literal(0))
DEPLOYMENTS = Kind(deployments, _deployments, deployments.c.told_at, literal(0))
MERGES = Kind(merges, _merges, merges.c.merged_at, literal(0))
RULE_SETS = Kind(rule_sets, _rule_sets, rule_sets.c.seq, literal(0))


def find(connection: Connection, kind: Kind, *, before: datetime) -> list[Batch]:
    """Batches of rows of this kind that are done with; none if there is nothing more to delete."""
    keys = kind.table.primary_key.columns
    query = select(kind.size, *keys).where(kind.expired(before)).order_by(kind.order).limit(_FOUND_AT_ONCE)
    rows = connection.execute(query).all()
    return list(_batches([(size, tuple(key)) for size, *key in rows]))


def remove(
    connection: Connection,
    kind: Kind,
    batch: Batch,
    *,
    before: datetime,
    enough: Callable[[], bool] = lambda: False,
) -> int:
    """Delete what of `batch` is still done with, attempts and members with it; return how many rows that were.

    Once `enough` says so, the rest is left for another time.
    """
    columns = kind.table.primary_key.columns
    names = [f"key_{column.name}" for column in columns]
    named = [column == bindparam(name) for column, name in zip(columns, names, strict=True)]
    statement = delete(kind.table).where(*named, kind.expired(before))
    removed = 0
    for start in range(0, len(batch), _ROWS_BETWEEN_LOOKS):
        keys = batch[start : start + _ROWS_BETWEEN_LOOKS]
        removed += connection.execute(
            statement, [dict(zip(names, key, strict=True)) for key in keys]
        ).rowcount
        if enough():
            break
    return removed


def _batches(rows: Sequence[tuple[int, Key]]) -> Iterator[Batch]:
    batch: Batch = []
    room = _MOST_BYTES
    for size, key in rows:
        if batch and (len(batch) == _MOST_ROWS or size > room):
            yield batch
            batch, room = [], _MOST_BYTES
        batch.append(key)
        room -= size
    if batch:
        yield batch
