from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertbridge.deployments import github, gitlab
from alertbridge.deployments.deployment import Deployment, Status
from alertbridge.deployments.told import deployment
from alertbridge.destinations.change import pull_request_number, repository_url
from alertbridge.errors import MalformedBody
from tests.support.forges import SHA, WEB, github_deployment_status, gitlab_deployment

NOW = datetime(2026, 1, 5, 10, tzinfo=UTC)
LEAST = {"id": "4711", "service": "checkout", "environment": "production", "status": "success"}


def _json(data: Any) -> bytes:
    return json.dumps(data).encode()


def said(**fields: Any) -> Deployment:
    return deployment(orjson.dumps({**LEAST, **fields}), received_at=NOW)


def test_all_that_ci_can_say_is_understood() -> None:
    told = said(
        repo_url="git@github.com:acme/checkout.git",
        pr_number=44,
        commit="F95F852BD8FCA8FCC58A9A2D6C842781E32A215E",
        branch="main",
        started_at="2026-01-05T09:30:00Z",
        finished_at="2026-01-05T10:39:00.5+01:00",
    )

    assert told == Deployment(
        id="4711",
        environment="production",
        status=Status.SUCCESS,
        said_at=NOW,
        service="checkout",
        repo_url="https://github.com/acme/checkout",
        pr_number="44",
        commit="f95f852bd8fca8fcc58a9a2d6c842781e32a215e",
        branch="main",
        started_at=NOW - timedelta(minutes=30),
        finished_at=datetime(2026, 1, 5, 9, 39, 0, 500_000, tzinfo=UTC),
    )


def test_what_has_ended_ended_when_it_was_told_unless_it_says_when() -> None:
    assert said().finished_at == NOW
    assert said(status="started").finished_at is None


@pytest.mark.parametrize("nothing", [None, "", "  "])
def test_an_empty_variable_of_ci_says_nothing(nothing: str | None) -> None:
    assert said(pr_number=nothing, commit=nothing, repo_url=nothing, finished_at=nothing) == said()


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("success", Status.SUCCESS),
        ("failed", Status.FAILED),
        ("canceled", Status.CANCELED),
        ("cancelled", Status.CANCELED),
        ("started", Status.STARTED),
        ("SUCCESS", Status.SUCCESS),
    ],
)
def test_a_status_is_one_of_few_words(word: str, status: Status) -> None:
    assert said(status=word).status is status


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-01-05T09:30:00Z", NOW - timedelta(minutes=30)),
        ("2026-01-05T09:30:00.000Z", NOW - timedelta(minutes=30)),
        ("2026-01-05T09:30:00+00:00", NOW - timedelta(minutes=30)),
        ("2026-01-05T15:00:00+05:30", NOW - timedelta(minutes=30)),
        ("2026-01-05T09:30:00.123456789Z", NOW - timedelta(minutes=30) + timedelta(microseconds=123_456)),
        ("2026-01-05 09:30:00 UTC", NOW - timedelta(minutes=30)),
        ("2026-01-05 10:30:00 +0100", NOW - timedelta(minutes=30)),
        ("20260105T093000Z", NOW - timedelta(minutes=30)),
    ],
)
def test_an_instant_is_one_however_it_is_written(written: str, meant: datetime) -> None:
    found = said(finished_at=written).finished_at

    assert found == meant
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"id": None}, "id: needed, and not there"),
        ({"id": "x" * 256}, "id: longer than 255 characters"),
        ({"id": "a\nb"}, "id: expected one line of text, without control characters"),
        ({"id": True}, "id: expected text"),
        ({"id": ["4711"]}, "id: expected text"),
        ({"environment": ""}, "environment: needed, and not there"),
        ({"status": None}, "status: needed, and not there"),
        ({"status": "ok"}, "status: expected one of started, success, failed, canceled"),
        ({"service": None}, "nothing says what was deployed; send service, repo_url or both"),
        (
            {"repo_url": "acme/checkout"},
            "repo_url: expected the address of a repository, such as https://github.com/acme/checkout",
        ),
        ({"pr_number": "main"}, "pr_number: expected the number of a pull request, such as 44"),
        ({"pr_number": True}, "pr_number: expected the number of a pull request, such as 44"),
        ({"pr_number": 0}, "pr_number: expected the number of a pull request, such as 44"),
        ({"commit": "main"}, "commit: expected the hash of a commit, 7 to 64 hexadecimal digits"),
        (
            {"finished_at": "2026-01-05T09:30:00"},
            "finished_at: expected an instant with its zone, such as 2026-01-05T09:30:00Z",
        ),
        (
            {"finished_at": 1767605400},
            "finished_at: expected an instant with its zone, such as 2026-01-05T09:30:00Z",
        ),
        (
            {"finished_at": "0001-01-01T00:00:00+14:00"},
            "finished_at: expected an instant with its zone, such as 2026-01-05T09:30:00Z",
        ),
        ({"finished_at": "2026-01-05T10:06:00Z"}, "finished_at: lies in the future"),
        ({"started_at": "2026-01-05T10:06:00Z"}, "started_at: lies in the future"),
        (
            {"started_at": "2026-01-05T09:30:00Z", "finished_at": "2026-01-05T09:29:00Z"},
            "finished_at: earlier than started_at",
        ),
        (
            {"status": "started", "finished_at": "2026-01-05T09:29:00Z"},
            "finished_at: what has only started has not finished",
        ),
        ({"pr": 44}, "pr: not a field of a deployment"),
        (
            {"pr_number": "x", "commit": "y"},
            (
                "pr_number: expected the number of a pull request, such as 44; "
                "commit: expected the hash of a commit, 7 to 64 hexadecimal digits"
            ),
        ),
    ],
)
def test_what_is_wrong_is_said_exactly(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(MalformedBody) as refused:
        said(**fields)

    assert str(refused.value) == problem


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"[]", "expected a JSON object"),
        (b'"x"', "expected a JSON object"),
        (b"", "the body is not JSON"),
        (b"id=4711", "the body is not JSON"),
        (b"\xff", "the body is not JSON"),
        (b"[" * 100_000, "the body is not JSON"),
    ],
)
def test_what_is_no_json_object_is_refused(body: bytes, problem: str) -> None:
    with pytest.raises(MalformedBody, match=problem):
        deployment(body, received_at=NOW)


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=20),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=5), inside, max_size=3),
    max_leaves=4,
)
FIELDS = st.dictionaries(
    st.sampled_from([*LEAST, "repo_url", "pr_number", "commit", "branch", "started_at", "finished_at", "x"]),
    ANYTHING | st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat) | st.sampled_from([WEB, SHA, 44]),
)


@given(FIELDS)
def test_whatever_is_told_is_understood_whole_or_refused(fields: dict[str, Any]) -> None:
    try:
        told = deployment(_json({**LEAST, **fields}), received_at=NOW)
    except MalformedBody:
        return
    assert told.id
    assert told.service or told.repo_url
    assert (told.finished_at is not None) == told.ended
    assert told.pr_number == pull_request_number(told.pr_number)
    assert told.repo_url == repository_url(told.repo_url)


@given(
    FIELDS.map(_json) | st.binary(max_size=50), st.sampled_from(["deployment_status", "pull_request", "push"])
)
def test_no_webhook_breaks_its_reader(body: bytes, event: str) -> None:
    with suppress(MalformedBody):
        github.understand(event, body)
    with suppress(MalformedBody):
        gitlab.understand(body)


@given(st.sampled_from(["deployment_status", "deployment", "repository", "project", "status"]), ANYTHING)
def test_a_webhook_with_one_thing_wrong_is_understood_or_refused(name: str, value: Any) -> None:
    hub = {**orjson.loads(github_deployment_status(at="2026-01-05T09:59:00Z")), name: value}
    lab = {**orjson.loads(gitlab_deployment()), name: value}
    with suppress(MalformedBody):
        github.understand("deployment_status", _json(hub))
    with suppress(MalformedBody):
        gitlab.understand(_json(lab))
