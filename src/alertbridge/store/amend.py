"""SQL on deliveries by an operator's hand: sent again, given up, filled in.

Each function says what it did by the row it leaves behind, or raises NotPossible with the reason and what to do instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, exists, select, update
from sqlalchemy.engine import Row

from alertbridge.errors import AlertbridgeError
from alertbridge.model import JSON, Action, Composed, DeliveryState, instant
from alertbridge.store.columns import among
from alertbridge.store.lines import LIFECYCLE, heard
from alertbridge.store.schema import deliveries, incidents

_MOVED_ON = (DeliveryState.DELIVERED, DeliveryState.SUPERSEDED, DeliveryState.SKIPPED)
_WAITING = (DeliveryState.HELD, DeliveryState.PENDING)


class NotPossible(AlertbridgeError):  # noqa: N818 - names what happened, as errors.py does
    """What is asked for does not fit the state that something is in."""


@dataclass(frozen=True, slots=True)
class Amended:
    """A delivery as it is left; None where an incident is not over, and has none yet.

    `resolved_by` is the `resolved` that follows the alarm of an incident that is over. `left_open` says that the
    destination was told, or may have been, that something is open which is over.
    """

    incident: str
    destination: str
    delivery: str | None
    state: DeliveryState | None
    missing: tuple[str, ...] = ()
    resolved_by: str | None = None
    left_open: bool = False

    @property
    def aftermath(self) -> dict[str, JSON]:
        """What follows by itself; only what there is."""
        follows: dict[str, JSON] = {"resolved_by": self.resolved_by} if self.resolved_by else {}
        return {**follows, **({"left_open": True} if self.left_open else {})}


def sendable(connection: Connection, delivery: str, *, force: bool, now: datetime) -> Row[Any] | None:
    """The delivery, if it may be sent again; None if there is no such delivery.

    A dead `alarmed` or `resolved` is refused where something newer was delivered on its key, since it would undo that,
    unless `force`, and while something newer is being sent there; a record while its incident may still open again, since
    that would make a second one.
    """
    row = _find(connection, delivery)
    if row is None:
        return None
    state = DeliveryState(row.state)
    if state is DeliveryState.HELD:
        raise NotPossible(f"it is held for want of {', '.join(row.missing)}; complete its incident instead")
    if state not in {DeliveryState.DEAD, DeliveryState.PENDING}:
        raise NotPossible(f"it is {state.value}; only what is dead or pending can be sent again")
    if row.missing:
        raise NotPossible(f"it lacks {', '.join(row.missing)}; complete its incident instead")
    until = _reopenable_until(connection, row)
    if until is not None and until > now:
        raise NotPossible(f"its incident may open again until {instant(until)}; the record waits for that")
    if state is DeliveryState.DEAD and _newer(connection, row, DeliveryState.SENDING):
        raise NotPossible(
            "something newer is being sent on its key right now; try again when its attempt is over"
        )
    if state is DeliveryState.DEAD and not force and _newer(connection, row, *_MOVED_ON):
        raise NotPossible(
            "something newer was delivered on its key, or was not worth saying any more, which this would undo; "
            "with force it is sent all the same"
        )
    return row


def send_again(connection: Connection, row: Row[Any], composed: Composed | None, *, now: datetime) -> Amended:
    """Send it as soon as its line allows, with its whole time before it again, and with what is newly `composed`.

    It is held if that lacks anything.
    """
    young = _made_young(row, now) if row.state == DeliveryState.DEAD.value else {}
    if composed is None:
        _change(connection, row, DeliveryState.PENDING, next_attempt_at=now, **young)
        return _amended(row, DeliveryState.PENDING)
    lacks = composed.missing
    left = DeliveryState.HELD if lacks else DeliveryState.PENDING
    _change(
        connection,
        row,
        left,
        payload=dict(composed.payload),
        missing=list(lacks),
        last_error=f"missing: {', '.join(lacks)}" if lacks else row.last_error,
        next_attempt_at=None if lacks else now,
        ready=False,
        **young,
    )
    return _amended(row, left, lacks)


def resolve_behind(connection: Connection, alarm: Row[Any]) -> Row[Any] | None:
    """What waits behind an alarm, or is dead there, and says that its incident is over."""
    return connection.execute(
        select(deliveries)
        .where(
            deliveries.c.incident == alarm.incident,
            deliveries.c.action == Action.RESOLVED.value,
            deliveries.c.seq > alarm.seq,
            deliveries.c.state.in_((DeliveryState.PENDING.value, DeliveryState.DEAD.value)),
            deliveries.c.repeats.is_(None),
        )
        .order_by(deliveries.c.seq.desc())
        .limit(1)
    ).one_or_none()


def open_there(connection: Connection, row: Row[Any]) -> str | None:
    """The incident that is open on the key of a delivery."""
    found: str | None = connection.scalar(
        select(incidents.c.id).where(
            incidents.c.destination == row.destination,
            incidents.c.key == row.key,
            incidents.c.closed_at.is_(None),
        )
    )
    return found


def discard(connection: Connection, delivery: str, *, reason: str, now: datetime) -> Amended | None:
    """Give it up for good; None if there is no such delivery.

    A `resolved` is refused while an alarm waits that it would have closed: that would open what is over.
    """
    row = _find(connection, delivery)
    if row is None:
        return None
    _refuse_unless_unsettled(row)
    end = row.action == Action.RESOLVED.value and open_there(connection, row) is None
    waits = _last_waiting(connection, row) if end else None
    if waits is not None and waits.action == Action.ALARMED.value:
        raise NotPossible(
            f"the alarmed {waits.id} of its key is still to be told, and nothing would close what that opens; "
            "discard that first"
        )
    said = f"discarded by an operator: {reason}"
    left = _give_up(connection, row, DeliveryState.DISCARDED, said=said, now=now)
    return replace(left, left_open=end and waits is None and bool(heard(connection, row).open))


def skip_record(connection: Connection, incident: str, *, reason: str, now: datetime) -> Amended | None:
    """Never send the record of an incident; None if there is no such incident."""
    row = record_of(connection, incident)
    if row is not None:
        said = f"skipped by an operator: {reason}"
        return _give_up(connection, row, DeliveryState.SKIPPED, said=said, now=now)
    if connection.scalar(select(exists().where(incidents.c.id == incident))):
        raise NotPossible("it has no record, or none yet: a record is made when an incident is over")
    return None


def record_of(connection: Connection, incident: str) -> Row[Any] | None:
    """The newest record of an incident that was not replaced by a newer one."""
    return connection.execute(
        select(deliveries)
        .where(
            deliveries.c.incident == incident,
            deliveries.c.action == Action.RECORD.value,
            deliveries.c.state != DeliveryState.SUPERSEDED.value,
        )
        .order_by(deliveries.c.seq.desc())
        .limit(1)
    ).one_or_none()


def fill(
    connection: Connection,
    record: Row[Any],
    payload: Mapping[str, JSON],
    missing: tuple[str, ...],
    *,
    due: datetime,
    now: datetime,
) -> Amended:
    """Give a record that lacks something another payload; when nothing is missing any more it is sent at `due`."""
    state = DeliveryState(record.state)
    if state not in {DeliveryState.HELD, DeliveryState.DEAD} or not record.missing:
        raise NotPossible(f"its record is {state.value} and lacks nothing")
    ready = not missing
    left = DeliveryState.PENDING if ready else state
    _change(
        connection,
        record,
        left,
        payload=dict(payload),
        missing=list(missing),
        last_error=None if ready else f"missing: {', '.join(missing)}",
        next_attempt_at=due if ready else None,
        **(_made_young(record, now) if ready else {}),
    )
    return _amended(record, left, missing)


def _find(connection: Connection, delivery: str) -> Row[Any] | None:
    return connection.execute(select(deliveries).where(deliveries.c.id == delivery)).one_or_none()


def _reopenable_until(connection: Connection, row: Row[Any]) -> datetime | None:
    """Until when a record is not final: its incident, opened again, will have another."""
    if row.action != Action.RECORD.value:
        return None
    return connection.scalar(select(incidents.c.reopen_until).where(incidents.c.id == row.incident))


def _newer(connection: Connection, row: Row[Any], *states: DeliveryState) -> bool:
    """Whether something newer on its key is in one of these states; records do not overtake each other."""
    newer = exists().where(
        deliveries.c.destination == row.destination,
        deliveries.c.key == row.key,
        deliveries.c.seq > row.seq,
        deliveries.c.state.in_([state.value for state in states]),
    )
    return row.action in LIFECYCLE and bool(connection.scalar(select(newer)))


def _last_waiting(connection: Connection, row: Row[Any]) -> Row[Any] | None:
    """What else is to be said on the key of a delivery, the last of it."""
    return connection.execute(
        select(deliveries)
        .where(
            deliveries.c.destination == row.destination,
            deliveries.c.key == row.key,
            deliveries.c.id != row.id,
            among(deliveries.c.state, DeliveryState.PENDING, DeliveryState.SENDING),
            deliveries.c.action.in_(LIFECYCLE),
        )
        .order_by(deliveries.c.seq.desc())
        .limit(1)
    ).one_or_none()


def _refuse_unless_unsettled(row: Row[Any]) -> None:
    found = DeliveryState(row.state)
    if found is DeliveryState.SENDING:
        raise NotPossible("it is being sent right now; try again when its attempt is over")
    if found not in {*_WAITING, DeliveryState.DEAD}:
        raise NotPossible(f"it is {found.value} already")


def _give_up(
    connection: Connection, row: Row[Any], state: DeliveryState, *, said: str, now: datetime
) -> Amended:
    _refuse_unless_unsettled(row)
    _change(connection, row, state, next_attempt_at=None, settled_at=now, last_error=said)
    return _amended(row, state)


def _made_young(row: Row[Any], now: datetime) -> dict[str, Any]:
    """What lets the time that it may take begin anew: all that has passed counts as a pause."""
    return {"settled_at": None, "paused_for": max(timedelta(0), now - row.created_at)}


def _change(connection: Connection, row: Row[Any], state: DeliveryState, **values: Any) -> None:
    connection.execute(
        update(deliveries)
        .where(and_(deliveries.c.id == row.id, deliveries.c.state == row.state))
        .values(state=state.value, **values)
    )


def _amended(row: Row[Any], state: DeliveryState, missing: tuple[str, ...] = ()) -> Amended:
    return Amended(row.incident, row.destination, row.id, state, missing)
