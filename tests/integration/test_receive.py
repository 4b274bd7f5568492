"""What the webhook route takes and what it refuses, on a real server."""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from alertbridge.errors import StoreFull
from alertbridge.model import Event
from tests.integration.receiving import (
    EMPTY,
    ENDPOINTS,
    LIMIT,
    NOW,
    PROD,
    Bridge,
    answer,
    chunked,
    request,
    served,
)

PAYLOADS = Path(__file__).parents[1] / "payloads" / "alertmanager"
FIRING = (PAYLOADS / "01-firing-single.json").read_bytes()
SIGNED = "sha256=" + hmac.new(b"key", gzip.compress(EMPTY, mtime=0), hashlib.sha256).hexdigest()


@pytest.fixture
async def bridge() -> AsyncIterator[Bridge]:
    async with served() as bridge:
        yield bridge


async def test_a_webhook_is_accepted_with_the_id_of_its_event(bridge: Bridge) -> None:
    answered = await bridge.post(body=FIRING, Content_Type="application/json")

    assert (answered.status, json.loads(answered.body)) == (202, {"event": "E1"})
    assert answered.headers["content-type"] == "application/json"
    assert bridge.accepted == [Event("E1", "prod", NOW, FIRING)]
    assert bridge.counted("prod", "received") == 1


@pytest.mark.parametrize("headers", [{}, {"Connection": "close"}])
async def test_the_answer_says_when_it_was_given_and_whether_the_connection_is_kept(
    bridge: Bridge, headers: dict[str, str]
) -> None:
    reader, writer = await bridge.connect()
    writer.write(request(PROD, FIRING, **headers) * (1 if headers else 2))
    first = await answer(reader)

    assert (first.status, json.loads(first.body)) == (202, {"event": "E1"})
    assert "date" in first.headers
    assert first.headers.get("connection") == headers.get("Connection")
    if headers:
        assert await reader.read() == b""
    else:
        assert json.loads((await answer(reader)).body) == {"event": "E2"}
    writer.close()


async def test_a_client_of_http_1_0_is_answered_and_sent_away(bridge: Bridge) -> None:
    reader, writer = await bridge.connect()
    writer.write(request(PROD, FIRING).replace(b"HTTP/1.1", b"HTTP/1.0"))
    whole = await reader.read()

    assert whole.startswith(b"HTTP/1.0 202 Accepted\r\n")
    assert whole.endswith(b'\r\n\r\n{"event":"E1"}')
    writer.close()


RECORDED: dict[str, list[list[str]]] = {
    entry["file"]: entry["headers"] for entry in json.loads((PAYLOADS / "index.json").read_text())
}


@pytest.mark.parametrize(
    ("source", "file"), [("basic", "15-pr-checks-basic-auth.json"), ("bearer", "16-pr-checks-bearer.json")]
)
async def test_recorded_credentials_are_good_for_their_source_only(
    bridge: Bridge, source: str, file: str
) -> None:
    headers = {name.replace("-", "_"): value for name, value in RECORDED[file] if name != "Host"}
    body = (PAYLOADS / file).read_bytes()

    taken = await bridge.post(f"/v1/sources/{source}", body, **headers)
    other = await bridge.post(f"/v1/sources/{'bearer' if source == 'basic' else 'basic'}", body, **headers)

    assert (taken.status, other.status) == (202, 401)
    assert [event.source for event in bridge.accepted] == [source]


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("/v1/sources/local", EMPTY, {}),
        ("/v1/sources/prod?source=am&x=1", EMPTY, {}),
        ("/v1/sources/%70rod", EMPTY, {}),
        (PROD, EMPTY, {"Content_Type": "text/plain; charset=latin-1"}),
        (PROD, EMPTY, {"Content_Encoding": "identity"}),
        (PROD, gzip.compress(EMPTY), {"Content_Encoding": "gzip"}),
        (PROD, chunked(EMPTY[:3], EMPTY[3:]), {"Transfer_Encoding": "chunked"}),
        (
            "/v1/sources/signed",
            gzip.compress(EMPTY, mtime=0),
            {"Content_Encoding": "gzip", "X_Signature": SIGNED},
        ),
    ],
)
async def test_what_is_accepted_besides(
    bridge: Bridge, path: str, body: bytes, headers: dict[str, str]
) -> None:
    assert (await bridge.post(path, body, **headers)).status == 202
    assert [event.body for event in bridge.accepted] == [EMPTY]


def sized(size: int) -> bytes:
    return EMPTY.ljust(size)


GZIP, CHUNKED = {"Content_Encoding": "gzip"}, {"Transfer_Encoding": "chunked"}


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (sized(LIMIT), {}, 202),
        (sized(LIMIT + 1), {}, 413),
        (chunked(sized(LIMIT)), CHUNKED, 202),
        (chunked(sized(LIMIT), b" "), CHUNKED, 413),
        (gzip.compress(sized(LIMIT)), GZIP, 202),
        (gzip.compress(sized(LIMIT + 1)), GZIP, 413),
        (gzip.compress(bytes(2_000_000)), GZIP, 413),
        (chunked(gzip.compress(sized(LIMIT + 1))), GZIP | CHUNKED, 413),
    ],
)
async def test_the_limit_holds_to_the_byte(
    bridge: Bridge, body: bytes, headers: dict[str, str], status: int
) -> None:
    assert (await bridge.post(body=body, **headers)).status == status
    assert len(bridge.accepted) == (status == 202)


REFUSALS: list[tuple[str, str, bytes, dict[str, str], int, str]] = [
    ("POST", "/v1/sources/none", EMPTY, {}, 404, 'no source is called "none"'),
    ("POST", "/v1/sources/prod/", EMPTY, {}, 404, "no trailing slash"),
    ("POST", "/v1/sources/prod%2F", EMPTY, {}, 404, "no trailing slash"),
    ("POST", "/v1/sources/prod/api/v2/alerts", EMPTY, {}, 404, "no source"),
    ("POST", "/v1/sources//prod", EMPTY, {}, 404, "no source"),
    ("POST", "/v1/sources/", EMPTY, {}, 404, "no source"),
    ("POST", "/v1/sources", EMPTY, {}, 404, "nothing is served"),
    ("POST", "//v1/sources/prod", EMPTY, {}, 404, "nothing is served"),
    ("GET", "/v1/sources/none", b"", {}, 404, "no source"),
    ("GET", PROD, b"", {}, 405, "a webhook is a POST"),
    ("PUT", PROD, EMPTY, {}, 405, "a webhook is a POST"),
    ("OPTIONS", "/v1/sources/elsewhere", b"", {}, 405, "a webhook is a POST"),
    ("POST", "/v1/sources/elsewhere", EMPTY, {}, 403, "`allow_from`"),
    ("POST", "/v1/sources/bearer", EMPTY, {}, 401, "missing or wrong"),
    ("POST", "/v1/sources/bearer", EMPTY, {"Authorization": "Bearer guess"}, 401, "missing or wrong"),
    ("POST", "/v1/sources/bearer", sized(LIMIT + 1), {}, 401, "missing or wrong"),
    ("POST", "/v1/sources/basic", EMPTY, {"Authorization": "Basic Z3Vlc3M="}, 401, "missing or wrong"),
    ("POST", "/v1/sources/signed", EMPTY, {"X_Signature": SIGNED}, 401, "missing or wrong"),
    ("POST", "/v1/sources/signed", gzip.compress(bytes(99_999)), GZIP, 401, "missing or wrong"),
    ("POST", PROD, EMPTY, {"Content_Encoding": "br"}, 415, '"br" cannot be read'),
]


@pytest.mark.parametrize(("method", "path", "body", "headers", "status", "detail"), REFUSALS)
async def test_a_refusal_is_a_problem_with_a_reason(
    bridge: Bridge, method: str, path: str, body: bytes, headers: dict[str, str], status: int, detail: str
) -> None:
    answered = await bridge.post(path, body, method=method, **headers)

    assert answered.status == status
    assert "location" not in answered.headers
    assert detail in answered.problem()["detail"]
    assert (answered.headers.get("allow") == "POST") is (status == 405)
    assert ("www-authenticate" in answered.headers) is (status == 401)
    assert (bridge.accepted, bridge.malformed) == ([], [])


async def test_a_head_request_is_refused_without_a_body(bridge: Bridge) -> None:
    answered = await bridge.post(PROD, b"", method="HEAD")

    assert (answered.status, answered.headers["allow"]) == (405, "POST")


async def test_credentials_are_judged_before_the_body_is_sent(bridge: Bridge) -> None:
    reader, writer = await bridge.connect()
    writer.write(request("/v1/sources/bearer", b"", Content_Length="1000"))

    assert (await answer(reader)).status == 401
    writer.close()


async def test_a_length_above_the_limit_is_refused_before_the_body_is_sent(bridge: Bridge) -> None:
    reader, writer = await bridge.connect()
    writer.write(request(PROD, b"", Content_Length=str(LIMIT + 1)))

    assert (await answer(reader)).status == 413
    writer.close()


async def test_a_connection_serves_on_after_a_refusal(bridge: Bridge) -> None:
    reader, writer = await bridge.connect()
    writer.write(request("/v1/sources/bearer", FIRING) + request(PROD, FIRING))

    assert [(await answer(reader)).status for _ in range(2)] == [401, 202]
    writer.close()


async def test_neither_logs_nor_answers_show_a_body_or_a_secret(bridge: Bridge) -> None:
    body = b'{"alerts": [{"status": "canary-body"}]}'
    with capture_logs() as logs:
        answers = [
            await bridge.post(f"/v1/sources/{source}", body, Authorization=given)
            for source in ENDPOINTS
            for given in ("Bearer canary-guess", "Basic Y2FuYXJ5OmNhbmFyeQ==", "Bearer test-token-123")
        ]

    assert {each.status for each in answers} == {400, 401, 403}
    shown = str(logs) + str(answers)
    for secret in ("canary", "Y2FuYXJ5", "test-token-123", "p@ss"):
        assert secret not in shown


@pytest.mark.parametrize(
    ("body", "headers", "kept", "place", "problem"),
    [
        (b'{"alerts": [{}]}', {}, b'{"alerts": [{}]}', "alerts[0].status", 'expected "firing" or "resolved"'),
        (gzip.compress(b"[1]"), GZIP, b"[1]", "", "Prometheus itself"),
        (b"plain", GZIP, b"plain", "", "not gzip"),
        (b"", {}, b"", "", "the body is empty"),
    ],
)
async def test_a_malformed_body_is_kept_and_the_answer_says_where_and_what(
    bridge: Bridge, body: bytes, headers: dict[str, str], kept: bytes, place: str, problem: str
) -> None:
    members = (await bridge.post(body=body, **headers)).problem()

    assert (members["status"], members["place"], members["event"]) == (400, place, "E1")
    assert problem in members["problem"]
    ((event, reason),) = bridge.malformed
    assert event == Event("E1", "prod", NOW, kept)
    assert problem in reason
    assert bridge.accepted == []
    assert bridge.counted("prod", "malformed") == 1


async def test_of_a_malformed_body_at_most_64_kib_are_kept(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bridge.receiver, "_max_body", 1_000_000)

    assert (await bridge.post(body=b"x" * 100_000)).status == 400
    assert bridge.malformed[0][0].body == b"x" * 65536


async def test_a_malformed_body_that_cannot_be_kept_is_refused_all_the_same(bridge: Bridge) -> None:
    bridge.failure = StoreFull("no room")
    with capture_logs() as logs:
        members = (await bridge.post(body=b"{}")).problem()

    assert members["status"] == 400
    assert "event" not in members
    assert [(log["event"], log["not_kept"]) for log in logs] == [("event.malformed", "no room")]


async def test_refusals_are_counted_by_source_and_those_of_strangers_together(bridge: Bridge) -> None:
    for path in ("/v1/sources/bearer", "/v1/sources/a", "/v1/sources/b/c"):
        await bridge.post(path)

    assert (bridge.counted("bearer", "refused"), bridge.counted("unknown", "refused")) == (1, 2)
