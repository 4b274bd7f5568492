"""Folds what a destination's budget does not reach into digests, and ends those that are over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from alertbridge.deliver.posting import message
from alertbridge.destinations import Destination
from alertbridge.incidents.digest import Opening, Overflow, closed, fold, opened
from alertbridge.incidents.state import Changes, Incident
from alertbridge.model import Action, DeliveryState
from alertbridge.store import digests, dispatch, ledger, lines, outbox
from alertbridge.store.outbox import Posting


@dataclass(frozen=True, slots=True)
class Folded:
    """So many openings were folded into `digest`, which is `new` or was joined."""

    digest: Incident
    number: int
    new: bool


class Digester:
    """Works for the courier of one destination, in the transactions in which that claims.

    Without an `overflow` nothing is folded; what was folded before is brought to its end all the same.
    """

    def __init__(
        self,
        *,
        destination: Destination,
        overflow: Overflow | None,
        collapse: bool,
        new_id: Callable[[], str],
    ) -> None:
        self._destination = destination
        self._overflow = overflow
        self._collapse = collapse
        self._new_id = new_id

    def fold(self, connection: Connection, *, allowed: int, now: datetime) -> Folded | None:
        """Fold what is beyond the `allowed` requests, if too much is; None if nothing was."""
        name, overflow = self._destination.name, self._overflow
        if overflow is None:
            return None
        bearable = overflow.bearable(allowed)
        if digests.waiting(connection, name, most=bearable + 1) <= bearable:
            return None
        into = digests.joinable(connection, name)
        chosen = fold(
            digests.openings(connection, name, highest=overflow.highest),
            first=frozenset(dispatch.first_in_line(connection, name, allowed)),
            joinable=into is not None,
        )
        for told_by in {one.told_by for one in chosen if one.told_by is not None}:
            again = [one for one in chosen if one.told_by == told_by]
            digests.supersede(connection, again, by=told_by, now=now)
        fresh = [one for one in chosen if one.told_by is None]
        folded = self._open(connection, into, fresh, overflow, now) if fresh else None
        keys = {one.key for one in chosen}
        lines.converge(connection, name, keys, collapse=self._collapse, now=now)
        return folded

    def end(self, connection: Connection, *, now: datetime) -> list[Incident]:
        """Close the digests that are over, and let that be told."""
        over = digests.over(connection, self._destination.name)
        if not over:
            return []
        ended = [closed(one, digests.members(connection, one.id), now=now) for one in over]
        ledger.store(connection, Changes(incidents={one.id: one for one in ended}))
        for one in ended:
            self._say(connection, one, Action.RESOLVED, received_at=now, now=now)
        return ended

    def _open(
        self,
        connection: Connection,
        into: str | None,
        fresh: list[Opening],
        overflow: Overflow,
        now: datetime,
    ) -> Folded:
        """Into the digest that can still say more, or a new one; it takes the turn of the first that it stands for."""
        identifier = into or self._new_id()
        known = digests.members(connection, identifier) if into else []
        news = ledger.find_these(connection, [one.incident for one in fresh])
        digest = opened(identifier, [*known, *news], room=overflow.room)
        digests.put(connection, fresh, incident=digest, now=now)
        received_at = min(one.received_at for one in fresh)
        self._say(connection, digest, Action.ALARMED, received_at=received_at, now=now)
        digests.take_turn(connection, identifier, fresh)
        return Folded(digest, len(fresh), new=into is None)

    def _say(
        self,
        connection: Connection,
        digest: Incident,
        action: Action,
        *,
        received_at: datetime,
        now: datetime,
    ) -> None:
        composed = self._destination.compose(message(digest, action, digest.severity))
        posting = Posting(
            id=self._new_id(),
            incident=digest.id,
            destination=digest.destination,
            key=digest.key,
            action=action,
            rules_hash=digest.rules_hash,
            severity=digest.severity,
            state=DeliveryState.PENDING,
            payload=composed.payload,
            missing=(),
            due_at=now,
            received_at=received_at,
        )
        outbox.post(connection, [posting], now=now)
        lines.converge(connection, digest.destination, [digest.key], collapse=self._collapse, now=now)
