from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2.sandbox import SandboxedEnvironment

from alertbridge.destinations.hivel import AuthHeader, Hivel
from alertbridge.model import JSON, Action, Composed, Content, Message, Secret, Severity

SECRET = "canary-4f7c2e91"
REPOSITORY = "https://github.com/acme/checkout"
OPENED = datetime(2024, 8, 1, 12, 34, 56, 900_000, tzinfo=UTC)
CLOSED = datetime(2024, 8, 1, 13, 34, 56, 100_000, tzinfo=UTC)
TEXT = st.text(st.characters())


def hivel(severities: Mapping[Severity, str] | None = None) -> Hivel:
    return Hivel(
        name="hivel",
        base_url="https://app.hivel.ai",
        path="/api/hooks/v1/incident",
        token=Secret(SECRET),
        auth_header=AuthHeader.X_API_TOKEN,
        severities=severities or {},
    )


def compose(
    destination: Hivel | None = None,
    *,
    incident: str = "01K5Q0000000000000000000AA",
    severity: Severity = Severity.HIGH,
    opened_at: datetime = OPENED,
    closed_at: datetime | None = CLOSED,
    fields: Mapping[str, JSON] | None = None,
) -> Composed:
    content = Content(fields={"repo_url": REPOSITORY, "pr_number": "44", **(fields or {})})
    said = Message(incident, "eu/Down", Action.RECORD, severity, content, opened_at, closed_at)
    return (destination or hivel()).compose(said)


@pytest.mark.parametrize(
    ("where", "description", "reported_by"),
    [
        ("reported_by", "d" * 255, "r" * 240 + "… (end inferred)"),
        ("description", "d" * 240 + "… (end inferred)", "r" * 255),
        ("none", "d" * 255, "r" * 255),
    ],
)
def test_an_end_that_was_inferred_is_said_where_that_is_wanted(
    where: str, description: str, reported_by: str
) -> None:
    content = Content(fields={"description": "d" * 255, "reported_by": "r" * 255})
    said = Message("i", "k", Action.RECORD, Severity.HIGH, content, OPENED, CLOSED, inferred=True)
    payload = replace(hivel(), inferred_in=where).compose(said).payload
    shown = [str(payload[name]) for name in ("description", "reported_by")]
    assert [len(text) for text in shown] == [255, 255]
    assert [text.endswith("(end inferred)") for text in shown] == [
        "(end inferred)" in description,
        "(end inferred)" in reported_by,
    ]


@pytest.mark.parametrize(
    ("severity", "word"),
    [
        (Severity.CRITICAL, "critical"),
        (Severity.HIGH, "high"),
        (Severity.MODERATE, "medium"),
        (Severity.LOW, "low"),
        (Severity.INFORMATIONAL, "low"),
    ],
)
def test_a_severity_is_said_in_hivels_word(severity: Severity, word: str) -> None:
    assert compose(severity=severity).payload["severity"] == word


def test_a_severitys_word_can_be_chosen() -> None:
    destination = hivel({Severity.HIGH: "HIGH", Severity.LOW: " "})
    assert compose(destination, severity=Severity.HIGH).payload["severity"] == "HIGH"
    assert compose(destination, severity=Severity.CRITICAL).payload["severity"] == "critical"
    assert compose(destination, severity=Severity.LOW).payload["severity"] == "low"


@pytest.mark.parametrize(
    ("opened_at", "closed_at", "reported", "resolved"),
    [
        (OPENED, CLOSED, "2024-08-01T12:34:56Z", "2024-08-01T13:34:56Z"),
        (OPENED, OPENED + timedelta(milliseconds=50), "2024-08-01T12:34:56Z", "2024-08-01T12:34:56Z"),
        (OPENED, OPENED - timedelta(hours=1), "2024-08-01T12:34:56Z", "2024-08-01T12:34:56Z"),
        (
            OPENED.astimezone(timezone(timedelta(hours=-3))),
            CLOSED.astimezone(timezone(timedelta(hours=5.5))),
            "2024-08-01T12:34:56Z",
            "2024-08-01T13:34:56Z",
        ),
    ],
)
def test_times_are_whole_seconds_in_utc_and_no_end_is_before_its_start(
    opened_at: datetime, closed_at: datetime, reported: str, resolved: str
) -> None:
    sent = compose(opened_at=opened_at, closed_at=closed_at).payload
    assert (sent["reported_time"], sent["resolution_time"]) == (reported, resolved)


def test_a_record_of_an_incident_that_is_not_over_lacks_its_end() -> None:
    composed = compose(closed_at=None)
    assert composed.missing == ("resolution_time",)
    assert "resolution_time" not in composed.payload


@pytest.mark.parametrize(
    ("fields", "missing"),
    [
        ({}, ()),
        ({"repo_url": ""}, ("repo_url",)),
        ({"pr_number": "n/a"}, ("pr_number",)),
        ({"pr_number": None, "repo_url": "checkout"}, ("repo_url", "pr_number")),
        ({"repo_url": "https://github.com/acme/" + "x" * 232}, ("repo_url",)),
        ({"repo_url": "https://github.com/acme/" + "x" * 231}, ()),
        ({"repo_url": "https://github.com/acme/" + "x" * 231 + ".git"}, ()),
    ],
)
def test_what_is_required_and_unusable_is_named_and_not_sent(
    fields: dict[str, JSON], missing: tuple[str, ...]
) -> None:
    composed = compose(fields=fields)
    assert composed.missing == missing
    assert not set(missing) & set(composed.payload)


def test_optional_fields_without_a_value_are_left_out() -> None:
    sent = compose(fields={"description": " ", "affected_systems": [], "reported_by": None}).payload
    assert list(sent) == [
        "severity",
        "reported_time",
        "resolution_time",
        "provider_id",
        "repo_url",
        "pr_number",
    ]


@pytest.mark.parametrize(
    ("given_systems", "sent"),
    [
        (["checkout-api", "payments-db"], ["checkout-api", "payments-db"]),
        ("checkout-api, payments-db,", ["checkout-api", "payments-db"]),
        (["a", "", "b", "a", None, 7], ["a", "b", "7"]),
        (["one, and the same"], ["one, and the same"]),
        (["x" * 256], ["x" * 254 + "…"]),
    ],
)
def test_affected_systems_are_names_each_once(given_systems: JSON, sent: list[str]) -> None:
    assert compose(fields={"affected_systems": given_systems}).payload["affected_systems"] == sent


def test_an_incident_id_too_long_is_hashed_and_others_are_sent_as_they_are() -> None:
    assert compose(incident="inc-1").payload["provider_id"] == "inc-1"
    long = compose(incident="i" * 256).payload["provider_id"]
    assert isinstance(long, str)
    assert len(long) == 255
    assert long != compose(incident="i" * 257).payload["provider_id"]


@given(
    TEXT.map(lambda text: text * 99),
    TEXT.map(lambda text: text * 99),
    st.one_of(TEXT, st.lists(TEXT)),
    TEXT,
    TEXT,
)
def test_limits_hold_for_any_text_and_the_secret_stays_out(
    description: str, reported_by: str, systems: JSON, repo_url: str, pr_number: str
) -> None:
    destination = hivel({Severity.HIGH: description})
    composed = compose(
        destination,
        incident=reported_by or "i",
        fields={
            "description": description,
            "reported_by": reported_by,
            "affected_systems": systems,
            "repo_url": repo_url,
            "pr_number": pr_number,
        },
    )
    for name, value in composed.payload.items():
        texts = value if isinstance(value, list) else [value]
        assert texts, name
        assert all(isinstance(text, str) and 0 < len(text) <= 255 for text in texts), name
    request = destination.request(composed.payload, Action.RECORD)
    assert json.loads(request.body) == composed.payload
    assert SECRET not in repr(destination) + repr(request) + json.dumps(composed.payload)


# --- the defaults, rendered as the rules do: what is missing is empty -------------------------------------------


@pytest.mark.parametrize(
    ("names", "description"),
    [
        ({"annotations": {"summary": "s", "description": "d"}}, "s"),
        ({"annotations": {"description": "d", "message": "m"}}, "d"),
        ({"annotations": {"message": "m"}}, "m"),
        ({"labels": {"alertname": "Down"}, "service": "checkout"}, "Down (checkout)"),
        ({"labels": {"alertname": "Down"}}, "Down"),
    ],
)
def test_the_default_description_says_the_best_that_is_known(
    names: dict[str, object], description: str
) -> None:
    default = next(field.default for field in Hivel.FIELDS if field.name == "description")
    known = {"labels": {}, "annotations": {}} | names
    assert SandboxedEnvironment(autoescape=False).from_string(default).render(known) == description
