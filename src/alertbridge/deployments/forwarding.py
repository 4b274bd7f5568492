"""What Hivel's Deployment Events v2 is told of a deployment that has ended."""

from __future__ import annotations

from alertbridge.deployments.deployment import Deployment, Status
from alertbridge.model import JSON, Composed, instant

_REQUIRED = ("start_time", "repo_url", "branch")  # the others are always there


def compose(deployment: Deployment, *, repository: str, canceled: str) -> Composed:
    """The documented payload; fields without a value are left out, required ones also named.

    `repository` stands in where the deployment names its service only; `canceled` is Hivel's word for that.
    """
    words = {Status.SUCCESS: "success", Status.FAILED: "failed", Status.CANCELED: canceled}
    payload: dict[str, JSON] = {
        "deployment_id": deployment.id,
        "event_type": "completed",
        "status": words.get(deployment.status, "unknown"),
        "start_time": instant(deployment.started_at) if deployment.started_at else "",
        "end_time": instant(deployment.finished_at) if deployment.finished_at else "",
        "repo_url": deployment.repo_url or repository,
        "environment": deployment.environment,
        "branch": deployment.branch,
        "commit_hash": deployment.commit,
        "pr_number": deployment.pr_number,
    }
    return Composed(
        payload={name: value for name, value in payload.items() if value},
        missing=tuple(name for name in _REQUIRED if not payload[name]),
    )
