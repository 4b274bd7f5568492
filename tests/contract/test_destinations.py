"""Every destination: what it sends, byte for byte, and what each answer means to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from alertbridge.destinations import Destination
from alertbridge.destinations.elven import Elven
from alertbridge.destinations.hivel import AuthHeader, Hivel
from alertbridge.model import (
    JSON,
    Action,
    Content,
    Delivered,
    Message,
    Outcome,
    Paused,
    Rejected,
    Reporting,
    Response,
    Retry,
    Secret,
    Severity,
)

NOW = datetime(2025, 9, 22, 11, 15, 0, tzinfo=UTC)
URL = "https://api.elven.example/external/v1/custom/tok%2B4f7c2e91aa?key=q-4f7c2e91bb"
TOKEN = "hivel/tok+4f7c2e91cc=="

ELVEN = Elven(name="elven", url=Secret(URL))
HIVEL = Hivel(
    name="hivel",
    base_url="https://app.hivel.ai",
    path="/api/hooks/v1/incident",
    token=Secret(TOKEN),
    auth_header=AuthHeader.X_API_TOKEN,
)
DESTINATIONS: tuple[Destination, ...] = (ELVEN, HIVEL)


def message(
    action: Action = Action.ALARMED,
    severity: Severity = Severity.MODERATE,
    closed_at: datetime | None = None,
    **fields: JSON,
) -> Message:
    return Message(
        incident="01K5Q0000000000000000000AA",
        key="eu/Down",
        action=action,
        severity=severity,
        content=Content(fields=fields),
        opened_at=datetime(2025, 9, 22, 10, 30, 0, 999_999, tzinfo=UTC),
        closed_at=closed_at,
    )


def answer(status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Response:
    return Response(status, headers or {}, body, NOW)


# --- what is sent -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", [Action.ALARMED, Action.RESOLVED])
def test_elven_gets_every_documented_field_in_the_documented_order_on_both_actions(action: Action) -> None:
    composed = ELVEN.compose(
        message(
            action,
            title="Café down",
            description="It is down.",
            tags={"team": "payments", "cluster": "eu"},
        )
    )
    assert composed.missing == ()
    assert ELVEN.request(composed.payload, Action.RECORD).body.decode() == (
        '{"title": "Café down", "description": "It is down.", "external_aggregate_key": "eu/Down", '
        f'"action": "{action.value}", "severity": "moderate", '
        '"tags": [{"name": "team", "value": "payments"}, {"name": "cluster", "value": "eu"}]}'
    )


def test_elven_gets_exactly_the_documented_headers_at_the_url_untouched() -> None:
    request = ELVEN.request({"title": "x"}, Action.RECORD)
    assert request.url == URL
    assert request.headers == {"Content-Type": "application/json", "User-Agent": "1PcustomAuth/1.0"}
    assert list(request.headers) == ["Content-Type", "User-Agent"]


def test_hivel_gets_the_record_of_its_own_example() -> None:
    composed = HIVEL.compose(
        message(
            Action.RECORD,
            Severity.HIGH,
            NOW,
            description="Database connection timeout affecting API",
            affected_systems=["database", "api-gateway"],
            reported_by="alerts@company.com",
            repo_url="https://github.com/hivelai/webhook-logger",
            pr_number=71,
        )
    )
    assert composed.missing == ()
    assert json.loads(HIVEL.request(composed.payload, Action.RECORD).body) == {
        "description": "Database connection timeout affecting API",
        "severity": "high",
        "affected_systems": ["database", "api-gateway"],
        "reported_time": "2025-09-22T10:30:00Z",
        "reported_by": "alerts@company.com",
        "resolution_time": "2025-09-22T11:15:00Z",
        "provider_id": "01K5Q0000000000000000000AA",
        "repo_url": "https://github.com/hivelai/webhook-logger",
        "pr_number": "71",
    }


@pytest.mark.parametrize(
    ("auth_header", "header"),
    [
        (AuthHeader.X_API_TOKEN, {"X-API-Token": TOKEN}),
        (AuthHeader.AUTHORIZATION, {"Authorization": TOKEN}),
        (AuthHeader.BEARER, {"Authorization": f"Bearer {TOKEN}"}),
    ],
)
def test_hivel_gets_its_token_in_the_configured_header(
    auth_header: AuthHeader, header: Mapping[str, str]
) -> None:
    destination = Hivel(
        name="hivel", base_url="https://app.hivel.in", path="p", token=Secret(TOKEN), auth_header=auth_header
    )
    assert destination.request({}, Action.RECORD).headers == {**header, "Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("base_url", "path"),
    [("https://h", "/a/b"), ("https://h/", "/a/b"), ("https://h/", "a/b"), ("https://h", "a/b")],
)
def test_hivel_joins_base_and_path_with_one_slash(base_url: str, path: str) -> None:
    destination = Hivel(
        name="hivel", base_url=base_url, path=path, token=Secret("t"), auth_header=AuthHeader.X_API_TOKEN
    )
    assert destination.request({}, Action.RECORD).url == "https://h/a/b"
    assert destination.request({}, Action.DEPLOYMENT).url == "https://h/api/hooks/v2/deployment"


def test_each_destination_hears_of_an_incident_when_it_wants_to() -> None:
    assert Elven.REPORTING is Reporting.LIFECYCLE
    assert Hivel.REPORTING is Reporting.RECORD
    assert [field.name for field in Elven.FIELDS] == ["title", "description", "tags"]
    assert [field.name for field in Hivel.FIELDS if field.looked_up] == [
        "affected_systems",
        "repo_url",
        "pr_number",
    ]


@pytest.mark.parametrize("destination", DESTINATIONS, ids=lambda destination: destination.name)
def test_a_secret_is_in_the_request_and_in_no_text_form_and_no_payload(destination: Destination) -> None:
    payload = destination.compose(message(title="x", description="y")).payload
    request = destination.request(payload, Action.RECORD)
    sent = request.url + str(request.headers)
    assert "4f7c2e91" in sent
    for shown in (repr(destination), str(destination), repr(request), json.dumps(payload)):
        assert "4f7c2e91" not in shown


# --- what is answered -------------------------------------------------------------------------------------------

SECOND = timedelta(seconds=1)
ANSWERS: list[tuple[str, Response, Outcome]] = [
    ("200", answer(200), Delivered()),
    (
        "200 with an id",
        answer(200, {}, b'{"message": "Success", "incident_id": "inc-1"}'),
        Delivered("inc-1"),
    ),
    (
        "the vendor's own sample, which is not JSON",
        answer(200, {}, b'{\n  "message": "Success",\n  "incident_id": "incident-2024-08-01-12345",\n}'),
        Delivered("incident-2024-08-01-12345"),
    ),
    ("a number as id", answer(201, {}, b'{"incident_id": 12345}'), Delivered("12345")),
    ("202 in HTML", answer(202, {}, b"<html>ok</html>"), Delivered()),
    ("204", answer(204), Delivered()),
    ("299", answer(299), Delivered()),
    (
        "301",
        answer(301, {"location": "https://login.example/x?token=tok-4f7c2e91aa"}),
        Paused(
            "redirected",
            "HTTP 301 to https://login.example: redirects are never followed; correct the configured URL",
        ),
    ),
    (
        "308 to a place that cannot be read",
        answer(308, {"location": "http://[broken"}),
        Paused("redirected", "HTTP 308: redirects are never followed; correct the configured URL"),
    ),
    (
        "304",
        answer(304),
        Paused("redirected", "HTTP 304: redirects are never followed; correct the configured URL"),
    ),
    ("400", answer(400, {}, b'{"error":\n "bad severity"}'), Rejected('HTTP 400: {"error": "bad severity"}')),
    (
        "401",
        answer(401, {}, b"no"),
        Paused("unauthorized", "HTTP 401: no; check the secret and how it is sent"),
    ),
    (
        "403",
        answer(403),
        Paused("forbidden", "HTTP 403; check the secret and which addresses the vendor lets in"),
    ),
    ("404", answer(404), Rejected("HTTP 404")),
    ("405", answer(405), Rejected("HTTP 405")),
    ("408", answer(408), Retry("HTTP 408")),
    ("409", answer(409), Rejected("HTTP 409")),
    ("410", answer(410), Rejected("HTTP 410")),
    ("413", answer(413), Rejected("HTTP 413")),
    ("422", answer(422, {}, b"pr_number"), Rejected("HTTP 422: pr_number")),
    ("425", answer(425), Retry("HTTP 425")),
    ("429", answer(429, {}, b"slow"), Paused("rate_limited", "HTTP 429: slow", None)),
    ("429 with seconds", answer(429, {"retry-after": "7"}), Paused("rate_limited", "HTTP 429", 7 * SECOND)),
    (
        "429 with a date",
        answer(429, {"retry-after": "Mon, 22 Sep 2025 11:16:30 GMT"}),
        Paused("rate_limited", "HTTP 429", 90 * SECOND),
    ),
    (
        "429 with a date gone by",
        answer(429, {"retry-after": "Mon, 22 Sep 2025 11:00:00 GMT"}),
        Paused("rate_limited", "HTTP 429", SECOND),
    ),
    ("429 with nonsense", answer(429, {"retry-after": "later"}), Paused("rate_limited", "HTTP 429", None)),
    ("499", answer(499), Rejected("HTTP 499")),
    ("500", answer(500, {}, b"oops"), Retry("HTTP 500: oops")),
    ("502", answer(502), Retry("HTTP 502")),
    ("503", answer(503), Retry("HTTP 503")),
    (
        "503 with Retry-After",
        answer(503, {"retry-after": "120"}),
        Paused("unavailable", "HTTP 503", 120 * SECOND),
    ),
    ("503 with nonsense", answer(503, {"retry-after": "soon"}), Retry("HTTP 503")),
    ("504", answer(504, {"retry-after": "120"}), Retry("HTTP 504")),
    ("599", answer(599), Retry("HTTP 599")),
    ("100", answer(100), Retry("HTTP 100")),
    ("600", answer(600), Retry("HTTP 600")),
    ("0", answer(0), Retry("HTTP 0")),
]


@pytest.mark.parametrize("destination", DESTINATIONS, ids=lambda destination: destination.name)
@pytest.mark.parametrize(
    ("response", "outcome"), [row[1:] for row in ANSWERS], ids=[row[0] for row in ANSWERS]
)
def test_an_answer_becomes_this_outcome(
    destination: Destination, response: Response, outcome: Outcome
) -> None:
    assert destination.interpret(response) == outcome


@pytest.mark.parametrize(
    ("destination", "echo"),
    [
        (ELVEN, f"no service at {URL}"),
        (ELVEN, "no token tok+4f7c2e91aa, no key q-4f7c2e91bb"),
        (ELVEN, json.dumps({"url": URL}).replace("/", "\\/")),
        (ELVEN, "no route /tok%2B4f7c2e91aa"),
        (HIVEL, f"bad token {TOKEN}"),
        (HIVEL, json.dumps({"token": TOKEN}).replace("/", "\\/")),
        (HIVEL, "bad query ?token=hivel%2Ftok%2B4f7c2e91cc%3D%3D"),
    ],
)
@pytest.mark.parametrize("status", [400, 401, 403, 429, 500])
def test_a_secret_that_the_vendor_echoes_is_not_shown(
    destination: Destination, echo: str, status: int
) -> None:
    shown = repr(destination.interpret(answer(status, {}, echo.encode())))
    assert "4f7c2e91" not in shown
    assert "***" in shown


@pytest.mark.parametrize("destination", [ELVEN, HIVEL], ids=["elven", "hivel"])
def test_a_response_to_be_stored_can_be_freed_of_the_secret(destination: Elven | Hivel) -> None:
    request = destination.request({}, Action.RECORD)
    echo = f"at {request.url} with {dict(request.headers)}"
    assert "4f7c2e91" in echo
    assert "4f7c2e91" not in destination.redact(echo)
    assert destination.redact("nothing to hide") == "nothing to hide"
