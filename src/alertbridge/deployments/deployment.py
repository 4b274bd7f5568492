"""A deployment as it is told, and what a later word on it changes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum


class Status(StrEnum):
    """How far a deployment has come; the last three end it."""

    STARTED = "started"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True)
class Deployment:
    """One change brought to one environment; what nobody said is empty.

    `repo_url` and `pr_number` are in the one form that `destinations.change` gives them. `finished_at` is set exactly
    when `status` ends it. `said_at` is the moment of the word that `status` and the instants come from.
    """

    id: str
    environment: str
    status: Status
    said_at: datetime
    service: str = ""
    repo_url: str = ""
    pr_number: str = ""
    commit: str = ""
    branch: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more is expected of it."""
        return self.status is not Status.STARTED

    @property
    def origin(self) -> str:
        """Where a value that is taken from it comes from, in the words shown to operators."""
        return f"deployment {self.id}"


@dataclass(frozen=True, slots=True)
class Merge:
    """A commit is the merge of a pull request into `branch`; `mainline` says that this is the repository's default one."""

    id: str
    repo_url: str
    commit: str
    pr_number: str
    merged_at: datetime
    branch: str
    mainline: bool

    def as_deployment(self, environment: str) -> Deployment:
        """The same for those who deploy what they merge, and tell of nothing else."""
        return Deployment(
            id=self.id,
            environment=environment,
            status=Status.SUCCESS,
            said_at=self.merged_at,
            repo_url=self.repo_url,
            pr_number=self.pr_number,
            commit=self.commit,
            branch=self.branch,
            finished_at=self.merged_at,
        )


def told_again(known: Deployment, said: Deployment) -> Deployment:
    """What is known of a deployment after another word on it.

    The newer word counts, and leaves standing what it does not mention. One that comes late (older than what is
    known, or a start after the end) only adds what was not known.
    """
    late = said.said_at < known.said_at or (known.ended and not said.ended)
    first, second = (known, said) if late else (said, known)
    return replace(
        first,
        service=first.service or second.service,
        repo_url=first.repo_url or second.repo_url,
        pr_number=first.pr_number or second.pr_number,
        commit=first.commit or second.commit,
        branch=first.branch or second.branch,
        started_at=first.started_at or second.started_at,
    )
