"""GitHub's webhooks: `deployment_status`, and `pull_request` when it is merged."""

from __future__ import annotations

from typing import Final

from alertbridge.deployments.deployment import Deployment, Merge, Status
from alertbridge.deployments.reading import Body, Commit, Line, Moment, PullRequest, Repository, read

# Other states say nothing of the change: `inactive` is what a deployment becomes when the next one replaces it.
_STATES: Final = {
    "success": Status.SUCCESS,
    "failure": Status.FAILED,
    "error": Status.FAILED,
    "in_progress": Status.STARTED,
}


class _Repository(Body):
    html_url: Repository
    full_name: Line
    default_branch: Line = ""


class _Deployment(Body):
    id: int
    sha: Commit
    ref: Line = ""
    environment: Line
    created_at: Moment


class _DeploymentStatus(Body):
    state: Line
    environment: Line = ""
    created_at: Moment


class _DeploymentStatusEvent(Body):
    deployment_status: _DeploymentStatus
    deployment: _Deployment
    repository: _Repository


class _Base(Body):
    ref: Line


class _PullRequest(Body):
    number: PullRequest
    merged: bool = False
    merged_at: Moment | None = None
    merge_commit_sha: Commit = ""
    base: _Base


class _PullRequestEvent(Body):
    action: Line
    pull_request: _PullRequest
    repository: _Repository


def understand(event: str, body: bytes) -> Deployment | Merge | None:
    """What a webhook says: a word on a deployment, or a merge; None if neither.

    `event` is the header X-GitHub-Event. Raises MalformedBody.
    """
    match event:
        case "deployment_status":
            return _deployment(read(_DeploymentStatusEvent, body))
        case "pull_request":
            return _merge(read(_PullRequestEvent, body))
        case _:
            return None


def _deployment(said: _DeploymentStatusEvent) -> Deployment | None:
    status = _STATES.get(said.deployment_status.state)
    if status is None:
        return None
    told, moment = said.deployment, said.deployment_status.created_at
    return Deployment(
        id=f"github/{said.repository.full_name}/{told.id}",
        environment=said.deployment_status.environment or told.environment,
        status=status,
        said_at=moment,
        repo_url=said.repository.html_url,
        commit=told.sha,
        branch="" if told.ref == told.sha else told.ref,
        started_at=told.created_at,
        finished_at=None if status is Status.STARTED else moment,
    )


def _merge(said: _PullRequestEvent) -> Merge | None:
    request = said.pull_request
    if said.action != "closed" or not request.merged or not request.merged_at or not request.merge_commit_sha:
        return None
    return Merge(
        id=f"github/{said.repository.full_name}/pull/{request.number}",
        repo_url=said.repository.html_url,
        commit=request.merge_commit_sha,
        pr_number=request.number,
        merged_at=request.merged_at,
        branch=request.base.ref,
        mainline=request.base.ref == said.repository.default_branch,
    )
