"""`POST /api/v1/destinations/{name}/test`: an operator tries whether a destination can be reached, and takes messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import structlog
from aiohttp import web

from alertbridge.clock import Clock
from alertbridge.deliver.transport import Transport
from alertbridge.destinations import Destination
from alertbridge.destinations.checkup import Checkup, Step, checkup, goes_on, verdict
from alertbridge.model import JSON, Delivered, Outcome, Paused, Response
from alertbridge.operate import query
from alertbridge.operate.admin import Station
from alertbridge.operate.answers import said, unknown
from alertbridge.operate.asked import Asked, read
from alertbridge.operate.guard import Guard
from alertbridge.problems import problem
from alertbridge.store import audit
from alertbridge.store.audit import Entry
from alertbridge.store.store import Store

_KEPT = 2048  # characters of an answer


@dataclass(frozen=True, slots=True)
class Line:
    """A way to a destination beside its courier's: made for one test, opened before and closed after."""

    destination: Destination
    transport: Transport


@dataclass(frozen=True, slots=True)
class _Tried:
    """What came of one step."""

    outcome: Outcome
    status: int | None
    told: dict[str, JSON]


class Checkups:
    """Sends past the outbox, also while the destination is paused, and tells what was answered and how long it took.

    Answers 200 whether all went well or not (`ok`), 404, or 409 where the rate limit leaves no room. What is sent counts
    towards that limit. `line` makes the way to the destination of that name; `clean` takes secrets out of what is told.
    """

    def __init__(
        self,
        *,
        store: Store,
        stations: Mapping[str, Station],
        line: Callable[[str], Line],
        new_id: Callable[[], str],
        clock: Clock,
        clean: Callable[[str], str],
        guard: Guard,
    ) -> None:
        self._store = store
        self._stations = stations
        self._line = line
        self._new_id = new_id
        self._clock = clock
        self._clean = clean
        self._guard = guard
        self._log = structlog.get_logger().bind()

    def routes(self) -> list[web.RouteDef]:
        """What to serve."""
        return [web.post("/api/v1/destinations/{id}/test", self._guard.wrap(self._answer))]

    async def _answer(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        asked = await read(request, Asked)
        if isinstance(asked, web.Response):
            return asked
        if name not in self._stations:
            return unknown(query.DESTINATIONS, name)
        line = self._line(name)
        plan = checkup(line.destination, self._new_id(), now=self._clock.now())
        courier = self._stations[name].courier
        left = await courier.reserve(len(plan.steps))
        if left is not None:
            detail = f"the rate limit leaves {left} requests now, and a test sends {len(plan.steps)}; try again later"
            return problem(409, "Not possible", detail)
        tried = await self._try(line, plan, courier.spend)
        good, finding = verdict(plan, [(one.outcome, one.status) for one in tried])
        await self._note(name, plan, good=good, by=self._guard.who(request))
        steps: list[JSON] = [one.told for one in tried]
        return said({"name": name, "ok": good, "key": plan.key, "steps": steps, "finding": finding})

    async def _try(self, line: Line, plan: Checkup, spend: Callable[[], None]) -> list[_Tried]:
        await line.transport.open()
        try:
            tried: list[_Tried] = []
            for step in plan.steps:
                spend()
                tried.append(await self._take(line, step))
                if not goes_on(tried[-1].outcome):
                    break
            return tried
        finally:
            await line.transport.close()

    async def _take(self, line: Line, step: Step) -> _Tried:
        began = self._clock.monotonic()
        answer = await line.transport.post(line.destination.request(step.payload, step.action))
        seconds = self._clock.monotonic() - began
        response = answer if isinstance(answer, Response) else None
        outcome = line.destination.interpret(answer) if isinstance(answer, Response) else answer
        body = response.body.decode(errors="replace") if response else ""
        told: dict[str, JSON] = {
            "step": step.name,
            "outcome": type(outcome).__name__.lower(),
            "status": response.status if response else None,
            "seconds": round(seconds, 3),
            "error": self._clean(_reason(outcome)) or None,
            "response": self._clean(body)[:_KEPT] if response else None,
        }
        return _Tried(outcome, response.status if response else None, told)

    async def _note(self, name: str, plan: Checkup, *, good: bool, by: str) -> None:
        entry = Entry(by, "test", destination=name, detail={"ok": good, "key": plan.key})
        await self._store.write(partial(audit.note, entry=entry, now=self._clock.now()))
        self._log.info("operator.tested", destination=name, by=by, ok=good, key=plan.key)


def _reason(outcome: Outcome) -> str:
    match outcome:
        case Delivered():
            return ""
        case Paused():
            return f"{outcome.reason}: {outcome.detail}"
        case _:
            return outcome.reason
