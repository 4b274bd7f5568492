"""What follows from a word on a deployment: it is kept, held records that it completes are sent, Hivel is told, all at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import Connection

from alertbridge.clock import Clock
from alertbridge.deliver.attribution import Attribution
from alertbridge.deployments import forwarding
from alertbridge.deployments.deployment import Deployment, Merge
from alertbridge.destinations import Destination
from alertbridge.model import Action, DeliveryState, Severity
from alertbridge.store import deployments, outbox
from alertbridge.store.amend import Amended
from alertbridge.store.outbox import Posting
from alertbridge.store.store import Store


@dataclass(frozen=True, slots=True)
class Forward:
    """Where deployments are passed on to, and the word there for one that was canceled.

    `waits` says that forges are asked: what they may still say is waited for, since a deployment is passed on once.
    """

    destination: str
    canceled: str
    waits: bool


@dataclass(frozen=True, slots=True)
class Present:
    """What is configured now."""

    attribution: Attribution
    destinations: Mapping[str, Destination]
    rules_hash: str
    forward: Forward | None


@dataclass(frozen=True, slots=True)
class Kept:
    """A deployment as it is known now, the records that were held and lack less now, and whether it is passed on now."""

    deployment: Deployment
    completed: tuple[Amended, ...]
    forwarded: bool


class Teller:
    """Keeps what is told of deployments. Every method returns when it is on disk; StoreError if it cannot be.

    `present` gives what is configured now; `posted` is called when something may be due to be sent; `unresolved` when
    a deployment may wait for a forge to say its pull request.
    """

    def __init__(
        self,
        *,
        store: Store,
        present: Callable[[], Present],
        clock: Clock,
        new_id: Callable[[], str],
        posted: Callable[[], None],
        unresolved: Callable[[], None],
    ) -> None:
        self._store = store
        self._present = present
        self._clock = clock
        self._new_id = new_id
        self._posted = posted
        self._unresolved = unresolved
        self._log = structlog.get_logger().bind()

    async def tell(self, said: Deployment) -> Kept:
        """A word on a deployment."""
        now = self._clock.now()

        def work(connection: Connection) -> list[Kept]:
            known = deployments.put(connection, said, now=now)
            present = self._present()
            lacks = not known.pr_number and bool(known.commit) and bool(known.repo_url)
            wanted = lacks and present.attribution.policy.counts(known)
            deployments.want_resolved(connection, known.id, at=now if wanted else None)
            return [self._settle(connection, known, present, now, may_learn=wanted)]

        (kept,) = self._report(await self._store.write(work))
        return kept

    async def tell_merge(self, merge: Merge) -> tuple[Kept, ...]:
        """A pull request was merged: the deployments of that commit are known to have brought it."""
        now = self._clock.now()

        def work(connection: Connection) -> list[Kept]:
            present, known = self._present(), deployments.put_merge(connection, merge)
            return [self._settle(connection, one, present, now) for one in known]

        return self._report(await self._store.write(work))

    async def resolve(self, deployment: str, pr_number: str) -> tuple[Kept, ...]:
        """A forge has said which pull request a deployment brought."""
        now = self._clock.now()

        def work(connection: Connection) -> list[Kept]:
            known = deployments.resolve(connection, deployment, pr_number)
            return [] if known is None else [self._settle(connection, known, self._present(), now)]

        return self._report(await self._store.write(work))

    async def give_up(self, deployment: Deployment, *, error: str) -> tuple[Kept, ...]:
        """No forge will say which pull request a deployment brought, and `error` says why.

        Where more was told of it since `deployment` was read, nothing is given up: it is asked about anew.
        """
        now = self._clock.now()

        def work(connection: Connection) -> list[Kept]:
            if deployments.find(connection, deployment.id) != deployment:
                return []
            deployments.not_resolved(connection, deployment.id, error=error, again=None, counts=True)
            return [self._settle(connection, deployment, self._present(), now)]

        return self._report(await self._store.write(work))

    def _settle(
        self,
        connection: Connection,
        known: Deployment,
        present: Present,
        now: datetime,
        *,
        may_learn: bool = False,
    ) -> Kept:
        """What follows from what is known now; `may_learn` if a forge is still to be asked."""
        left = present.attribution.complete_held(
            connection, known, destinations=present.destinations, now=now
        )
        forward = present.forward
        forwarded = forward is not None and known.ended and not (may_learn and forward.waits)
        if forward is not None and forwarded:
            forwarded = self._forward(connection, known, present, forward, now)
        return Kept(known, tuple(left), forwarded)

    def _forward(
        self, connection: Connection, known: Deployment, present: Present, forward: Forward, now: datetime
    ) -> bool:
        """Enter it into the outbox, unless that was done before: nothing says that Hivel lets itself be corrected."""
        if deployments.is_forwarded(connection, known.id, destination=forward.destination):
            return False
        repository = present.attribution.catalogue.get(known.service, "")
        composed = forwarding.compose(known, repository=repository, canceled=forward.canceled)
        lacking = ", ".join(composed.missing)
        posting = Posting(
            id=self._new_id(),
            incident="",
            destination=forward.destination,
            key=known.id,
            action=Action.DEPLOYMENT,
            rules_hash=present.rules_hash,
            severity=Severity.LOW,
            state=DeliveryState.SKIPPED if lacking else DeliveryState.PENDING,
            payload=composed.payload,
            missing=composed.missing,
            due_at=now,
            received_at=now,
            note=f"not passed on: nobody said its {lacking}" if lacking else None,
        )
        outbox.post(connection, [posting], now=now)
        return not lacking

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
                forwarded=kept.forwarded,
            )
        if any(kept.completed or kept.forwarded for kept in several):
            self._posted()
        if any(kept.deployment.commit and not kept.deployment.pr_number for kept in several):
            self._unresolved()
        return tuple(several)
