from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from multidict import CIMultiDict

from alertbridge.simulate.exchange import Arrival, Content, Refused
from alertbridge.simulate.hivel import Hivel, HivelDeployment, HivelMessage

AT = datetime(2025, 9, 22, 11, 30, tzinfo=UTC)
HEADERS = {"Content-Type": "application/json", "X-API-Token": "s3cret"}
# The page's own example.
RECORD: Mapping[str, Any] = {
    "description": "Database connection timeout affecting API",
    "severity": "HIGH",
    "affected_systems": ["database", "api-gateway"],
    "reported_time": "2025-09-22T10:30:00Z",
    "reported_by": "alerts@company.com",
    "resolution_time": "2025-09-22T11:15:00Z",
    "provider_id": "inc-20250922-1030",
    "repo_url": "https://github.com/hivelai/webhook-logger",
    "pr_number": "71",
}
REQUIRED = ("severity", "reported_time", "resolution_time", "repo_url", "pr_number")
INSTANT = "must be ISO 8601 with a zone, such as 2024-08-01T12:34:56Z"


def arrival(
    body: Any = RECORD,
    *,
    method: str = "POST",
    path: str = "api/hooks/v1/incident",
    headers: Mapping[str, str] = HEADERS,
) -> Arrival:
    return Arrival(
        method=method,
        path=path,
        query={},
        headers=CIMultiDict(headers),
        content_type=headers.get("Content-Type", "application/octet-stream"),
        content=Content.of(body if isinstance(body, bytes) else orjson.dumps(body)),
    )


def changed(**fields: Any) -> dict[str, Any]:
    return {**RECORD, **fields}


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in RECORD.items() if name not in names}


def authorised(**headers: str) -> dict[str, str]:
    return {"Content-Type": "application/json"} | {n.replace("_", "-"): v for n, v in headers.items()}


def judged(request: Arrival, token: str | None = "s3cret") -> HivelMessage | HivelDeployment | Refused:
    return Hivel(token=token, keep=10).judge(request)


def refusal(request: Arrival, token: str | None = "s3cret") -> tuple[int, str]:
    refused = judged(request, token)
    assert isinstance(refused, Refused), refused
    return refused.status, refused.reason


@pytest.mark.parametrize(
    "body",
    [
        RECORD,
        without("description", "affected_systems", "reported_by", "provider_id"),
        changed(resolution_time=RECORD["reported_time"]),
        changed(reported_time="2025-09-22T12:30:00+02:00", resolution_time="2025-09-22T10:30:00.123456789Z"),
        changed(description="é" * 255, severity="s" * 255, reported_by="r" * 255, provider_id="p" * 255),
        changed(repo_url="http://git.example.org:8080/" + "a" * 227),
        changed(affected_systems=[]),
        changed(pr_number="team/71"),
        changed(undocumented={"x": 1}),
    ],
)
def test_what_the_page_allows_is_taken(body: Mapping[str, Any]) -> None:
    assert isinstance(judged(arrival(body)), HivelMessage)


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_required_field_is_refused_by_name(name: str) -> None:
    assert refusal(arrival(without(name))) == (400, f"{name}: required")


def test_every_missing_field_is_named_at_once() -> None:
    assert refusal(arrival({})) == (400, "; ".join(f"{name}: required" for name in REQUIRED))


@pytest.mark.parametrize("name", [*REQUIRED, "description", "reported_by", "provider_id"])
@pytest.mark.parametrize("value", [71, None, True, ["x"], {}])
def test_a_field_that_is_no_string_is_refused(name: str, value: object) -> None:
    assert refusal(arrival(changed(**{name: value}))) == (400, f"{name}: must be a string")


@pytest.mark.parametrize("name", ["description", "severity", "reported_by", "provider_id", "repo_url"])
def test_more_than_255_characters_are_refused(name: str) -> None:
    text = "https://example.org/".ljust(256, "a")
    assert refusal(arrival(changed(**{name: text}))) == (400, f"{name}: longer than 255 characters")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"severity": ""}, "severity: must not be empty"),
        ({"pr_number": ""}, "pr_number: must not be empty"),
        ({"repo_url": ""}, "repo_url: must not be empty"),
        ({"repo_url": "git@github.com:hivelai/webhook-logger"}, "repo_url: must be an http or https URL"),
        ({"repo_url": "ssh://git@github.com/a/b"}, "repo_url: must be an http or https URL"),
        ({"repo_url": "https:///a"}, "repo_url: must be an http or https URL"),
        ({"repo_url": "https://[::1/a"}, "repo_url: must be an http or https URL"),
        ({"repo_url": "https://example.org/a b"}, "repo_url: must be an http or https URL"),
        ({"repo_url": "github.com/a/b"}, "repo_url: must be an http or https URL"),
        ({"affected_systems": "database"}, "affected_systems: must be an array"),
        ({"affected_systems": None}, "affected_systems: must be an array"),
        ({"affected_systems": ["a", 1]}, "affected_systems[1]: must be a string"),
        ({"resolution_time": "2025-09-22T10:29:59Z"}, "resolution_time: earlier than reported_time"),
        ({"resolution_time": "2025-09-22T12:29:59+02:00"}, "resolution_time: earlier than reported_time"),
        ({"resolution_time": "0001-01-01T00:00:00Z"}, "resolution_time: earlier than reported_time"),
        ({"reported_time": ""}, f"reported_time: {INSTANT}"),
    ],
)
def test_a_body_that_breaks_the_page_is_refused_with_the_field(fields: dict[str, Any], reason: str) -> None:
    assert refusal(arrival(changed(**fields))) == (400, reason)


@pytest.mark.parametrize(
    "text",
    [
        "2025-09-22T11:15:00",
        "2025-09-22 11:15:00Z",
        "2025-09-22",
        "2025-13-22T11:15:00Z",
        "2025-09-22T25:15:00Z",
        "20250922T111500Z",
        "2025-09-22T11:15:00Z\n",
        "1758539700",
        "soon",
    ],
)
def test_a_time_that_is_not_iso_8601_with_a_zone_is_refused(text: str) -> None:
    assert refusal(arrival(changed(resolution_time=text))) == (400, f"resolution_time: {INSTANT}")


@pytest.mark.parametrize(
    "headers",
    [
        authorised(X_API_Token="s3cret"),
        authorised(Authorization="s3cret"),
        authorised(Authorization="Bearer s3cret"),
        authorised(Authorization="bearer s3cret", X_API_Token="other"),
    ],
)
@pytest.mark.parametrize("token", ["s3cret", None])
def test_each_documented_form_of_the_token_is_let_in(headers: dict[str, str], token: str | None) -> None:
    assert isinstance(judged(arrival(headers=headers), token), HivelMessage)


@pytest.mark.parametrize(
    ("headers", "token", "reason"),
    [
        (authorised(), None, "required"),
        (authorised(X_API_Token=""), None, "required"),
        (authorised(Authorization="Bearer"), None, "required"),
        (authorised(Authorization="Bearer "), None, "required"),
        (authorised(Authorization="Basic czNjcmV0"), None, "required"),
        (authorised(X_API_Token="other"), "s3cret", "unknown token"),
        (authorised(Authorization="other"), "s3cret", "unknown token"),
        (authorised(Authorization="Bearer S3CRET"), "s3cret", "unknown token"),
        (authorised(X_API_Token="Bearer s3cret"), "s3cret", "unknown token"),
    ],
)
def test_a_wrong_token_is_refused_before_the_body_is_read(
    headers: dict[str, str], token: str | None, reason: str
) -> None:
    assert refusal(arrival(b"{", headers=headers), token) == (401, f"X-API-Token or Authorization: {reason}")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_only_post_is_allowed(method: str) -> None:
    assert refusal(arrival(method=method)) == (405, f"{method}: not allowed, only POST")


@pytest.mark.parametrize(
    "path", ["", "api/hooks/v1/incident/", "api/hooks/v1/incidents", "hivelapi/v1/incident"]
)
def test_another_path_is_not_served(path: str) -> None:
    assert refusal(arrival(path=path)) == (
        404,
        "path: only /api/hooks/v1/incident and /api/hooks/v2/deployment are served",
    )


def test_only_json_is_taken() -> None:
    headers = {**HEADERS, "Content-Type": "text/plain"}
    assert refusal(arrival(headers=headers)) == (415, "Content-Type: must be application/json")
    assert refusal(arrival([RECORD])) == (400, "body: must be an object")


def test_the_answer_has_the_oddity_of_the_page() -> None:
    vendor = Hivel(token=None, keep=10)
    message = vendor.judge(arrival())
    assert isinstance(message, HivelMessage)
    reply = vendor.take(message, seq=7, at=AT).reply
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
    assert reply.body == b'{\n  "message": "Success",\n  "incident_id": "incident-2025-09-22-00007",\n}\n'
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(reply.body)


def test_a_record_keeps_what_was_sent_and_a_repeat_is_flagged() -> None:
    vendor = Hivel(token=None, keep=10)
    message = vendor.judge(arrival(changed(undocumented=1)))
    assert isinstance(message, HivelMessage)
    assert vendor.take(message, seq=1, at=AT).note is None
    assert vendor.take(message, seq=2, at=AT).note == "a record with this provider_id exists already"
    first, second = vendor.believed()
    assert {name: first[name] for name in RECORD} == RECORD
    assert (first["undocumented"], first["duplicate"], second["duplicate"]) == (1, False, True)


DEPLOYMENT: Mapping[str, Any] = {
    "deployment_id": "4711",
    "event_type": "completed",
    "status": "success",
    "start_time": "2025-09-22T10:00:00Z",
    "end_time": 1758535800,
    "repo_url": "https://github.com/hivelai/webhook-logger",
    "environment": "production",
    "branch": "main",
}


def deployment(**fields: Any) -> Arrival:
    said = {name: value for name, value in {**DEPLOYMENT, **fields}.items() if value is not None}
    return arrival(said, path="api/hooks/v2/deployment")


def test_a_deployment_has_an_address_and_a_shape_of_its_own() -> None:
    assert isinstance(judged(deployment()), HivelDeployment)
    assert isinstance(judged(deployment(pr_number="71", commit_hash="f95f852")), HivelDeployment)
    assert refusal(arrival(DEPLOYMENT))[0] == 400
    assert refusal(deployment(), "another")[0] == 401


@pytest.mark.parametrize("name", DEPLOYMENT)
def test_every_required_field_of_a_deployment_is_required(name: str) -> None:
    status, reason = refusal(deployment(**{name: None}))

    assert (status, reason.partition(".")[0].partition(":")[0]) == (400, name)


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "ok"},
        {"event_type": "started"},
        {"start_time": "yesterday"},
        {"repo_url": "acme/checkout"},
        {"branch": ""},
        {"pr_number": 71},
        {"deployment_id": 4711},
    ],
)
def test_a_deployment_of_another_shape_is_refused(fields: dict[str, Any]) -> None:
    assert refusal(deployment(**fields))[0] == 400


def test_a_deployment_makes_no_record_and_is_noted_when_it_comes_again() -> None:
    hivel = Hivel(token=None, keep=10)
    message = hivel.judge(deployment())
    assert isinstance(message, HivelDeployment)

    first, second = (hivel.take(message, seq=seq, at=AT) for seq in (1, 2))

    assert hivel.believed() == []
    assert (first.reply.status, first.note) == (200, None)
    assert second.note == "a deployment with this deployment_id exists already"
