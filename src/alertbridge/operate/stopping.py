"""`POST /api/v1/destinations/{name}/pause` and `/resume`: an operator stops a destination, and lets it go on."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import structlog
from aiohttp import web
from sqlalchemy import Connection

from alertbridge.clock import Clock
from alertbridge.operate import query
from alertbridge.operate.admin import Station
from alertbridge.operate.answers import said, unknown
from alertbridge.operate.asked import Asked, Why, read
from alertbridge.operate.guard import Guard
from alertbridge.store import audit, dispatch, stops
from alertbridge.store.audit import Entry
from alertbridge.store.stops import Stop
from alertbridge.store.store import Store


class Stopping:
    """Answers 200 with `name` and `stopped`, or 404. `stations` is looked at anew for each request."""

    def __init__(self, *, store: Store, stations: Mapping[str, Station], clock: Clock, guard: Guard) -> None:
        self._store = store
        self._stations = stations
        self._clock = clock
        self._guard = guard
        self._log = structlog.get_logger().bind()

    def routes(self) -> list[web.RouteDef]:
        """What to serve."""
        handlers = {"pause": partial(self._answer, Why), "resume": partial(self._answer, Asked)}
        return [
            web.post(f"/api/v1/destinations/{{id}}/{action}", self._guard.wrap(handler))
            for action, handler in handlers.items()
        ]

    async def _answer(self, model: type[Asked], request: web.Request) -> web.Response:
        name = request.match_info["id"]
        asked = await read(request, model)
        if isinstance(asked, web.Response):
            return asked
        if name not in self._stations:
            return unknown(query.DESTINATIONS, name)
        if isinstance(asked, Why):
            await self._pause(name, asked.reason, by=self._guard.who(request))
        else:
            await self._resume(name, by=self._guard.who(request))
        return said({"name": name, "stopped": isinstance(asked, Why)})

    async def _pause(self, name: str, reason: str, *, by: str) -> None:
        now = self._clock.now()

        def work(connection: Connection) -> None:
            stops.stop(connection, Stop(name, by, reason, now))
            entry = Entry(by, "pause", destination=name, detail={"reason": reason})
            audit.note(connection, entry, now=now)

        await self._store.write(work)
        self._log.warning("destination.stopped", destination=name, by=by, reason=reason)

    async def _resume(self, name: str, *, by: str) -> None:
        """End the stop, and a pause that came by itself: whatever waits is tried at once, and has lost no time."""
        now = self._clock.now()
        courier = self._stations[name].courier
        before = courier.standing
        pause = before.pause

        def work(connection: Connection) -> None:
            stop = stops.find(connection).get(name)
            began = [one.since for one in (stop, pause) if one is not None]
            stops.lift(connection, name)
            if began:
                dispatch.add_pause(connection, name, since=min(began), until=now)
            courier.remember(connection)
            audit.note(connection, Entry(by, "resume", destination=name), now=now)

        courier.standing = freed = before.freed()  # first, so that no settlement writes the pause down again
        try:
            await self._store.write(work)
        except BaseException:
            if courier.standing is freed:
                courier.standing = before
            raise
        courier.wake()
        self._log.info("destination.resumed", destination=name, reason=f"resumed by {by}")
