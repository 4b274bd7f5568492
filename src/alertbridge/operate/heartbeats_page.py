"""`GET /api/v1/heartbeats`: what is listened for, when it was last heard, and what its silence has opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiohttp import web
from sqlalchemy import Connection

from alertbridge.config.units import duration_text
from alertbridge.heartbeats.notice import alert_of
from alertbridge.heartbeats.silence import Pulse
from alertbridge.model import instant
from alertbridge.operate import query
from alertbridge.operate.answers import listed, refusal
from alertbridge.operate.guard import Guard
from alertbridge.operate.query import BadQuery
from alertbridge.store.heartbeats import count_held, open_incidents
from alertbridge.store.listings import Item, Page
from alertbridge.store.store import Store


class HeartbeatsPage:
    """Answers with every heartbeat that is configured, by name; `pulses` says what is believed of each."""

    def __init__(self, *, store: Store, pulses: Callable[[], Mapping[str, Pulse]], guard: Guard) -> None:
        self._store = store
        self._pulses = pulses
        self._guard = guard

    def routes(self) -> list[web.RouteDef]:
        """What to serve."""
        return [web.get("/api/v1/heartbeats", self._guard.wrap(self._list))]

    async def _list(self, request: web.Request) -> web.Response:
        try:
            wanted = query.read_query(query.HEARTBEATS, request.query)
        except BadQuery as error:
            return refusal(error)
        pulses = self._pulses()
        names = sorted(name for name in pulses if wanted.after is None or name > str(wanted.after))
        shown = names[: wanted.limit]

        def look(connection: Connection) -> list[Item]:
            held = count_held(connection)
            return [
                _item(name, pulses[name], open_incidents(connection, alert_of(name)), held.get(name, 0))
                for name in shown
            ]

        items = await self._store.read(look)
        return listed(query.HEARTBEATS, Page(items, shown[-1] if len(names) > len(shown) else None))


def _item(name: str, pulse: Pulse, incidents: list[str], held: int) -> Item:
    assert pulse.heartbeat is not None, "it is configured"
    return {
        "name": name,
        "every": duration_text(pulse.heartbeat.every),
        "grace": duration_text(pulse.heartbeat.grace),
        "last_beat": instant(pulse.last_beat) if pulse.last_beat else None,
        "silent": pulse.silent,
        "silent_since": instant(pulse.silent_since) if pulse.silent_since else None,
        "incidents": [*incidents],
        "hold_resolves": duration_text(pulse.heartbeat.hold),
        "held": held,
    }
