"""What operators do by hand: complete or skip a record, send a delivery again or give it up. Each is audited."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any, Self, TypeAlias, TypeVar

import orjson
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StringConstraints,
    ValidationError,
    model_validator,
)
from sqlalchemy import Connection

from alertbridge.clock import Clock
from alertbridge.deliver.completing import Completed, complete
from alertbridge.destinations import Destination
from alertbridge.destinations.change import pull_request_number, repository_url
from alertbridge.operate.guard import Guard, who
from alertbridge.problems import problem
from alertbridge.store import amend, audit
from alertbridge.store.amend import Amended, NotPossible
from alertbridge.store.audit import Entry
from alertbridge.store.store import Store

_MOST_BODY = 64 * 1024  # bytes
_B = TypeVar("_B", bound=BaseModel)


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _repository(value: object) -> str:
    found = repository_url(value) if isinstance(value, str) else ""
    if not found:
        raise ValueError("not the address of a repository, such as https://github.com/acme/checkout")
    return found


def _pull_request(value: object) -> str:
    found = pull_request_number(value) if isinstance(value, str | int) else ""
    if not found:
        raise ValueError("not the number of a pull request, such as 44")
    return found


_Reason: TypeAlias = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]


class Complete(_Body):
    """What is filled in; one of them at least."""

    repo_url: Annotated[str, BeforeValidator(_repository)] | None = None
    pr_number: Annotated[str, BeforeValidator(_pull_request)] | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.repo_url is None and self.pr_number is None:
            raise ValueError("nothing is said; send repo_url, pr_number or both")
        return self


class Why(_Body):
    """Why something is given up."""

    reason: _Reason


class Retry(_Body):
    """With `force` also where something newer was delivered."""

    force: bool = False


class Actions:
    """Answers the `POST` routes under `/api/v1`: 200 with what is left, 404, or 409 with the reason why not.

    `destinations` is asked for the present ones; `wake` lets a destination's courier look what is due.
    """

    def __init__(
        self,
        *,
        store: Store,
        destinations: Callable[[], Mapping[str, Destination]],
        wake: Callable[[], None],
        clock: Clock,
        guard: Guard,
    ) -> None:
        self._store = store
        self._destinations = destinations
        self._wake = wake
        self._clock = clock
        self._guard = guard
        self._log = structlog.get_logger().bind()

    def routes(self) -> list[web.RouteDef]:
        """What to serve."""
        handlers: dict[str, Handler] = {
            "incidents/{id}/complete": partial(self._answer, Complete, self._complete),
            "incidents/{id}/skip": partial(self._answer, Why, self._skip),
            "deliveries/{id}/retry": partial(self._answer, Retry, self._retry),
            "deliveries/{id}/discard": partial(self._answer, Why, self._discard),
        }
        return [web.post(f"/api/v1/{path}", self._guard.wrap(handler)) for path, handler in handlers.items()]

    async def _answer(
        self,
        model: type[_B],
        act: Callable[[str, _B, str], Awaitable[Completed | Amended | None]],
        request: web.Request,
    ) -> web.Response:
        identifier = request.match_info["id"]
        asked = await _read(request, model)
        if isinstance(asked, web.Response):
            return asked
        try:
            left = await act(identifier, asked, who(request))
        except NotPossible as error:
            return problem(409, "Not possible", str(error))
        if left is None:
            return problem(
                404, "Not found", f'there is no "{identifier}"; what is finished is deleted in time'
            )
        self._wake()
        return web.Response(body=orjson.dumps(_shown(left)), content_type="application/json")

    async def _complete(self, incident: str, asked: Complete, by: str) -> Completed | None:
        fields = asked.model_dump(exclude_none=True)
        destinations, now = self._destinations(), self._clock.now()

        def work(connection: Connection) -> Completed | None:
            left = complete(
                connection,
                incident,
                fields=fields,
                origin="operator",
                destinations=destinations,
                now=now,
            )
            if left is not None:
                entry = Entry(by, "complete", incident, left.delivery, left.destination, fields)
                audit.note(connection, entry, now=now)
            return left

        left = await self._store.write(work)
        if left is not None:
            self._log.info(
                "incident.completed", incident=incident, by=by, missing=list(left.missing), detail=fields
            )
        return left

    async def _skip(self, incident: str, asked: Why, by: str) -> Amended | None:
        return await self._amend(
            "skip",
            lambda connection: amend.skip_record(
                connection, incident, reason=asked.reason, now=self._clock.now()
            ),
            by,
            {"reason": asked.reason},
        )

    async def _retry(self, delivery: str, asked: Retry, by: str) -> Amended | None:
        return await self._amend(
            "retry",
            lambda connection: amend.retry(connection, delivery, force=asked.force, now=self._clock.now()),
            by,
            {"force": asked.force},
        )

    async def _discard(self, delivery: str, asked: Why, by: str) -> Amended | None:
        return await self._amend(
            "discard",
            lambda connection: amend.discard(
                connection, delivery, reason=asked.reason, now=self._clock.now()
            ),
            by,
            {"reason": asked.reason},
        )

    async def _amend(
        self, action: str, amend_it: Callable[[Connection], Amended | None], by: str, detail: dict[str, Any]
    ) -> Amended | None:
        now = self._clock.now()

        def work(connection: Connection) -> Amended | None:
            left = amend_it(connection)
            if left is not None:
                entry = Entry(by, action, left.incident, left.delivery, left.destination, detail)
                audit.note(connection, entry, now=now)
            return left

        left = await self._store.write(work)
        if left is not None:
            self._log.info(
                "delivery.amended",
                action=action,
                delivery=left.delivery,
                state=left.state.value,
                by=by,
                detail=detail,
            )
        return left


async def _read(request: web.Request, model: type[_B]) -> _B | web.Response:
    """The body as `model`; an empty one stands for an empty object. What is wrong with it is the answer."""
    body = b""
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > _MOST_BODY:
            return problem(413, "Too large", f"at most {_MOST_BODY} bytes are read here")
    try:
        return model.model_validate_json(body.strip() or b"{}")
    except ValidationError as error:
        wrong = [
            {"field": ".".join(map(str, one["loc"])), "problem": one["msg"].removeprefix("Value error, ")}
            for one in error.errors()
        ]
        said = "; ".join(
            f"{one['field']}: {one['problem']}" if one["field"] else one["problem"] for one in wrong
        )
        return problem(400, "Bad request", said, problems=wrong)


def _shown(left: Completed | Amended) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(left).items()}
