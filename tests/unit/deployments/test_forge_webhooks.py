from __future__ import annotations

from datetime import UTC, datetime

import orjson
import pytest

from alertbridge.deployments import github, gitlab
from alertbridge.deployments.deployment import Deployment, Merge, Status
from alertbridge.errors import MalformedBody
from tests.support.forges import (
    SHA,
    WEB,
    github_deployment_status,
    github_pull_request,
    gitlab_deployment,
    gitlab_merge_request,
)

AT = "2026-01-05T09:59:00Z"
MOMENT = datetime(2026, 1, 5, 9, 59, tzinfo=UTC)
LAB = "https://gitlab.example.com/shop/web/checkout"


def test_a_deployment_status_of_github() -> None:
    assert github.understand("deployment_status", github_deployment_status(at=AT)) == Deployment(
        id="github/acme/checkout/145988746",
        environment="production",
        status=Status.SUCCESS,
        said_at=MOMENT,
        repo_url=WEB,
        commit=SHA,
        branch="main",
        started_at=datetime(2026, 1, 5, 8, tzinfo=UTC),
        finished_at=MOMENT,
    )


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("success", Status.SUCCESS),
        ("failure", Status.FAILED),
        ("error", Status.FAILED),
        ("in_progress", Status.STARTED),
        ("queued", None),
        ("pending", None),
        ("waiting", None),
        ("inactive", None),
    ],
)
def test_each_state_of_github_means_something_or_nothing(state: str, status: Status | None) -> None:
    said = github.understand("deployment_status", github_deployment_status(state=state, at=AT))

    assert (said.status if isinstance(said, Deployment) else None) is status
    assert not isinstance(said, Deployment) or (said.finished_at is not None) == said.ended


def test_a_merged_pull_request_of_github() -> None:
    assert github.understand("pull_request", github_pull_request()) == Merge(
        id="github/acme/checkout/pull/44",
        repo_url=WEB,
        commit=SHA,
        pr_number="44",
        merged_at=datetime(2026, 1, 5, 9, tzinfo=UTC),
        branch="main",
        mainline=True,
    )
    elsewhere = github.understand("pull_request", github_pull_request(base="release"))
    assert isinstance(elsewhere, Merge)
    assert not elsewhere.mainline


def test_a_pull_request_that_is_not_merged_says_nothing() -> None:
    assert github.understand("pull_request", github_pull_request(merged=False)) is None
    assert github.understand("pull_request", github_pull_request(action="opened", merged=False)) is None
    assert github.understand("pull_request", github_pull_request(action="labeled")) is None


@pytest.mark.parametrize("event", ["ping", "push", "deployment", ""])
def test_other_events_of_github_say_nothing(event: str) -> None:
    assert github.understand(event, b'{"zen": "Speak like a human."}') is None


def test_a_deployment_of_gitlab() -> None:
    assert gitlab.understand(gitlab_deployment()) == Deployment(
        id="gitlab/shop/web/checkout/15",
        environment="production",
        status=Status.SUCCESS,
        said_at=MOMENT,
        repo_url=LAB,
        commit=SHA,
        branch="main",
        finished_at=MOMENT,
    )


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("success", Status.SUCCESS),
        ("failed", Status.FAILED),
        ("canceled", Status.CANCELED),
        ("running", Status.STARTED),
        ("blocked", None),
    ],
)
def test_each_status_of_gitlab_means_something_or_nothing(word: str, status: Status | None) -> None:
    said = gitlab.understand(gitlab_deployment(status=word))

    assert (said.status if isinstance(said, Deployment) else None) is status


@pytest.mark.parametrize(
    ("merge_commit", "squash", "commit"),
    [
        (SHA, None, SHA),
        (SHA, "a" * 40, SHA),
        (None, "a" * 40, "a" * 40),
        (None, None, "da1560886d4f094c3e6c9ef40349f7d38b5d27d7"),
    ],
)
def test_a_merged_merge_request_of_gitlab_is_the_commit_that_came_to_the_branch(
    merge_commit: str | None, squash: str | None, commit: str
) -> None:
    assert gitlab.understand(gitlab_merge_request(merge_commit=merge_commit, squash=squash)) == Merge(
        id="gitlab/shop/web/checkout/merge_requests/7",
        repo_url=LAB,
        commit=commit,
        pr_number="7",
        merged_at=datetime(2026, 1, 5, 9, 23, 34, tzinfo=UTC),
        branch="main",
        mainline=True,
    )


def test_other_events_of_gitlab_say_nothing() -> None:
    assert gitlab.understand(gitlab_merge_request(action="open", state="opened")) is None
    assert gitlab.understand(b'{"object_kind": "push"}') is None


def test_a_webhook_that_lacks_what_it_should_have_is_malformed() -> None:
    body = orjson.loads(github_deployment_status(at=AT))
    del body["deployment"]["sha"]
    with pytest.raises(MalformedBody, match=r"^deployment\.sha: needed, and not there$"):
        github.understand("deployment_status", orjson.dumps(body))
    with pytest.raises(MalformedBody, match=r"^object_kind: needed, and not there$"):
        gitlab.understand(b"{}")
