"""`POST /v1/deployments`, and below it a route for each forge: answered with 202 only when what was told is committed."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeAlias

import orjson
import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from alertbridge.clock import Clock
from alertbridge.deliver.telling import Kept, Teller
from alertbridge.deployments import github, gitlab, told
from alertbridge.deployments.deployment import Deployment, Merge
from alertbridge.errors import MalformedBody, StoreError
from alertbridge.metrics import Metrics
from alertbridge.model import Secret
from alertbridge.problems import problem
from alertbridge.receive.authentication import Authentication, Hmac, demand
from alertbridge.receive.body import decode_body, read_body
from alertbridge.receive.intake import Intake
from alertbridge.receive.refusal import Refused, about_to_end, not_stored

_LARGEST_TOLD = 64 * 1024  # bytes
_Word: TypeAlias = Deployment | Merge | None


class Guard(Protocol):
    """Who may use the admin API may tell of deployments too."""

    def wrap(self, handler: Handler) -> Handler:
        """The same handler for those who may use it, a refusal for the others."""
        ...

    def proves(self, request: web.Request) -> bool:
        """Whether the request carries the admin token."""
        ...


@dataclass(frozen=True, slots=True)
class Doors:
    """Who may tell of deployments, and how they prove it; a forge that is None is not served.

    `merges_deploy_to` is the environment that a merge into a default branch is a deployment to.
    """

    authentication: Authentication | None = None
    github: Secret | None = None
    gitlab: Secret | None = None
    merges_deploy_to: str | None = None


class DeploymentReceiver:
    """Answers those who tell of deployments. `doors` may be set anew. Bodies are never logged."""

    def __init__(
        self,
        *,
        doors: Doors,
        max_body: int,
        teller: Teller,
        guard: Guard,
        intake: Intake,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self.doors = doors
        self._max_body = max_body
        self._teller = teller
        self._guard = guard
        self._intake = intake
        self._clock = clock
        self._counted = metrics.deployments
        self._log = structlog.get_logger().bind()
        self._closed = False

    def routes(self) -> list[web.RouteDef]:
        """What to serve."""
        ways = {"": self._from_ci, "/github": self._from_github, "/gitlab": self._from_gitlab}
        return [
            web.post(f"/v1/deployments{path}", partial(self._answer, path.strip("/") or "ci", take))
            for path, take in ways.items()
        ]

    def close(self) -> None:
        """From now on every request is answered with 503."""
        self._closed = True

    async def _answer(
        self, sender: str, take: Callable[[web.Request], Awaitable[web.StreamResponse]], request: web.Request
    ) -> web.StreamResponse:
        try:
            self._refuse_if_closed()
            return await take(request)
        except Refused as refused:
            return self._refuse(sender, refused, request)

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise about_to_end()

    async def _from_ci(self, request: web.Request) -> web.StreamResponse:
        authentication = self.doors.authentication
        if authentication is None:
            return await self._guard.wrap(self._take_told)(request)
        if self._guard.proves(request):
            return await self._take_told(request)
        if not isinstance(authentication, Hmac):
            demand(authentication, request.headers, b"")
            return await self._take_told(request)
        sent = await self._read(request, min(_LARGEST_TOLD, self._max_body))
        demand(authentication, request.headers, sent)
        return await self._take_told(request, sent)

    async def _take_told(self, request: web.Request, sent: bytes | None = None) -> web.StreamResponse:
        limit = min(_LARGEST_TOLD, self._max_body)
        if sent is None:
            sent = await self._read(request, limit)
        return await self._take(
            "ci", request, sent, limit, lambda body: told.deployment(body, received_at=self._clock.now())
        )

    async def _from_github(self, request: web.Request) -> web.StreamResponse:
        secret = self.doors.github
        if secret is None:
            raise _not_configured("github", "secret_file")
        sent = await self._read(request, self._max_body)
        demand(Hmac("X-Hub-Signature-256", secret), request.headers, sent)
        if request.content_type == "application/x-www-form-urlencoded":
            detail = "choose application/json as the content type of the webhook"
            raise Refused(415, "Unsupported content type", detail)
        event = request.headers.get("X-GitHub-Event", "")
        return await self._take(
            "github", request, sent, self._max_body, lambda body: github.understand(event, body)
        )

    async def _from_gitlab(self, request: web.Request) -> web.StreamResponse:
        token = self.doors.gitlab
        if token is None:
            raise _not_configured("gitlab", "token_file")
        given = request.headers.get("X-Gitlab-Token", "").encode(errors="surrogateescape")
        if not hmac.compare_digest(given, token.reveal().encode()):
            raise Refused(401, "Unauthorized", "the header X-Gitlab-Token is missing or wrong")
        sent = await self._read(request, self._max_body)
        return await self._take("gitlab", request, sent, self._max_body, gitlab.understand)

    async def _read(self, request: web.Request, limit: int) -> bytes:
        self._intake.refuse_if_short()
        with self._intake.reading() as grow:
            return await read_body(request, limit=limit, grow=grow)

    async def _take(
        self, sender: str, request: web.Request, sent: bytes, limit: int, understand: Callable[[bytes], _Word]
    ) -> web.Response:
        """Read, keep and answer."""
        try:
            encoding = request.headers.get(hdrs.CONTENT_ENCODING, "")
            word = understand(decode_body(sent, encoding=encoding, limit=limit))
        except MalformedBody as error:
            return self._malformed(sender, error)
        try:
            return await self._keep(sender, word)
        except StoreError as error:
            raise not_stored(error) from error

    async def _keep(self, sender: str, word: _Word) -> web.Response:
        if word is None:
            self._counted.labels(sender, "ignored").inc()
            return _accepted({"ignored": "this says nothing of a deployment or a merge"})
        if isinstance(word, Deployment):
            kept = [await self._teller.tell(word)]
            self._counted.labels(sender, word.status.value).inc()
            return _accepted(_shown(kept))
        kept = [*await self._teller.tell_merge(word)]
        if self.doors.merges_deploy_to and word.mainline:
            kept.append(await self._teller.tell(word.as_deployment(self.doors.merges_deploy_to)))
        self._counted.labels(sender, "merged").inc()
        return _accepted(_shown(kept))

    def _malformed(self, sender: str, error: MalformedBody) -> web.Response:
        self._counted.labels(sender, "malformed").inc()
        self._log.warning("deployment.malformed", sender=sender, place=error.place, problem=error.problem)
        return problem(400, "Malformed body", str(error), place=error.place, problem=error.problem)

    def _refuse(self, sender: str, refused: Refused, request: web.Request) -> web.Response:
        self._counted.labels(sender, "refused").inc()
        self._log.warning(
            "deployment.refused",
            sender=sender,
            status=refused.status,
            reason=refused.title,
            remote=request.remote,
        )
        response = problem(refused.status, refused.title, refused.detail)
        response.headers.update(refused.headers)
        if self._closed:
            response.force_close()
        return response


def _not_configured(forge: str, secret: str) -> Refused:
    return Refused(404, "Not configured", f"set deployments.{forge}.{secret} to take webhooks here")


def _shown(kept: list[Kept]) -> dict[str, object]:
    """The ids of the deployments that are known better now, and of the incidents whose records they complete."""
    return {
        "deployments": [one.deployment.id for one in kept],
        "completed": [done.incident for one in kept for done in one.completed],
    }


def _accepted(body: dict[str, object]) -> web.Response:
    return web.Response(status=202, body=orjson.dumps(body), content_type="application/json")
