"""GitLab's webhooks: deployment events, and merge request events when one is merged."""

from __future__ import annotations

import re
from typing import Final

from alertbridge.deployments.deployment import Deployment, Merge, Status
from alertbridge.deployments.reading import Body, Commit, Line, Moment, PullRequest, Repository, read
from alertbridge.errors import MalformedBody

_STATES: Final = {
    "success": Status.SUCCESS,
    "failed": Status.FAILED,
    "canceled": Status.CANCELED,
    "running": Status.STARTED,
}
_COMMIT_PAGE = re.compile(r"/commit/([0-9a-f]{40,64})$")


class _Kind(Body):
    object_kind: Line


class _Project(Body):
    web_url: Repository
    path_with_namespace: Line
    default_branch: Line = ""


class _DeploymentEvent(Body):
    status: Line
    status_changed_at: Moment
    deployment_id: int
    environment: Line
    project: _Project
    commit_url: Line = ""
    ref: Line = ""


class _LastCommit(Body):
    id: Commit


class _MergeRequest(Body):
    iid: PullRequest
    action: Line = ""
    state: Line
    target_branch: Line
    merge_commit_sha: Commit = ""
    squash_commit_sha: Commit = ""
    last_commit: _LastCommit | None = None
    merged_at: Moment | None = None
    updated_at: Moment


class _MergeRequestEvent(Body):
    project: _Project
    object_attributes: _MergeRequest


def understand(body: bytes) -> Deployment | Merge | None:
    """What a webhook says: a word on a deployment, or a merge; None if neither.

    Raises MalformedBody.
    """
    match read(_Kind, body).object_kind:
        case "deployment":
            return _deployment(read(_DeploymentEvent, body))
        case "merge_request":
            return _merge(read(_MergeRequestEvent, body))
        case _:
            return None


def _deployment(said: _DeploymentEvent) -> Deployment | None:
    status = _STATES.get(said.status)
    if status is None:
        return None
    moment, page = said.status_changed_at, _COMMIT_PAGE.search(said.commit_url)
    return Deployment(
        id=f"gitlab/{said.project.path_with_namespace}/{said.deployment_id}",
        environment=said.environment,
        status=status,
        said_at=moment,
        repo_url=said.project.web_url,
        commit=page[1] if page else "",
        branch=said.ref,
        started_at=moment if status is Status.STARTED else None,
        finished_at=None if status is Status.STARTED else moment,
    )


def _merge(said: _MergeRequestEvent) -> Merge | None:
    request = said.object_attributes
    if request.action != "merge" or request.state != "merged":
        return None
    # A fast-forward merge makes no commit: what comes to the branch is the last one of the merge request.
    last = request.last_commit.id if request.last_commit else ""
    commit = request.merge_commit_sha or request.squash_commit_sha or last
    if not commit:
        raise MalformedBody("object_attributes.merge_commit_sha", "needed, and not there")
    return Merge(
        id=f"gitlab/{said.project.path_with_namespace}/merge_requests/{request.iid}",
        repo_url=said.project.web_url,
        commit=commit,
        pr_number=request.iid,
        merged_at=request.merged_at or request.updated_at,
        branch=request.target_branch,
        mainline=request.target_branch == said.project.default_branch,
    )
