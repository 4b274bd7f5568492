"""Which deployment an incident is laid to, and what of it fills in what an incident's record lacks."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from alertbridge.deployments.deployment import Deployment, Status

FILLED = ("repo_url", "pr_number")


@dataclass(frozen=True, slots=True)
class Policy:
    """Which deployments count: to one of these environments (in lower case), and finished at most `max_age` before."""

    production: frozenset[str]
    max_age: timedelta

    def counts(self, deployment: Deployment) -> bool:
        """Whether any incident could be laid to it."""
        return deployment.status is Status.SUCCESS and deployment.environment.lower() in self.production


@dataclass(frozen=True, slots=True)
class Sought:
    """An incident as far as it says what was changed; what it does not say is empty."""

    opened_at: datetime
    service: str = ""
    repo_url: str = ""
    pr_number: str = ""


def choose(deployments: Iterable[Deployment], sought: Sought, policy: Policy) -> Deployment | None:
    """The latest successful production deployment of that service or repository that finished before it opened.

    None if there is none, or none within `max_age`. Of two that finished in one moment, the one whose id sorts last.
    """
    suspects = (
        one
        for one in deployments
        if policy.counts(one) and _concerns(one, sought) and _in_time(one, sought, policy)
    )
    return max(suspects, key=lambda one: (one.finished_at, one.id), default=None)


def filling(deployment: Deployment, missing: Collection[str]) -> dict[str, str]:
    """Those of the missing fields that the deployment knows."""
    known = {"repo_url": deployment.repo_url, "pr_number": deployment.pr_number}
    return {name: known[name] for name in FILLED if name in missing and known[name]}


def _concerns(deployment: Deployment, sought: Sought) -> bool:
    """Whether both name the same service or repository, and neither contradicts the other."""
    pairs = [
        (deployment.service, sought.service),
        (deployment.repo_url.lower(), sought.repo_url.lower()),
        (deployment.pr_number, sought.pr_number),
    ]
    named = [(told, wanted) for told, wanted in pairs if told and wanted]
    same_place = any(told and wanted for told, wanted in pairs[:2])
    return same_place and all(told == wanted for told, wanted in named)


def _in_time(deployment: Deployment, sought: Sought, policy: Policy) -> bool:
    finished = deployment.finished_at
    return finished is not None and timedelta(0) < sought.opened_at - finished <= policy.max_age
