"""What follows from a word on a deployment: it is kept, and held records that it completes are sent, all at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import Connection

from alertbridge.clock import Clock
from alertbridge.deliver.attribution import Attribution
from alertbridge.deployments.deployment import Deployment, Merge
from alertbridge.destinations import Destination
from alertbridge.store import deployments
from alertbridge.store.amend import Amended
from alertbridge.store.store import Store


@dataclass(frozen=True, slots=True)
class Kept:
    """A deployment as it is known now, and the records that were held and lack less now."""

    deployment: Deployment
    completed: tuple[Amended, ...]


class Teller:
    """Keeps what is told of deployments. Every method returns when it is on disk; StoreError if it cannot be.

    `present` gives what is configured now; `completed` is called when records may be due; `unresolved` when a
    deployment waits for a forge to say its pull request.
    """

    def __init__(
        self,
        *,
        store: Store,
        present: Callable[[], tuple[Attribution, Mapping[str, Destination]]],
        clock: Clock,
        completed: Callable[[], None],
        unresolved: Callable[[], None],
    ) -> None:
        self._store = store
        self._present = present
        self._clock = clock
        self._completed = completed
        self._unresolved = unresolved
        self._log = structlog.get_logger().bind()

    async def tell(self, said: Deployment) -> Kept:
        """A word on a deployment."""
        now = self._clock.now()

        def work(connection: Connection) -> list[Kept]:
            known = deployments.put(connection, said, now=now)
            attribution, _ = self._present()
            lacks = not known.pr_number and bool(known.commit) and bool(known.repo_url)
            wanted = lacks and attribution.policy.counts(known)
            deployments.want_resolved(connection, known.id, at=now if wanted else None)
            return [self._settle(connection, known, now)]

        (kept,) = self._report(await self._store.write(work))
        return kept

    async def tell_merge(self, merge: Merge) -> tuple[Kept, ...]:
        """A pull request was merged: the deployments of that commit are known to have brought it."""
        now = self._clock.now()

        def work(connection: Connection) -> list[Kept]:
            known = deployments.put_merge(connection, merge)
            return [self._settle(connection, one, now) for one in known]

        return self._report(await self._store.write(work))

    async def resolve(self, deployment: str, pr_number: str) -> tuple[Kept, ...]:
        """A forge has said which pull request a deployment brought."""
        now = self._clock.now()

        def work(connection: Connection) -> list[Kept]:
            known = deployments.resolve(connection, deployment, pr_number)
            return [] if known is None else [self._settle(connection, known, now)]

        return self._report(await self._store.write(work))

    def _settle(self, connection: Connection, known: Deployment, now: datetime) -> Kept:
        attribution, destinations = self._present()
        left = attribution.complete_held(connection, known, destinations=destinations, now=now)
        return Kept(known, tuple(left))

    def _report(self, several: list[Kept]) -> tuple[Kept, ...]:
        for kept in several:
            known = kept.deployment
            self._log.info(
                "deployment.kept",
                deployment=known.id,
                service=known.service,
                repo_url=known.repo_url,
                environment=known.environment,
                status=known.status.value,
                pr_number=known.pr_number,
                completed=[one.incident for one in kept.completed],
            )
        if any(kept.completed for kept in several):
            self._completed()
        if any(kept.deployment.commit and not kept.deployment.pr_number for kept in several):
            self._unresolved()
        return tuple(several)
