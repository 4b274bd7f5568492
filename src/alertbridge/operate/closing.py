"""`POST /api/v1/incidents/{id}/close`: an operator ends an incident."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog
from aiohttp import web
from sqlalchemy import Connection

from alertbridge.clock import Clock
from alertbridge.incidents import by_hand
from alertbridge.model import JSON, Event
from alertbridge.operate import query
from alertbridge.operate.answers import said, unknown
from alertbridge.operate.asked import Why, read
from alertbridge.operate.guard import Guard
from alertbridge.problems import problem
from alertbridge.store import audit, inbox, ledger
from alertbridge.store.amend import NotPossible
from alertbridge.store.audit import Entry
from alertbridge.store.store import Store


@dataclass(frozen=True, slots=True)
class _Closing:
    """What was put into the inbox: so many alerts of the incident end."""

    destination: str
    events: list[Event]
    alerts: int


class Closing:
    """Resolves what fires in an incident, by events that are decided in their turn: 200 with them, 404, or 409.

    `decide` is told when there are any.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        new_id: Callable[[], str],
        decide: Callable[[], None],
        guard: Guard,
    ) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._decide = decide
        self._guard = guard
        self._log = structlog.get_logger().bind()

    def routes(self) -> list[web.RouteDef]:
        """What to serve."""
        return [web.post("/api/v1/incidents/{id}/close", self._guard.wrap(self._answer))]

    async def _answer(self, request: web.Request) -> web.Response:
        incident = request.match_info["id"]
        asked = await read(request, Why)
        if isinstance(asked, web.Response):
            return asked
        try:
            closing = await self._close(incident, asked.reason, by=self._guard.who(request))
        except NotPossible as error:
            return problem(409, "Not possible", str(error))
        if closing is None:
            return unknown(query.INCIDENTS, incident)
        self._decide()
        events = [event.id for event in closing.events]
        return said({"incident": incident, "alerts": closing.alerts, "events": [*events]})

    async def _close(self, incident: str, reason: str, *, by: str) -> _Closing | None:
        now = self._clock.now()
        at = now - self._clock.ahead()

        def work(connection: Connection) -> _Closing | None:
            found = ledger.find(connection, incident)
            if found is None:
                return None
            if not found.open:
                raise NotPossible("it is closed already")
            firing = ledger.firing_in(connection, incident)
            said_by = f"closed by {by}: {reason}"
            events = by_hand.ended(firing, said=said_by, now=now, at=at, new_id=self._new_id)
            for event in events:
                inbox.conclude(connection, event)
            detail: dict[str, JSON] = {"reason": reason, "alerts": len(firing)}
            entry = Entry(by, "close", incident, destination=found.destination, detail=detail)
            audit.note(connection, entry, now=now)
            return _Closing(found.destination, events, len(firing))

        closing = await self._store.write(work)
        if closing is not None:
            self._log.info(
                "operator.closed",
                by=by,
                incident=incident,
                destination=closing.destination,
                reason=reason,
                alerts=closing.alerts,
                events=[event.id for event in closing.events],
            )
        return closing
