from __future__ import annotations

import json
from typing import Any
from unittest.mock import Mock

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from structlog.testing import capture_logs

from alertbridge.errors import StoreError
from alertbridge.problems import problem, problem_middleware


def told(response: web.StreamResponse) -> dict[str, Any]:
    assert isinstance(response, web.Response)
    assert response.content_type == "application/problem+json"
    assert isinstance(response.body, bytes)
    members: dict[str, Any] = json.loads(response.body)
    assert members["status"] == response.status
    return members


async def answer(error: Exception, *, client_is_gone: bool = False) -> web.StreamResponse:
    async def handler(_: web.Request) -> web.StreamResponse:
        raise error

    transport = Mock(is_closing=lambda: client_is_gone)
    return await problem_middleware(make_mocked_request("GET", "/some/where", transport=transport), handler)


def test_a_problem_says_what_is_wrong() -> None:
    assert told(problem(400, "Malformed body", "alerts: missing", place="alerts")) == {
        "type": "about:blank",
        "title": "Malformed body",
        "status": 400,
        "detail": "alerts: missing",
        "place": "alerts",
    }


def test_what_is_not_unicode_in_a_detail_is_replaced() -> None:
    assert told(problem(415, "Unsupported", "br\udcff"))["detail"] == "br?"


async def test_an_answer_is_left_alone() -> None:
    response = web.Response(status=404, text="mine")

    async def handler(_: web.Request) -> web.StreamResponse:
        return response

    assert await problem_middleware(make_mocked_request("GET", "/"), handler) is response


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (web.HTTPNotFound(), 404, "nothing is served at /some/where"),
        (web.HTTPMethodNotAllowed("PUT", {"POST", "GET"}), 405, "PUT is not possible here; use GET, POST"),
        (web.HTTPRequestEntityTooLarge(5, 6), 413, "Maximum request body size 5 exceeded"),
        (web.HTTPBadRequest(text="`since` is not a time"), 400, "`since` is not a time"),
    ],
)
async def test_an_error_of_aiohttp_becomes_a_problem(
    error: web.HTTPException, status: int, detail: str
) -> None:
    members = told(await answer(error))

    assert members["status"] == status
    assert detail in members["detail"]


async def test_the_headers_of_an_error_are_kept() -> None:
    refused = await answer(web.HTTPMethodNotAllowed("PUT", {"POST", "GET"}))
    unavailable = await answer(web.HTTPServiceUnavailable(headers={"Retry-After": "5"}))

    assert refused.headers["Allow"] == "GET,POST"
    assert unavailable.headers["Retry-After"] == "5"


async def test_a_redirect_is_not_an_error() -> None:
    with pytest.raises(web.HTTPFound):
        await answer(web.HTTPFound("/console"))


async def test_what_was_unexpected_is_logged_and_not_shown() -> None:
    with capture_logs() as logs:
        members = told(await answer(RuntimeError("the password is hunter2")))

    assert members["status"] == 500
    assert "hunter2" not in str(members)
    assert [(log["event"], log["path"], log["exc_info"]) for log in logs] == [
        ("request.failed", "/some/where", True)
    ]


async def test_a_connection_that_broke_elsewhere_is_an_error_like_any_other() -> None:
    with capture_logs() as logs:
        assert told(await answer(ConnectionResetError("database")))["status"] == 500
    assert len(logs) == 1


async def test_a_client_that_went_away_is_no_error() -> None:
    with capture_logs() as logs, pytest.raises(ConnectionResetError):
        await answer(ConnectionResetError(), client_is_gone=True)
    assert logs == []


async def test_an_error_is_logged_also_when_the_client_went_away() -> None:
    with capture_logs() as logs:
        await answer(RuntimeError(), client_is_gone=True)
    assert len(logs) == 1


async def test_a_database_that_cannot_be_asked_is_no_internal_error() -> None:
    with capture_logs() as logs:
        response = await answer(StoreError("reading took longer than 10 s"))

    assert (told(response)["status"], told(response)["detail"]) == (503, "reading took longer than 10 s")
    assert [(log["event"], log["path"]) for log in logs] == [("request.unanswered", "/some/where")]
