"""SQL on many deliveries at once, for an operator: how many there are of what, and which come next."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from alertbridge.model import JSON
from alertbridge.store.listings import Item, Wanted, shown_delivery, wanted_deliveries
from alertbridge.store.schema import deliveries

_MOST_GROUPS = 20
_SHOWN = 5
_REASON = 120  # characters
_HEAD = ("destination", "action", "state", "reason", "count")


@dataclass(frozen=True, slots=True)
class Matching:
    """What matches: how many, up to which place in the outbox, in which groups (the largest), and the oldest of them."""

    count: int
    last: int
    groups: list[JSON]
    examples: list[Item]


def matching(connection: Connection, wanted: Wanted) -> Matching:
    """The deliveries that `wanted` asks for, by destination, action, state and the beginning of the reason."""
    found = wanted_deliveries(wanted).subquery()
    count, last = connection.execute(select(func.count(), func.max(found.c.seq))).one()
    reason = func.coalesce(func.substr(found.c.last_error, 1, _REASON), "")
    head = (found.c.destination, found.c.action, found.c.state, reason.label("reason"))
    number = func.count().label("count")
    groups = connection.execute(
        select(*head, number).group_by(*head).order_by(number.desc(), *head).limit(_MOST_GROUPS)
    )
    oldest = wanted_deliveries(wanted).order_by(deliveries.c.seq).limit(_SHOWN)
    return Matching(
        count=count,
        last=last or 0,
        groups=[dict(zip(_HEAD, row, strict=True)) for row in groups],
        examples=[shown_delivery(row) for row in connection.execute(oldest)],
    )


def chosen(
    connection: Connection, wanted: Wanted, *, after: int, last: int, most: int
) -> list[tuple[int, str]]:
    """The next of them, oldest first so that a key keeps its order, as places and ids."""
    found = wanted_deliveries(wanted).subquery()
    query = (
        select(found.c.seq, found.c.id)
        .where(found.c.seq > after, found.c.seq <= last)
        .order_by(found.c.seq)
        .limit(most)
    )
    return [(row.seq, row.id) for row in connection.execute(query)]
