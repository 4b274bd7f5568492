"""Everything that operators are served, made from what it looks into and acts on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TypeVar

from aiohttp import web

from alertbridge.clock import Clock
from alertbridge.config.settings import Settings
from alertbridge.deliver.courier import Courier
from alertbridge.destinations import Destination
from alertbridge.heartbeats.silence import Pulse
from alertbridge.metrics import Metrics
from alertbridge.operate.actions import Actions
from alertbridge.operate.admin import Admin, Station
from alertbridge.operate.bulk import Bulk
from alertbridge.operate.checkups import Checkups, Line
from alertbridge.operate.closing import Closing
from alertbridge.operate.explain_page import ExplainPage
from alertbridge.operate.guard import Guard
from alertbridge.operate.heartbeats_page import HeartbeatsPage
from alertbridge.operate.metrics_page import MetricsPage
from alertbridge.operate.reload import Reload, ReloadPage
from alertbridge.operate.replay import ReplayPage
from alertbridge.operate.rules_page import RulesPage
from alertbridge.operate.stopping import Stopping
from alertbridge.pipeline import Bridge
from alertbridge.store.store import Store

_T = TypeVar("_T")


class Desk:
    """The admin API, the metrics and the reload, behind one `guard`.

    `couriers` and `bridge` are looked at anew for each request; the rest of what a reload changes is told to `exchange`.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        expected: Mapping[str, timedelta],
        store: Store,
        bridge: Callable[[], Bridge],
        couriers: Mapping[str, Courier],
        wake: Callable[[], None],
        decide: Callable[[], None],
        new_id: Callable[[], str],
        line: Callable[[str], Line],
        pulses: Callable[[], Mapping[str, Pulse]],
        reload: Reload,
        clock: Clock,
        metrics: Metrics,
        clean: Callable[[str], str],
    ) -> None:
        guard = Guard(token=settings.server.admin_token, loopback=settings.server.on_loopback)
        self.guard = guard
        self._couriers = couriers
        self._stations: dict[str, Station] = {}
        self._expected: dict[str, timedelta] = {}
        self.exchange(settings, expected=expected)
        stations, expected = self._stations, self._expected

        def destinations() -> Mapping[str, Destination]:
            return bridge().destinations

        self._pages = (
            Admin(store=store, stations=stations, expected=expected, clock=clock, guard=guard),
            Actions(
                store=store, destinations=destinations, wake=wake, clock=clock, new_id=new_id, guard=guard
            ),
            Bulk(store=store, destinations=destinations, wake=wake, clock=clock, new_id=new_id, guard=guard),
            Closing(store=store, clock=clock, new_id=new_id, decide=decide, guard=guard),
            Stopping(store=store, stations=stations, clock=clock, guard=guard),
            Checkups(
                store=store,
                stations=stations,
                line=line,
                new_id=new_id,
                clock=clock,
                clean=clean,
                guard=guard,
            ),
            MetricsPage(
                store=store, couriers=couriers, pulses=pulses, expected=expected, clock=clock, metrics=metrics
            ),
            ReloadPage(reload=reload, guard=guard),
            ReplayPage(store=store, bridge=bridge, clock=clock, new_id=new_id, decide=decide, guard=guard),
            RulesPage(store=store, in_use=lambda: bridge().rulebook.hash, guard=guard),
            ExplainPage(bridge=bridge, guard=guard, clock=clock, clean=clean),
            HeartbeatsPage(store=store, pulses=pulses, guard=guard),
        )

    def routes(self) -> list[web.RouteDef]:
        """What to serve."""
        return [route for page in self._pages for route in page.routes()]

    def exchange(self, settings: Settings, *, expected: Mapping[str, timedelta]) -> None:
        """Go by other settings from now on; `expected` is how often alerts are repeated, by source."""
        self.guard.token = settings.server.admin_token
        replace(self._expected, expected)
        replace(
            self._stations,
            {
                name: Station(courier=courier, type=settings.destinations[name].type)
                for name, courier in self._couriers.items()
            },
        )


def replace(shared: dict[str, _T], by: Mapping[str, _T]) -> None:
    """Exchange what is in a mapping that others look into; they never see half of it."""
    shared.clear()
    shared.update(by)
