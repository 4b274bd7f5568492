"""SQL on the line of a key: what was said there, what waits, and what of that is not worth saying any more.

A line is brought up to date in the transaction that adds to it, and again before anything of it is sent: in between an
attempt may have failed, or somebody may have given up a message.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any

from sqlalchemy import (
    BindParameter,
    Connection,
    Text,
    bindparam,
    case,
    exists,
    func,
    select,
    type_coerce,
    update,
)
from sqlalchemy.engine import Row

from alertbridge.incidents.convergence import Dropped, Said, Unsent, Word, reduce
from alertbridge.model import Action, DeliveryState
from alertbridge.store.columns import Instant, among
from alertbridge.store.schema import SAID, Heard, attempts, deliveries, said

_CHUNK = 5000  # far below the 32,766 parameters that one SQLite statement may have
LIFECYCLE = (Action.ALARMED.value, Action.RESOLVED.value)

_KEYS: BindParameter[str] = bindparam("keys", expanding=True)
_DESTINATION: BindParameter[str] = bindparam("destination")
_CONTENT = type_coerce(deliveries.c.payload, Text).label(
    "content"
)  # as it is stored: to be compared, not to be read
_alarm = deliveries.alias("alarm")
_ANNOUNCED = exists().where(
    _alarm.c.incident == deliveries.c.incident, _alarm.c.action == Action.ALARMED.value
)
_WAITING = select(
    deliveries.c.seq,
    deliveries.c.id,
    deliveries.c.incident,
    deliveries.c.key,
    deliveries.c.action,
    deliveries.c.state,
    deliveries.c.repeats,
    deliveries.c.rank,
    _CONTENT,
    case((deliveries.c.action == Action.RESOLVED.value, ~_ANNOUNCED), else_=False).label("blind"),
).where(
    deliveries.c.destination == _DESTINATION,
    deliveries.c.key.in_(_KEYS),
    among(deliveries.c.state, DeliveryState.PENDING, DeliveryState.SENDING),
    deliveries.c.action.in_(LIFECYCLE),
)

# From the last attempt that certainly arrived onwards; found from its end, however long the history of a key is.
_head = deliveries.alias("head")
_last = attempts.alias("last")
_LAST_CERTAIN = (
    select(_last.c.seq)
    .where(
        _last.c.destination == _head.c.destination,
        _last.c.key == _head.c.key,
        said(_last),
        _last.c.outcome == Heard.DELIVERED.value,
    )
    .order_by(_last.c.seq.desc())
    .limit(1)
    .scalar_subquery()
)
_SAID = (
    select(
        attempts.c.seq,
        attempts.c.key,
        attempts.c.outcome,
        deliveries.c.action,
        deliveries.c.incident,
        _CONTENT,
    )
    .select_from(
        _head.join(
            attempts,
            (attempts.c.destination == _head.c.destination)
            & (attempts.c.key == _head.c.key)
            & SAID
            & (attempts.c.seq >= func.coalesce(_LAST_CERTAIN, 0)),
        ).join(deliveries, deliveries.c.id == attempts.c.delivery)
    )
    .where(_head.c.seq.in_(bindparam("heads", expanding=True)), attempts.c.action.in_(LIFECYCLE))
)
_DROP = (
    update(deliveries)
    .where(deliveries.c.id == bindparam("which"), deliveries.c.state == DeliveryState.PENDING.value)
    .values(
        state=bindparam("left"),
        last_error=bindparam("why"),
        settled_at=bindparam("at", type_=Instant),
        next_attempt_at=None,
        ready=False,
    )
)

_TAKE_TURN = (
    update(deliveries)
    .where(deliveries.c.id == bindparam("which"), deliveries.c.rank > bindparam("turn", type_=Instant))
    .values(rank=bindparam("turn", type_=Instant))
)


def converge(
    connection: Connection, destination: str, keys: Collection[str], *, collapse: bool, now: datetime
) -> frozenset[str]:
    """Leave in these lines only what is worth saying; return the ids of what is not, which keep the reason.

    What takes the place of another also takes its turn, so that a message that is always replaced is said all the same.
    """
    dropped: list[Dropped] = []
    turns: dict[str, datetime] = {}
    wanted = list(keys)
    for start in range(0, len(wanted), _CHUNK):
        found = connection.execute(
            _WAITING, {"destination": destination, "keys": wanted[start : start + _CHUNK]}
        )
        lines = [line for line in _by_key(found) if len(line) > 1 or line[0].action == Action.RESOLVED.value]
        said = _said(connection, [line[0] for line in lines])
        for line in lines:
            left_out = _reduced(line, said[line[0].key], collapse=collapse)
            dropped += left_out
            turns |= _turns(line, left_out)
    if dropped:
        connection.execute(_DROP, [_parameters(one, now) for one in dropped])
    if turns:
        connection.execute(_TAKE_TURN, [{"which": each, "turn": turn} for each, turn in turns.items()])
    return frozenset(one.id for one in dropped)


def heard(connection: Connection, delivery: Row[Any]) -> Said:
    """What its destination has heard on the key of a delivery, or may have heard."""
    return _said(connection, [delivery])[delivery.key]


def _reduced(line: Sequence[Row[Any]], said: Said, *, collapse: bool) -> tuple[Dropped, ...]:
    """What is being sent is said in any case: whatever follows counts from there."""
    unsent = [_unsent(row) for row in line]
    if line[0].state == DeliveryState.SENDING.value:
        said, unsent = Said(unsent[0].word), unsent[1:]
    return reduce(said, unsent, collapse=collapse)


def _said(connection: Connection, heads: Sequence[Row[Any]]) -> Mapping[str, Said]:
    found: dict[str, Said] = defaultdict(Said)
    if not heads:
        return found
    rows = connection.execute(_SAID, {"heads": [head.seq for head in heads]})
    for row in sorted(rows, key=attrgetter("seq")):
        word = Word(Action(row.action), row.incident, row.content)
        if row.outcome == Heard.DELIVERED.value:
            found[row.key] = Said(word)
        else:
            found[row.key] = Said(found[row.key].certain, (*found[row.key].perhaps, word))
    return found


def _by_key(rows: Iterable[Row[Any]]) -> Iterator[list[Row[Any]]]:
    lines: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in sorted(rows, key=attrgetter("seq")):
        lines[row.key].append(row)
    yield from lines.values()


def _unsent(row: Row[Any]) -> Unsent:
    word = Word(Action(row.action), row.incident, row.content)
    return Unsent(row.id, word, blind=bool(row.blind), again=row.repeats is not None)


def _turns(line: Iterable[Row[Any]], dropped: Iterable[Dropped]) -> dict[str, datetime]:
    """The earliest rank of those whose place each one takes."""
    ranks = {row.id: row.rank for row in line}
    turns: dict[str, datetime] = {}
    for one in dropped:
        if one.by is not None:
            turns[one.by] = min(turns.get(one.by, ranks[one.id]), ranks[one.id])
    return turns


def _parameters(one: Dropped, now: datetime) -> dict[str, Any]:
    state = DeliveryState.SKIPPED if one.skipped else DeliveryState.SUPERSEDED
    return {"which": one.id, "left": state.value, "why": one.reason, "at": now}
