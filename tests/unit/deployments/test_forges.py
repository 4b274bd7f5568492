from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from alertbridge.deployments.forges import Answer, Forge, Found, NotFound, Unclear, github, gitlab, understand
from alertbridge.model import Response, Secret

NOW = datetime(2026, 1, 5, 10, tzinfo=UTC)
SHA = "f95f852bd8fca8fcc58a9a2d6c842781e32a215e"
TOKEN = Secret("t0ken")
HUB = Forge("github", "https://github.com", "https://api.github.com", TOKEN, github)
LAB = Forge("gitlab", "https://gitlab.example/", "https://gitlab.example/", TOKEN, gitlab)


def answered(body: Any, status: int = 200, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return understand(Response(status, named, orjson.dumps(body), NOW), SHA)


def test_each_forge_is_asked_in_its_own_way() -> None:
    hub = HUB.ask("https://github.com/acme/checkout", SHA)
    lab = LAB.ask("https://gitlab.example/shop/web/checkout", SHA)

    assert hub.url == f"https://api.github.com/repos/acme/checkout/commits/{SHA}/pulls"
    assert hub.headers["Authorization"] == "Bearer t0ken"
    assert lab.url == (
        f"https://gitlab.example/api/v4/projects/shop%2Fweb%2Fcheckout/repository/commits/{SHA}/merge_requests"
    )
    assert lab.headers["PRIVATE-TOKEN"] == "t0ken"
    assert "t0ken" not in f"{hub}{lab}{HUB}"


@pytest.mark.parametrize(
    ("repository", "holds"),
    [
        ("https://github.com/acme/checkout", True),
        ("https://GitHub.com/acme/checkout", True),
        ("https://github.com.evil.example/acme/checkout", False),
        ("https://gitlab.example/acme/checkout", False),
        ("http://github.com/acme/checkout", False),
    ],
)
def test_a_forge_holds_what_lies_below_its_address(repository: str, holds: bool) -> None:  # noqa: FBT001 - a table
    assert HUB.holds(repository) is holds


MERGED = {"number": 44, "state": "closed", "merged_at": "2026-01-05T09:00:00Z", "merge_commit_sha": SHA}
LATER = {**MERGED, "number": 45, "merge_commit_sha": "0" * 40}
LABS = {"id": 990, "iid": 7, "state": "merged", "merge_commit_sha": None, "squash_commit_sha": SHA}


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ([MERGED], Found("44")),
        ([{**MERGED, "merge_commit_sha": None}], Found("44")),
        ([LATER, MERGED], Found("44")),
        ([{**MERGED, "number": 43, "merged_at": None}, MERGED], Found("44")),
        ([LABS], Found("7")),
        (
            [{**LABS, "iid": 8, "state": "opened", "merged_at": None, "squash_commit_sha": None}, LABS],
            Found("7"),
        ),
        ([], NotFound("no pull request of this commit has been merged")),
        ([{**MERGED, "merged_at": None}], NotFound("no pull request of this commit has been merged")),
        (
            [LATER, {**LATER, "number": 9}],
            NotFound("more than one pull request of this commit was merged: 9, 45"),
        ),
        ({"message": "hello"}, Unclear("the answer is not a list")),
        (["x", 1, None], NotFound("no pull request of this commit has been merged")),
    ],
)
def test_a_good_answer_names_the_one_pull_request_that_was_merged(body: Any, answer: Answer) -> None:
    assert answered(body) == answer


RESET = str(int((NOW + timedelta(minutes=5)).timestamp()))
IN_FIVE = NOW + timedelta(minutes=5)


@pytest.mark.parametrize(
    ("status", "headers", "answer"),
    [
        (404, {}, NotFound("HTTP 404: the forge knows no such commit, or the token may not see it")),
        (422, {}, NotFound("HTTP 422: the forge knows no such commit, or the token may not see it")),
        (401, {}, Unclear("HTTP 401")),
        (403, {}, Unclear("HTTP 403")),
        (301, {}, Unclear("HTTP 301")),
        (500, {}, Unclear("HTTP 500")),
        (503, {"retry_after": "300"}, Unclear("HTTP 503", IN_FIVE)),
        (429, {"retry_after": "300"}, Unclear("HTTP 429: too many requests", IN_FIVE)),
        (
            429,
            {"retry_after": "Mon, 05 Jan 2026 10:05:00 GMT"},
            Unclear("HTTP 429: too many requests", IN_FIVE),
        ),
        (429, {"retry_after": "soon"}, Unclear("HTTP 429")),
        (
            403,
            {"x_ratelimit_remaining": "0", "x_ratelimit_reset": RESET},
            Unclear("HTTP 403: too many requests", IN_FIVE),
        ),
        (403, {"x_ratelimit_remaining": "9", "x_ratelimit_reset": RESET}, Unclear("HTTP 403")),
        (
            429,
            {"ratelimit_remaining": "0", "ratelimit_reset": RESET},
            Unclear("HTTP 429: too many requests", IN_FIVE),
        ),
        (429, {"retry_after": "999999"}, Unclear("HTTP 429: too many requests", NOW + timedelta(hours=1))),
        (
            403,
            {"x_ratelimit_remaining": "0", "x_ratelimit_reset": "nonsense"},
            Unclear("HTTP 403"),
        ),
    ],
)
def test_every_other_answer_says_whether_and_when_to_ask_again(
    status: int, headers: dict[str, str], answer: Answer
) -> None:
    assert answered({}, status, **headers) == answer


def test_an_answer_that_is_cut_off_is_no_answer() -> None:
    assert understand(Response(200, {}, b'[{"number": 44', NOW), SHA) == Unclear(
        "the answer is not JSON, or too long"
    )
