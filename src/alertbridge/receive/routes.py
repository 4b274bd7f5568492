"""`POST /v1/sources/{source}`: a webhook is answered with 202 only when what it said is committed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from structlog.typing import FilteringBoundLogger

from alertbridge.clock import Clock
from alertbridge.errors import MalformedBody, StoreError
from alertbridge.metrics import Metrics
from alertbridge.model import Event, EventOutcome, Notification
from alertbridge.problems import problem
from alertbridge.receive.acknowledgement import acknowledgement
from alertbridge.receive.authentication import Authentication, Hmac, Network, comes_from, demand
from alertbridge.receive.body import decode_body, read_body
from alertbridge.receive.intake import Intake
from alertbridge.receive.refusal import Refused, about_to_end, not_stored
from alertbridge.sources import Source

_KEPT_OF_MALFORMED = 64 * 1024  # bytes
_PREFIX = "/v1/sources/"
_UNKNOWN = "unknown"
_NAME_SHOWN = 100  # characters of an unknown source's name


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One configured source: how its bodies are read, and from whom they are taken."""

    name: str
    parser: Source
    authentication: Authentication | None
    allow_from: tuple[Network, ...]


class Receiver:
    """Answers webhooks.

    `accept` takes an event and what it says, and returns when it is committed; if it is cancelled, the commit stands.
    `keep_malformed` stores one that was refused, with the reason.
    `endpoints` is looked at anew for each request; `intake` says whether there is room for it. Bodies are never logged.
    """

    def __init__(
        self,
        *,
        endpoints: Mapping[str, Endpoint],
        max_body: int,
        accept: Callable[[Event, Notification], Awaitable[None]],
        keep_malformed: Callable[[Event, str], Awaitable[None]],
        intake: Intake,
        new_id: Callable[[], str],
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._endpoints = endpoints
        self._max_body = max_body
        self._accept = accept
        self._keep_malformed = keep_malformed
        self._intake = intake
        self._new_id = new_id
        self._clock = clock
        self._tally = _Tally(metrics)
        self._log: FilteringBoundLogger = structlog.get_logger().bind()
        self._closed = False

    def routes(self) -> list[web.RouteDef]:
        """What to serve: every path below `/v1/sources/`, with every method, because the order of the refusals is ours."""
        return [web.route(hdrs.METH_ANY, _PREFIX + "{source:.*}", self._receive_elsewhere)]

    def short_cut(self, request: web.Request) -> Handler | None:
        """What answers a plain webhook to a known source, which is nearly all of them; None if it has to go through the routes."""
        path = request.raw_path
        if not path.startswith(_PREFIX) or hdrs.EXPECT in request.headers:
            return None
        name = path[len(_PREFIX) :]
        return partial(self._receive, name) if name in self._endpoints else None

    def close(self) -> None:
        """From now on every webhook is answered with 503, also one that is still being read."""
        self._closed = True

    async def _receive_elsewhere(self, request: web.Request) -> web.StreamResponse:
        return await self._receive(request.match_info["source"], request)

    async def _receive(self, name: str, request: web.Request) -> web.StreamResponse:
        """Take one webhook, or say why not."""
        endpoint = self._endpoints.get(name)
        try:
            return await self._take(request, self._admit(request, name, endpoint))
        except Refused as refused:
            return self._refuse(request, endpoint.name if endpoint else _UNKNOWN, refused)

    def _admit(self, request: web.Request, name: str, endpoint: Endpoint | None) -> Endpoint:
        """The endpoint, if the request may be read; nothing of its body is needed to decide that."""
        self._refuse_if_closed()
        if endpoint is None:
            raise _not_found(name, self._endpoints)
        if request.method != hdrs.METH_POST:
            raise Refused(405, "Method not allowed", "a webhook is a POST", {"Allow": "POST"})
        if not comes_from(endpoint.allow_from, request.remote):
            raise Refused(403, "Forbidden", "this address is not among the source's `allow_from`")
        if not isinstance(endpoint.authentication, Hmac):
            demand(endpoint.authentication, request.headers, b"")
        self._intake.refuse_if_short()
        return endpoint

    async def _take(self, request: web.Request, endpoint: Endpoint) -> web.StreamResponse:
        """Read, check and commit the body."""
        with self._intake.reading() as grow:
            sent = await read_body(request, limit=self._max_body, grow=grow)
        if isinstance(endpoint.authentication, Hmac):
            demand(endpoint.authentication, request.headers, sent)
        encoding = request.headers.get(hdrs.CONTENT_ENCODING, "")
        event = Event(self._new_id(), endpoint.name, self._clock.now(), sent)
        try:
            if encoding:
                event = replace(event, body=decode_body(sent, encoding=encoding, limit=self._max_body))
            said = endpoint.parser.parse(event.body, source=event.source, received_at=event.received_at)
        except MalformedBody as error:
            return await self._keep(event, error)
        self._refuse_if_closed()
        if endpoint.name not in self._endpoints:  # removed meanwhile: nobody would decide the event
            raise _not_found(endpoint.name, self._endpoints)
        self._intake.refuse_if_short()  # others came first
        try:
            await self._accept(event, said)
        except StoreError as error:
            raise not_stored(error) from error
        self._tally.count(event.source, EventOutcome.RECEIVED)
        self._log.debug("event.received", event_id=event.id, source=event.source, alerts=len(said.alerts))
        return acknowledgement(request, event)

    async def _keep(self, event: Event, error: MalformedBody) -> web.Response:
        """Refuse a malformed body with its place and problem, and with the id under which it can be looked at."""
        kept, failure = {"event": event.id}, ""
        try:
            await self._keep_malformed(replace(event, body=event.body[:_KEPT_OF_MALFORMED]), str(error))
        except StoreError as store_error:
            kept, failure = {}, str(store_error)
        self._tally.count(event.source, EventOutcome.MALFORMED)
        self._log.warning(
            "event.malformed",
            event_id=event.id,
            source=event.source,
            place=error.place,
            problem=error.problem,
            bytes=len(event.body),
            not_kept=failure,
        )
        return problem(400, "Malformed body", str(error), place=error.place, problem=error.problem, **kept)

    def _refuse(self, request: web.Request, source: str, refused: Refused) -> web.Response:
        self._tally.count(source, "refused")
        self._log.warning(
            "event.refused",
            source=source,
            status=refused.status,
            reason=refused.title,
            cause=str(refused.__cause__ or "") or (refused.detail if source == _UNKNOWN else ""),
            remote=request.remote,
        )
        response = problem(refused.status, refused.title, refused.detail)
        response.headers.update(refused.headers)
        if self._closed:
            response.force_close()  # a sender that keeps its connection would never reach our successor
        return response

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise about_to_end()


class _Tally:
    """Counts events; keeps the counters it has looked up, of which there are a few per source."""

    def __init__(self, metrics: Metrics) -> None:
        self._events = metrics.events
        self._increments: dict[tuple[str, str], Callable[[], None]] = {}

    def count(self, source: str, outcome: str) -> None:
        increment = self._increments.get((source, outcome))
        if increment is None:
            increment = self._events.labels(source=source, outcome=str(outcome)).inc
            self._increments[source, outcome] = increment
        increment()


def _not_found(name: str, endpoints: Mapping[str, Endpoint]) -> Refused:
    detail = (
        f'no source is called "{name[:_NAME_SHOWN]}"; the names stand under `sources:` in the configuration'
    )
    if name.rstrip("/") in endpoints:
        detail = "the address of a source has no trailing slash"
    return Refused(404, "Unknown source", detail)
