"""The admin API that reads: events, incidents, deliveries, destinations and the audit, as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import TypeAlias, cast

from aiohttp import web
from aiohttp.typedefs import Handler
from sqlalchemy import Connection

from alertbridge.clock import Clock
from alertbridge.deliver.courier import Courier
from alertbridge.deliver.standing import BREAKER, Pause
from alertbridge.model import DeliveryState, instant
from alertbridge.operate import query
from alertbridge.operate.answers import listed, refusal, said, unknown
from alertbridge.operate.guard import Guard
from alertbridge.operate.query import BadQuery, Listing
from alertbridge.operate.staleness import mark_stale
from alertbridge.operate.survey import STOPPED, Survey, survey
from alertbridge.problems import problem
from alertbridge.store import deployments, listings
from alertbridge.store.listings import Item, Page, Wanted
from alertbridge.store.stops import Stop
from alertbridge.store.store import Store
from alertbridge.store.trace import trace

_List: TypeAlias = Callable[[Connection, Wanted], Page]
_Find: TypeAlias = Callable[[Connection, str], Item | None]
_KEPT: tuple[tuple[Listing, _List, _Find], ...] = (
    (query.EVENTS, listings.list_events, listings.find_event),
    (query.INCIDENTS, listings.list_incidents, listings.find_incident),
    (query.DELIVERIES, listings.list_deliveries, listings.find_delivery),
)


@dataclass(frozen=True, slots=True)
class Station:
    """A destination as operators see it: its courier, and the `type` it was configured with."""

    courier: Courier
    type: str


class Admin:
    """Answers `GET /api/v1/{events,incidents,deliveries,deployments,destinations}`, `/{id}` of each, `GET /api/v1/audit` and `/trace/{asked}`.

    `stations` and `expected`, how soon sources repeat what fires, are looked at anew for each request. `guard` decides
    who may ask.
    """

    def __init__(
        self,
        *,
        store: Store,
        stations: Mapping[str, Station],
        clock: Clock,
        guard: Guard,
        expected: Mapping[str, timedelta] = MappingProxyType({}),
    ) -> None:
        self._store = store
        self._stations = stations
        self._expected = expected
        self._clock = clock
        self._guard = guard

    def routes(self) -> list[web.RouteDef]:
        """What to serve."""
        handlers: dict[str, Handler] = {}
        for listing, page, find in _KEPT:
            handlers[f"/{listing.name}"] = partial(self._list, listing, page)
            handlers[f"/{listing.name}/{{id}}"] = partial(self._show, listing, find)
        # Ids of deployments that forges tell of hold slashes.
        handlers["/deployments"] = partial(self._list, query.DEPLOYMENTS, deployments.list_deployments)
        handlers["/deployments/{id:.+}"] = partial(self._show, query.DEPLOYMENTS, deployments.find_deployment)
        handlers["/trace/{asked:.+}"] = self._trace
        handlers["/audit"] = partial(self._list, query.AUDIT, listings.list_audit)
        handlers["/destinations"] = self._list_destinations
        handlers["/destinations/{id}"] = self._show_destination
        return [web.get(f"/api/v1{path}", self._guard.wrap(handler)) for path, handler in handlers.items()]

    async def _list(self, listing: Listing, page: _List, request: web.Request) -> web.Response:
        try:
            wanted = query.read_query(listing, request.query)
        except BadQuery as error:
            return refusal(error)
        found = await self._store.read(lambda connection: page(connection, wanted))
        if listing is query.INCIDENTS:
            self._mark(found.items)
        return listed(listing, found)

    async def _show(self, listing: Listing, find: _Find, request: web.Request) -> web.Response:
        identifier = request.match_info["id"]
        item = await self._store.read(lambda connection: find(connection, identifier))
        if item is None:
            return unknown(listing, identifier)
        if listing is query.INCIDENTS:
            self._mark([item])
        return said(item)

    async def _trace(self, request: web.Request) -> web.Response:
        asked = request.match_info["asked"]
        story = await self._store.read(lambda connection: trace(connection, asked))
        if story is None:
            detail = (
                f'nothing is known of "{asked}"; ask by the id of an incident, a delivery or an event, by a key, or by a '
                "fingerprint; `alertbridge incidents` lists keys with their titles"
            )
            return problem(404, "Not found", detail)
        self._mark(cast("list[Item]", story["incidents"]))
        return said(story)

    def _mark(self, incidents: Iterable[Item]) -> None:
        mark_stale(incidents, expected=self._expected, now=self._clock.now())

    async def _list_destinations(self, request: web.Request) -> web.Response:
        try:
            wanted = query.read_query(query.DESTINATIONS, request.query)
        except BadQuery as error:
            return refusal(error)
        names = sorted(name for name in self._stations if wanted.after is None or name > wanted.after)
        shown = names[: wanted.limit]
        items = await self._destinations(shown)
        return listed(query.DESTINATIONS, Page(items, shown[-1] if len(names) > len(shown) else None))

    async def _show_destination(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        if name not in self._stations:
            return unknown(query.DESTINATIONS, name)
        (item,) = await self._destinations([name])
        return said(item)

    async def _destinations(self, names: list[str]) -> list[Item]:
        stations = {name: self._stations[name] for name in names}
        seen = await survey(self._store, {name: station.courier for name, station in stations.items()})
        now = self._clock.now()
        return [_destination(name, station, seen, now) for name, station in stations.items()]


def _state(pause: Pause | None, stop: Stop | None) -> Item:
    """An operator's stop goes before a pause, since it does not end by itself; an open breaker has the shape of one."""
    if stop is not None:
        detail = f"{stop.reason} (by {stop.who}, since {instant(stop.since)})"
        return {"state": "paused", "reason": STOPPED, "detail": detail, "resumes_at": None}
    if pause is not None:
        until = instant(pause.until)
        state = "breaker" if pause.reason == BREAKER else "paused"
        return {"state": state, "reason": pause.reason, "detail": pause.detail, "resumes_at": until}
    return {"state": "ok", "reason": None, "detail": None, "resumes_at": None}


def _destination(name: str, station: Station, seen: Survey, now: datetime) -> Item:
    courier = station.courier
    obstacle, stop, limit = courier.standing.obstacle, seen.stops.get(name), courier.limit
    counts = seen.census.deliveries
    since = seen.census.oldest.get(name)
    waiting = (DeliveryState.PENDING, DeliveryState.SENDING)
    return {
        "name": name,
        "type": station.type,
        **_state(obstacle, stop),
        "budget": seen.budgets[name],
        "allowed": None if limit is None else limit.requests,
        "concurrency": courier.width,
        "waiting": sum(counts.get((name, state), 0) for state in waiting),
        "held": counts.get((name, DeliveryState.HELD), 0),
        "dead": counts.get((name, DeliveryState.DEAD), 0),
        "oldest_seconds": None if since is None else max(0.0, (now - since).total_seconds()),
    }
