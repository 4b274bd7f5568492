from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from alertbridge.model import Secret
from alertbridge.operate.guard import Guard

TOKEN = Secret("pâss:w ord")


async def asked(guard: Guard, **headers: str) -> web.StreamResponse:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(text="let in")

    return await guard.wrap(handler)(
        make_mocked_request("GET", "/", headers={"Host": "127.0.0.1:9797", **headers})
    )


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("Bearer pâss:w ord", 200),
        ("bearer   pâss:w ord  ", 200),
        ("Bearer pâss:w orD", 401),
        ("Bearer pâss:w or", 401),
        ("Bearer pâss:w ord2", 401),
        ("Bearer", 401),
        ("Bearer ", 401),
        ("Basic pâss:w ord", 401),
        ("pâss:w ord", 401),
        ("", 401),
    ],
)
async def test_only_who_knows_the_token_is_let_in(authorization: str, status: int) -> None:
    answer = await asked(Guard(token=TOKEN, loopback=True), Authorization=authorization)
    assert answer.status == status
    assert answer.headers.get("WWW-Authenticate") == (None if status == 200 else 'Bearer realm="alertbridge"')


async def test_without_a_header_nobody_is_let_in() -> None:
    assert (await asked(Guard(token=TOKEN, loopback=True))).status == 401


async def test_without_a_token_everybody_on_this_machine_is_let_in() -> None:
    assert (await asked(Guard(token=None, loopback=True))).status == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:9797", 200),
        ("127.0.0.1", 200),
        ("[::1]:9797", 200),
        ("rebound.example:9797", 403),
        ("127.0.0.1.example", 403),
        ("", 403),
    ],
)
async def test_without_a_token_a_name_that_merely_points_here_is_refused(host: str, status: int) -> None:
    assert (await asked(Guard(token=None, loopback=True), Host=host)).status == status


async def test_without_a_token_nobody_from_elsewhere_is_let_in_and_the_remedy_is_named() -> None:
    answer = await asked(Guard(token=None, loopback=False), Authorization="Bearer x")
    assert answer.status == 403
    assert isinstance(answer, web.Response)
    assert answer.content_type == "application/problem+json"
    assert "server.admin_token_file" in (answer.text or "")


def test_bytes_that_are_no_text_are_a_wrong_token() -> None:
    refusal = Guard(token=TOKEN, loopback=True)._refuse("Bearer \udcff\udcfe", "localhost")
    assert refusal is not None
    assert refusal.status == 401
