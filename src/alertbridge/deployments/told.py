"""The body of `POST /v1/deployments`: what any CI can tell with one line of curl."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Self

from pydantic import BeforeValidator, ConfigDict, model_validator

from alertbridge.deployments.deployment import Deployment, Status
from alertbridge.deployments.reading import Body, Commit, Line, Moment, PullRequest, Repository, read
from alertbridge.errors import MalformedBody

_AHEAD = timedelta(minutes=5)  # as far as a CI's clock may be wrong


def _status(value: object) -> Status:
    word = value.strip().lower() if isinstance(value, str) else ""
    found = Status.CANCELED if word == "cancelled" else Status.__members__.get(word.upper())
    if found is None:
        raise ValueError(f"expected one of {', '.join(Status)}")
    return found


class Told(Body):
    """One word on one deployment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Line
    environment: Line
    status: Annotated[Status, BeforeValidator(_status)]
    service: Line = ""
    repo_url: Repository = ""
    pr_number: PullRequest = ""
    commit: Commit = ""
    branch: Line = ""
    started_at: Moment | None = None
    finished_at: Moment | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not self.service and not self.repo_url:
            raise ValueError("nothing says what was deployed; send service, repo_url or both")
        if self.status is Status.STARTED and self.finished_at is not None:
            raise ValueError("finished_at: what has only started has not finished")
        if self.started_at and self.finished_at and self.finished_at < self.started_at:
            raise ValueError("finished_at: earlier than started_at")
        return self


def deployment(body: bytes, *, received_at: datetime) -> Deployment:
    """What a body says; it finished when it was told, unless it says when. Raises MalformedBody."""
    told = read(Told, body)
    for name in ("started_at", "finished_at"):
        said = getattr(told, name)
        if said is not None and said > received_at + _AHEAD:
            raise MalformedBody(name, "lies in the future")
    ended = told.status is not Status.STARTED
    return Deployment(
        **{name: getattr(told, name) for name in Told.model_fields if name != "finished_at"},
        said_at=received_at,
        finished_at=(told.finished_at or received_at) if ended else None,
    )
