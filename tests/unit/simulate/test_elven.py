from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from multidict import CIMultiDict

from alertbridge.simulate.elven import Alarmed, Elven, Resolved
from alertbridge.simulate.exchange import Arrival, Content, Refused

AT = datetime(2025, 9, 22, 10, 30, tzinfo=UTC)
HEADERS = {"Content-Type": "application/json", "User-Agent": "1PcustomAuth/1.0"}
# The guide's own example.
ALARMED: Mapping[str, Any] = {
    "title": "<incident title>",
    "description": "<incident description>",
    "external_aggregate_key": "001",
    "action": "alarmed",
    "severity": "critical",
    "tags": [{"name": "tag-00", "value": "value0"}, {"name": "tag-01", "value": "value1"}],
}
RESOLVED: Mapping[str, Any] = {"external_aggregate_key": "001", "action": "resolved"}


def elven(tokens: frozenset[str] | None = None) -> Elven:
    return Elven(tokens=tokens, keep=10)


def arrival(
    body: Any = ALARMED,
    *,
    method: str = "POST",
    path: str = "s3cret",
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] = HEADERS,
) -> Arrival:
    return Arrival(
        method=method,
        path=path,
        query=query or {},
        headers=CIMultiDict(headers),
        content_type=headers.get("Content-Type", "application/octet-stream"),
        content=Content.of(body if isinstance(body, bytes) else orjson.dumps(body)),
    )


def changed(body: Mapping[str, Any] = ALARMED, **fields: Any) -> dict[str, Any]:
    return {**body, **fields}


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in ALARMED.items() if name not in names}


def refusal(request: Arrival, tokens: frozenset[str] | None = None) -> tuple[int, str]:
    refused = elven(tokens).judge(request)
    assert isinstance(refused, Refused), refused
    return refused.status, refused.reason


def test_the_example_of_the_guide_is_an_alarm() -> None:
    message = elven().judge(arrival())
    assert isinstance(message, Alarmed)
    assert message.external_aggregate_key == "001"


@pytest.mark.parametrize(
    "body",
    [
        RESOLVED,
        changed(action="resolved"),
        changed(RESOLVED, title="", description="", tags=[]),
        changed(RESOLVED, organization="an older account says this"),
    ],
)
def test_a_resolve_needs_the_key_only_and_may_say_all(body: Mapping[str, Any]) -> None:
    assert isinstance(elven().judge(arrival(body)), Resolved)


@pytest.mark.parametrize("severity", ["critical", "high", "moderate", "low", "informational"])
def test_each_documented_severity_is_taken(severity: str) -> None:
    assert isinstance(elven().judge(arrival(changed(severity=severity))), Alarmed)


@pytest.mark.parametrize(
    "body", [without("tags"), changed(organization="abc"), changed(tags=[{"name": "", "value": "", "x": 1}])]
)
def test_what_is_not_documented_as_wrong_is_tolerated(body: Mapping[str, Any]) -> None:
    assert isinstance(elven().judge(arrival(body)), Alarmed)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (without("external_aggregate_key"), "external_aggregate_key: required"),
        (without("action"), "action: required"),
        (without("title"), "title: required"),
        (without("description"), "description: required"),
        (without("severity"), "severity: required"),
        (without("title", "severity"), "title: required; severity: required"),
        ({"action": "resolved"}, "external_aggregate_key: required"),
        (changed(action="acknowledged"), "action: must be one of 'alarmed', 'resolved'"),
        (changed(action="ALARMED"), "action: must be one of 'alarmed', 'resolved'"),
        (changed(action=None), "action: must be one of 'alarmed', 'resolved'"),
        (changed(external_aggregate_key=1), "external_aggregate_key: must be a string"),
        (changed(external_aggregate_key=""), "external_aggregate_key: must not be empty"),
        (changed(title=None), "title: must be a string"),
        (changed(title=""), "title: must not be empty"),
        (changed(description=["x"]), "description: must be a string"),
        (changed(description=""), "description: must not be empty"),
        (
            changed(severity="medium"),
            "severity: must be 'critical', 'high', 'moderate', 'low' or 'informational'",
        ),
        (changed(severity="HIGH"), "severity: must be 'critical', 'high', 'moderate', 'low' or 'informational'"),
        (changed(tags={"a": "b"}), "tags: must be an array"),
        (changed(tags=None), "tags: must be an array"),
        (changed(tags=["a"]), "tags[0]: must be an object"),
        (changed(tags=[{"name": "a"}]), "tags[0].value: required"),
        (changed(tags=[{"name": "a", "value": "b"}, {"name": "a", "value": 1}]), "tags[1].value: must be a string"),
        (changed(RESOLVED, severity="none"), "severity: must be 'critical', 'high', 'moderate', 'low' or 'informational'"),
        (changed(RESOLVED, title=1), "title: must be a string"),
        ([], "body: must be an object"),
        ("alarmed", "body: must be an object"),
    ],
)  # fmt: skip
def test_a_body_that_breaks_the_guide_is_refused_with_the_field(body: Any, reason: str) -> None:
    assert refusal(arrival(body)) == (400, reason)


@pytest.mark.parametrize("raw", [b"", b"{", b'{"a": NaN}', b"\xff", b"title=x"])
def test_a_body_that_is_not_json_is_refused(raw: bytes) -> None:
    status, reason = refusal(arrival(raw))
    assert status == 400
    assert reason.startswith("body: not JSON: ")


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "HEAD"])
def test_only_post_is_allowed(method: str) -> None:
    refused = elven().judge(arrival(method=method))
    assert isinstance(refused, Refused)
    assert (refused.status, refused.headers) == (405, {"Allow": "POST"})


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_only_json_is_taken(content_type: str) -> None:
    headers = {**HEADERS, "Content-Type": content_type}
    assert refusal(arrival(headers=headers)) == (415, "Content-Type: must be application/json")


@pytest.mark.parametrize("agent", ["", "1PcustomAuth/1.1", "1pcustomauth/1.0", "python-requests/2.32"])
def test_only_the_documented_user_agent_is_let_in(agent: str) -> None:
    headers = {**HEADERS, "User-Agent": agent}
    assert refusal(arrival(headers=headers)) == (400, "User-Agent: must be 1PcustomAuth/1.0")


def test_a_body_beyond_bearing_is_refused() -> None:
    request = Arrival("POST", "s3cret", {}, CIMultiDict(HEADERS), "application/json", Content(oversize=True))
    assert refusal(request) == (413, "body: too large")


@pytest.mark.parametrize(
    ("path", "query", "known", "reason"),
    [
        ("", {}, None, "token: missing in the URL"),
        ("", {"token": ""}, None, "token: missing in the URL"),
        ("other", {}, frozenset({"s3cret"}), "token: unknown"),
        ("", {"token": "other"}, frozenset({"s3cret"}), "token: unknown"),
        ("other", {"token": "s3cret"}, frozenset({"s3cret"}), "token: unknown"),
        ("s3cret/", {}, frozenset({"s3cret"}), "token: unknown"),
    ],
)
def test_a_wrong_token_is_refused_before_anything_else(
    path: str, query: Mapping[str, str], known: frozenset[str] | None, reason: str
) -> None:
    assert refusal(arrival(b"{", path=path, query=query, headers={}), known) == (401, reason)


@pytest.mark.parametrize(("path", "query"), [("s3cret", {}), ("", {"token": "s3cret"})])
@pytest.mark.parametrize("known", [None, frozenset({"s3cret", "another"})])
def test_a_token_may_stand_in_the_path_or_the_query(
    path: str, query: Mapping[str, str], known: frozenset[str] | None
) -> None:
    assert isinstance(elven(known).judge(arrival(path=path, query=query)), Alarmed)


def test_an_unknown_resolve_is_taken_with_a_note_and_a_known_one_without() -> None:
    vendor = elven()
    alarm, resolve = vendor.judge(arrival()), vendor.judge(arrival(RESOLVED))
    assert isinstance(alarm, Alarmed)
    assert isinstance(resolve, Resolved)
    first = vendor.take(resolve, seq=1, at=AT)
    assert (first.reply.status, first.note) == (200, "resolved for a key that was never alarmed")
    assert vendor.take(alarm, seq=2, at=AT).note is None
    assert vendor.take(resolve, seq=3, at=AT).note is None
    assert orjson.loads(first.reply.body) == {"message": "ok"}


def test_a_judgement_alone_changes_nothing() -> None:
    vendor = elven()
    vendor.judge(arrival())
    assert vendor.believed() == {}


@pytest.mark.parametrize("body", [None, [], {}, {"external_aggregate_key": 1}])
def test_a_body_without_a_key_has_none(body: Any) -> None:
    assert elven().key(body) is None


def test_no_text_form_of_an_arrival_shows_the_token() -> None:
    shown = repr(arrival(query={"token": "s3cret"}, headers={"Referer": "s3cret"}))
    assert "s3cret" not in shown
