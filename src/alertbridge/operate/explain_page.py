"""`POST /api/v1/explain`: what would become of a notification under the rules in use."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from aiohttp import hdrs, web

from alertbridge.clock import Clock
from alertbridge.errors import MalformedBody
from alertbridge.foresight import as_json, foresee_all
from alertbridge.operate.answers import refusal
from alertbridge.operate.guard import Guard
from alertbridge.operate.query import BadQuery
from alertbridge.pipeline import Bridge
from alertbridge.problems import problem

_MOST_VERDICTS = 100_000  # each alert gets one of each rule, of about a kilobyte


class ExplainPage:
    """Answers as `alertbridge explain --json` does, by what `bridge` decides with now; nothing is stored or sent.

    What would have more than 100,000 verdicts, one for each alert and rule, is refused with 413. One body after the other, in a thread: however many alerts it holds, requests and deciding go on. `clean` takes
    secrets out of the answer.
    """

    def __init__(
        self, *, bridge: Callable[[], Bridge], guard: Guard, clock: Clock, clean: Callable[[str], str]
    ) -> None:
        self._bridge = bridge
        self._guard = guard
        self._clock = clock
        self._clean = clean
        self._turn = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        """What to serve."""
        return [web.post("/api/v1/explain", self._guard.wrap(self._answer))]

    async def _answer(self, request: web.Request) -> web.Response:
        bridge = self._bridge()
        try:
            source = _source(request, bridge)
        except BadQuery as error:
            return refusal(error)
        coding = request.headers.get(hdrs.CONTENT_ENCODING, "identity")
        if coding.strip().lower() not in ("", "identity"):
            return problem(415, "Unsupported content encoding", "send the body as it is, not compressed")
        try:
            body = await request.read()
        except (ConnectionError, web.RequestPayloadError):
            return problem(400, "Incomplete body", "the body broke off before its end")
        try:
            async with self._turn:
                text = await asyncio.to_thread(self._explained, bridge, body, source)
        except MalformedBody as error:
            return problem(400, "Malformed body", str(error), place=error.place, problem=error.problem)
        if text is None:
            detail = f"there are {len(bridge.rulebook.rules)} rules, each of which is tried on each alert; send fewer alerts"
            return problem(413, "Too much to explain", detail)
        return web.Response(body=text.encode(), content_type="application/json")

    def _explained(self, bridge: Bridge, body: bytes, source: str) -> str | None:
        """The answer; None where it would take too much memory and time."""
        now = self._clock.now()
        said = bridge.feeds[source].parser.parse(body, source=source, received_at=now)
        if len(said.alerts) * len(bridge.rulebook.rules) > _MOST_VERDICTS:
            return None
        return self._clean(json.dumps(as_json(foresee_all(bridge, said, at=now)), default=dict))


def _source(request: web.Request, bridge: Bridge) -> str:
    """The source that the query names, or the only one there is. Raises BadQuery."""
    names = tuple(bridge.feeds)
    for parameter in request.query:
        if parameter != "source":
            raise BadQuery(parameter, "not something that an explanation is asked by", ("source",))
    given = request.query.getall("source", [])
    if len(given) > 1:
        raise BadQuery("source", "given more than once", names)
    if not given and len(names) != 1:
        raise BadQuery("source", "say which source the body comes from", names)
    if given and bridge.feed(given[0]) is None:
        raise BadQuery("source", f'no source is called "{given[0]}"', names)
    return given[0] if given else names[0]
