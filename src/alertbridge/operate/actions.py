"""What operators do by hand: complete or skip a record, send a delivery again or give it up. Each is audited."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Annotated, Self, TypeAlias, TypeVar

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import (
    BeforeValidator,
    model_validator,
)
from sqlalchemy import Connection

from alertbridge.clock import Clock
from alertbridge.deliver.completing import complete
from alertbridge.deliver.repairing import Repair
from alertbridge.destinations import Destination
from alertbridge.destinations.change import pull_request_number, repository_url
from alertbridge.operate.answers import said
from alertbridge.operate.asked import Asked, Why, read
from alertbridge.operate.guard import Guard
from alertbridge.problems import problem
from alertbridge.store import amend, audit
from alertbridge.store.amend import Amended, NotPossible
from alertbridge.store.audit import Entry
from alertbridge.store.store import Store

_B = TypeVar("_B", bound=Asked)
_Act: TypeAlias = Callable[[Connection, str, _B, datetime], Amended | None]


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


class Complete(Asked):
    """What is filled in; one of them at least."""

    repo_url: Annotated[str, BeforeValidator(_repository)] | None = None
    pr_number: Annotated[str, BeforeValidator(_pull_request)] | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.repo_url is None and self.pr_number is None:
            raise ValueError("nothing is said; send repo_url, pr_number or both")
        return self


class Retry(Asked):
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
        new_id: Callable[[], str],
        guard: Guard,
    ) -> None:
        self._store = store
        self._destinations = destinations
        self._wake = wake
        self._clock = clock
        self._new_id = new_id
        self._guard = guard
        self._log = structlog.get_logger().bind()

    def routes(self) -> list[web.RouteDef]:
        """What to serve."""
        handlers: dict[str, Handler] = {
            "incidents/{id}/complete": partial(self._answer, "complete", Complete, self._complete),
            "incidents/{id}/skip": partial(self._answer, "skip", Why, _skip),
            "deliveries/{id}/retry": partial(self._answer, "retry", Retry, self._retry),
            "deliveries/{id}/discard": partial(self._answer, "discard", Why, _discard),
        }
        return [web.post(f"/api/v1/{path}", self._guard.wrap(handler)) for path, handler in handlers.items()]

    async def _answer(
        self, action: str, model: type[_B], act: _Act[_B], request: web.Request
    ) -> web.Response:
        identifier = request.match_info["id"]
        asked = await read(request, model)
        if isinstance(asked, web.Response):
            return asked
        try:
            left = await self._do(action, act, identifier, asked, by=self._guard.who(request))
        except NotPossible as error:
            return problem(409, "Not possible", str(error))
        if left is None:
            return problem(
                404, "Not found", f'there is no "{identifier}"; what is finished is deleted in time'
            )
        self._wake()
        return said(
            {
                "incident": left.incident,
                "destination": left.destination,
                "delivery": left.delivery,
                "state": left.state,
                "missing": [*left.missing],
                **left.aftermath,
            }
        )

    async def _do(self, action: str, act: _Act[_B], identifier: str, asked: _B, *, by: str) -> Amended | None:
        """Act and note it, in one transaction; and tell of it once it is on disk."""
        now = self._clock.now()
        detail = asked.model_dump(exclude_none=True)

        def work(connection: Connection) -> Amended | None:
            left = act(connection, identifier, asked, now)
            if left is not None:
                noted = {**detail, **left.aftermath}
                entry = Entry(by, action, left.incident, left.delivery, left.destination, noted)
                audit.note(connection, entry, now=now)
            return left

        left = await self._store.write(work)
        if left is not None:
            self._log.info(
                "operator.acted",
                action=action,
                by=by,
                incident=left.incident,
                delivery=left.delivery,
                state=left.state and left.state.value,
                missing=list(left.missing),
                detail={**detail, **left.aftermath},
            )
        return left

    def _complete(
        self, connection: Connection, incident: str, asked: Complete, now: datetime
    ) -> Amended | None:
        fields = asked.model_dump(exclude_none=True)
        destinations = self._destinations()
        return complete(
            connection, incident, fields=fields, origin="operator", destinations=destinations, now=now
        )

    def _retry(self, connection: Connection, delivery: str, asked: Retry, now: datetime) -> Amended | None:
        repair = Repair(connection, destinations=self._destinations(), new_id=self._new_id, now=now)
        return repair.retry(delivery, force=asked.force)


def _skip(connection: Connection, incident: str, asked: Why, now: datetime) -> Amended | None:
    return amend.skip_record(connection, incident, reason=asked.reason, now=now)


def _discard(connection: Connection, delivery: str, asked: Why, now: datetime) -> Amended | None:
    return amend.discard(connection, delivery, reason=asked.reason, now=now)
