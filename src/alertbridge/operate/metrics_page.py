"""`GET /metrics`: what is counted as it happens, and what is counted in the database when asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import TypeVar

from aiohttp import hdrs, web
from prometheus_client import CollectorRegistry, Gauge, exposition
from prometheus_client.openmetrics import exposition as openmetrics

from alertbridge.clock import Clock
from alertbridge.deliver.courier import Courier
from alertbridge.heartbeats.silence import Pulse
from alertbridge.metrics import Metrics
from alertbridge.operate.survey import STOPPED, Survey, survey
from alertbridge.store import beliefs, heartbeats
from alertbridge.store.schema import ALIVE_STATES
from alertbridge.store.store import Store

_Labels = TypeVar("_Labels", bound=tuple[str, ...])


class MetricsPage:
    """Serves the metrics in Prometheus' text format, or as OpenMetrics to who accepts that."""

    def __init__(
        self,
        *,
        store: Store,
        couriers: Mapping[str, Courier],
        pulses: Callable[[], Mapping[str, Pulse]],
        clock: Clock,
        metrics: Metrics,
        expected: Mapping[str, timedelta] = MappingProxyType({}),
    ) -> None:
        self._pulses = pulses
        self._store = store
        self._couriers = couriers
        self._expected = expected
        self._clock = clock
        self._metrics = metrics
        self._turn = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        """What to serve."""
        return [web.get("/metrics", self._answer)]

    async def _answer(self, request: web.Request) -> web.Response:
        encode, content_type = _format(request.headers.get(hdrs.ACCEPT, ""))
        async with self._turn:  # the gauges stay as one request has set them until they are written down
            couriers = dict(self._couriers)  # a reload may come between
            self._set(await survey(self._store, couriers), couriers)
            _replace(self._metrics.storage_bytes, _keyed(self._store.sizes()))
            self._metrics.storage_free_bytes.set(self._store.free_bytes())
            _replace(self._metrics.alerts_stale, _keyed(await self._count_stale()))
            held = await self._store.read(heartbeats.count_held)
            _replace(self._metrics.resolves_held, _keyed(dict.fromkeys(self._pulses(), 0) | held))
            page = await asyncio.to_thread(encode, self._metrics.registry)
        return web.Response(body=page, headers={hdrs.CONTENT_TYPE: content_type})

    async def _count_stale(self) -> dict[str, float]:
        now, expected = self._clock.now(), dict(self._expected)
        return await self._store.read(
            lambda connection: {
                source: len(beliefs.stale(connection, source, before=now - span))
                for source, span in expected.items()
            }
        )

    def _set(self, seen: Survey, names: Mapping[str, Courier]) -> None:
        """Bring the gauges up to date; what is gone disappears, and every configured destination shows its zeros."""
        metrics, census, now = self._metrics, seen.census, self._clock.now()
        _replace(metrics.incidents_open, {(name,): 0 for name in names} | _keyed(census.incidents))
        _replace(
            metrics.outbox,
            {(name, state.value): 0 for name in names for state in ALIVE_STATES}
            | {(name, s.value): n for (name, s), n in census.deliveries.items()},
        )
        ages = {name: max(0.0, (now - since).total_seconds()) for name, since in census.oldest.items()}
        _replace(metrics.outbox_oldest_seconds, {(name,): 0 for name in names} | _keyed(ages))
        _replace(metrics.held, census.held)
        _replace(
            metrics.destination_paused,
            {
                (name, found.reason): 1
                for name in names
                if (found := names[name].standing.obstacle) is not None
            }
            | {(name, STOPPED): 1 for name in names if name in seen.stops},
        )
        _replace(
            metrics.rate_budget,
            _keyed({name: budget for name, budget in seen.budgets.items() if budget is not None}),
        )
        limits = {name: limit.requests for name in names if (limit := names[name].limit) is not None}
        _replace(metrics.rate_limit, _keyed(limits))
        _replace(metrics.concurrency, {(name,): courier.width for name, courier in names.items()})
        pulses = self._pulses()
        _replace(metrics.heartbeat_silent, {(name,): pulse.silent for name, pulse in pulses.items()})
        last = {name: pulse.last_beat for name, pulse in pulses.items() if pulse.last_beat}
        quiet = {name: max(0.0, (now - moment).total_seconds()) for name, moment in last.items()}
        _replace(metrics.heartbeat_last_seconds, _keyed(quiet))
        metrics.inbox.set(census.undecided)
        metrics.clock_ahead_seconds.set(self._clock.ahead().total_seconds())


def _format(accept: str) -> tuple[Callable[[CollectorRegistry], bytes], str]:
    if "application/openmetrics-text" in accept:
        return openmetrics.generate_latest, openmetrics.CONTENT_TYPE_LATEST
    return exposition.generate_latest, exposition.CONTENT_TYPE_LATEST


def _keyed(values: Mapping[str, float]) -> dict[tuple[str, ...], float]:
    return {(name,): value for name, value in values.items()}


def _replace(gauge: Gauge, values: Mapping[_Labels, float]) -> None:
    gauge.clear()
    for labels, value in values.items():
        gauge.labels(*labels).set(value)
