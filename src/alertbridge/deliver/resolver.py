"""The loop that asks forges: a deployment is known by its commit, and the pull request that brought it is wanted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog

from alertbridge.clock import Clock, rest
from alertbridge.deliver.retry import delay
from alertbridge.deliver.telling import Teller
from alertbridge.deliver.transport import Transport
from alertbridge.deployments.deployment import Deployment
from alertbridge.deployments.forges import Answer, Forge, Found, NotFound, Unclear, understand
from alertbridge.errors import StoreBroken, StoreError
from alertbridge.metrics import Metrics
from alertbridge.model import Response, instant
from alertbridge.store import deployments
from alertbridge.store.store import Store

_IDLE = timedelta(seconds=30)
_STORE_AGAIN = timedelta(seconds=1)
_AT_ONCE = 20
_LARGEST_ANSWER = 1024 * 1024  # bytes
_MOST_DENIALS = 10  # a forge may learn of a merge later than we do
_LONGEST = timedelta(hours=24)


class Resolver:
    """Asks one question after the other. `forges` may be set anew; without any, what waits goes on waiting."""

    def __init__(
        self,
        *,
        store: Store,
        teller: Teller,
        forges: Sequence[Forge],
        transport: Transport,
        clock: Clock,
        metrics: Metrics,
        chance: Callable[[], float],
        clean: Callable[[str], str],
    ) -> None:
        self.forges = forges
        self._store = store
        self._teller = teller
        self._transport = transport
        self._clock = clock
        self._counted = metrics.resolutions
        self._chance = chance
        self._clean = clean
        self._resting: dict[str, datetime] = {}  # forges that have asked not to be asked
        self._wake = asyncio.Event()
        self._closing = False
        self._log = structlog.get_logger().bind()

    def wake(self) -> None:
        """Something may be due."""
        self._wake.set()

    def close(self) -> None:
        """Let `run` end after the question at hand."""
        self._closing = True
        self._wake.set()

    async def run(self) -> None:
        """Ask whatever is due until `close`. Raises StoreBroken."""
        await self._transport.open()
        try:
            while not self._closing:
                self._wake.clear()
                try:
                    if not await self.run_once():
                        await self._rest()
                except StoreBroken:
                    raise
                except StoreError as error:
                    self._log.warning("resolver.failed", error=str(error))
                    await self._clock.sleep(_STORE_AGAIN)
        finally:
            await self._transport.close()

    async def run_once(self) -> int:
        """Ask what is due now, and return how many questions that were."""
        if not self.forges:
            return 0
        now = self._clock.now()
        due = await self._store.read(lambda c: deployments.due_to_resolve(c, now=now, most=_AT_ONCE))
        for deployment, attempts, since in due:
            if self._closing:
                break
            await self._resolve(deployment, attempts, since)
        return len(due)

    async def _resolve(self, deployment: Deployment, attempts: int, since: datetime) -> None:
        forge = next((one for one in self.forges if one.holds(deployment.repo_url)), None)
        if forge is None:
            await self._note(
                deployment, "no forge under deployments.resolve holds this repository", again=None
            )
            return
        resting = self._resting.get(forge.name)
        if resting is not None and resting > self._clock.now():
            await self._note(deployment, f"{forge.name} asked to wait", again=resting, counts=False)
            return
        answer = await self._ask(forge, deployment)
        self._counted.labels(forge.name, _OUTCOMES[type(answer)]).inc()
        now = self._clock.now()
        later = now + delay(attempts + 1, self._chance())
        match answer:
            case Found(pr_number):
                await self._teller.resolve(deployment.id, pr_number)
            case NotFound(reason):
                again = later if attempts + 1 < _MOST_DENIALS else None
                await self._note(deployment, reason, again=again)
            case Unclear(reason, until):
                if until is not None:
                    self._resting[forge.name] = until
                again = max(later, until or later) if now - since < _LONGEST else None
                await self._note(deployment, reason, again=again, counts=until is None)

    async def _ask(self, forge: Forge, deployment: Deployment) -> Answer:
        request = forge.ask(deployment.repo_url, deployment.commit)
        said = await self._transport.fetch(request, most=_LARGEST_ANSWER)
        if isinstance(said, Response):
            return understand(said, deployment.commit)
        return Unclear(said.reason)

    async def _note(
        self, deployment: Deployment, reason: str, *, again: datetime | None, counts: bool = True
    ) -> None:
        error = self._clean(reason)
        if again is None:
            await self._teller.give_up(deployment, error=error)
        else:
            await self._store.write(
                lambda c: deployments.not_resolved(c, deployment.id, error=error, again=again, counts=counts)
            )
        log = self._log.info if again else self._log.warning
        log(
            "deployment.unresolved",
            deployment=deployment.id,
            repo_url=deployment.repo_url,
            commit=deployment.commit,
            error=error,
            again=instant(again) if again else None,
        )

    async def _rest(self) -> None:
        due = await self._store.read(deployments.next_to_resolve) if self.forges else None
        span = _IDLE if due is None else min(_IDLE, due - self._clock.now())
        await rest(self._clock, max(timedelta(milliseconds=1), span), until=self._wake)


_OUTCOMES = {Found: "found", NotFound: "not found", Unclear: "unclear"}
