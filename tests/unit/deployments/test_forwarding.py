from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from alertbridge.deployments.deployment import Deployment, Status
from alertbridge.deployments.forwarding import compose

AT = datetime(2026, 1, 5, 10, tzinfo=UTC)
WHOLE = Deployment(
    id="4711",
    environment="production",
    status=Status.SUCCESS,
    said_at=AT,
    service="checkout",
    repo_url="https://github.com/acme/checkout",
    pr_number="44",
    commit="f95f852bd8fca8fcc58a9a2d6c842781e32a215e",
    branch="main",
    started_at=AT - timedelta(minutes=4),
    finished_at=AT,
)


def test_hivel_is_told_what_its_page_names_in_that_order() -> None:
    composed = compose(WHOLE, repository="", canceled="cancelled")

    assert list(composed.payload.items()) == [
        ("deployment_id", "4711"),
        ("event_type", "completed"),
        ("status", "success"),
        ("start_time", "2026-01-05T09:56:00Z"),
        ("end_time", "2026-01-05T10:00:00Z"),
        ("repo_url", "https://github.com/acme/checkout"),
        ("environment", "production"),
        ("branch", "main"),
        ("commit_hash", "f95f852bd8fca8fcc58a9a2d6c842781e32a215e"),
        ("pr_number", "44"),
    ]
    assert composed.missing == ()


@pytest.mark.parametrize(
    ("status", "canceled", "word"),
    [
        (Status.SUCCESS, "cancelled", "success"),
        (Status.FAILED, "cancelled", "failed"),
        (Status.CANCELED, "cancelled", "cancelled"),
        (Status.CANCELED, "canceled", "canceled"),
    ],
)
def test_each_status_has_hivels_word(status: Status, canceled: str, word: str) -> None:
    assert compose(replace(WHOLE, status=status), repository="", canceled=canceled).payload["status"] == word


def test_what_is_required_and_not_known_is_named_and_never_made_up() -> None:
    bare = replace(WHOLE, repo_url="", branch="", started_at=None, commit="", pr_number="")

    composed = compose(bare, repository="", canceled="cancelled")

    assert composed.missing == ("start_time", "repo_url", "branch")
    assert "" not in composed.payload.values()


def test_a_service_stands_for_its_repository() -> None:
    composed = compose(
        replace(WHOLE, repo_url=""), repository="https://github.com/acme/shop", canceled="cancelled"
    )

    assert composed.payload["repo_url"] == "https://github.com/acme/shop"
