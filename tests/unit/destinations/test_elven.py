from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2.sandbox import SandboxedEnvironment

from alertbridge.destinations.elven import Elven
from alertbridge.model import JSON, Action, Content, Message, Secret, Severity

SECRET = "canary-4f7c2e91"
URL = f"https://elven.example/{SECRET}"
TEXT = st.text(st.characters())


def message(key: str = "eu/Down", severity: Severity = Severity.HIGH, **fields: JSON) -> Message:
    return Message(
        incident="01K5Q0000000000000000000AA",
        key=key,
        action=Action.ALARMED,
        severity=severity,
        content=Content(fields=fields),
        opened_at=datetime(2025, 9, 22, tzinfo=UTC),
        closed_at=None,
    )


def payload(said: Message, elven: Elven | None = None) -> Mapping[str, JSON]:
    return (elven or Elven(name="elven", url=Secret(URL))).compose(said).payload


@pytest.mark.parametrize("severity", list(Severity))
def test_a_severity_is_said_in_elvens_word(severity: Severity) -> None:
    words = {5: "critical", 4: "high", 3: "moderate", 2: "low", 1: "informational"}
    assert payload(message(severity=severity))["severity"] == words[severity]


@pytest.mark.parametrize("title", ["", "  \n", None, "https://a.example/" + "x" * 300])
def test_a_title_that_would_be_empty_is_the_key(title: str | None) -> None:
    sent = payload(message(title=title, description="why"))
    assert (sent["title"], sent["description"]) == ("eu/Down", "why")


def test_a_description_that_would_be_empty_is_the_title() -> None:
    assert payload(message(title="Down"))["description"] == "Down"
    assert payload(message(key=" "))["title"] == "01K5Q0000000000000000000AA"


def test_texts_are_cut_where_the_settings_say() -> None:
    elven = Elven(name="elven", url=Secret(URL), title_limit=10, description_limit=20, tag_limit=5)
    sent = payload(message(title="t" * 11, description="d" * 21, tags={"n" * 6: "v" * 6}), elven)
    assert sent["title"] == "t" * 9 + "…"
    assert sent["description"] == "d" * 19 + "…"
    assert sent["tags"] == [{"name": "nnnn…", "value": "vvvv…"}]


def test_the_default_limits_are_these() -> None:
    sent = payload(message(title="t" * 256, description="d" * 4_001, tags={"n": "v" * 256}))
    assert sent["title"] == "t" * 254 + "…"
    assert sent["description"] == "d" * 3_999 + "…"
    assert sent["tags"] == [{"name": "n", "value": "v" * 254 + "…"}]


def test_tags_keep_their_order_and_those_that_say_nothing_are_left_out() -> None:
    sent = payload(message(tags={"z": "1", "empty": "", "": "nameless", "a": 2}))
    assert sent["tags"] == [{"name": "z", "value": "1"}, {"name": "a", "value": "2"}]
    assert payload(message(tags="team"))["tags"] == []


def test_extra_fields_come_last_and_replace_nothing() -> None:
    elven = Elven(name="elven", url=Secret(URL), extra_fields={"organization": "uid-1", "action": "resolved"})
    sent = payload(message(title="Down"), elven)
    assert sent["organization"] == "uid-1"
    assert sent["action"] == "alarmed"
    assert list(sent) == [
        "title",
        "description",
        "external_aggregate_key",
        "action",
        "severity",
        "tags",
        "organization",
    ]


def test_extra_fields_may_be_read_only_mappings() -> None:
    elven = Elven(
        name="elven", url=Secret(URL), extra_fields=MappingProxyType({"meta": MappingProxyType({"a": 1})})
    )
    assert json.loads(elven.request(payload(message(), elven), Action.ALARMED).body)["meta"] == {"a": 1}


def test_a_key_too_long_is_the_same_shorter_key_on_both_actions() -> None:
    key = payload(message(key="k" * 300))["external_aggregate_key"]
    assert isinstance(key, str)
    assert len(key) == 255
    assert key != payload(message(key="k" * 301))["external_aggregate_key"]


@given(TEXT.map(lambda text: text * 99), TEXT.map(lambda text: text * 999), st.dictionaries(TEXT, TEXT), TEXT)
def test_limits_hold_for_any_text_and_the_secret_stays_out(
    title: str, description: str, tags: dict[str, JSON], key: str
) -> None:
    elven = Elven(name="elven", url=Secret(URL))
    sent = payload(message(key, title=title, description=description, tags=tags), elven)
    assert isinstance(sent["title"], str)
    assert isinstance(sent["description"], str)
    assert isinstance(sent["external_aggregate_key"], str)
    assert 0 < len(sent["title"]) <= 255
    assert 0 < len(sent["description"]) <= 4_000
    assert len(sent["external_aggregate_key"]) <= 255
    request = elven.request(sent, Action.ALARMED)
    assert json.loads(request.body) == sent
    assert SECRET not in repr(elven) + repr(request) + json.dumps(sent)


# --- the defaults, rendered as the rules do: what is missing is empty -------------------------------------------


def rendered(field: str, **names: object) -> str:
    default = next(each.default for each in Elven.FIELDS if each.name == field)
    return (
        SandboxedEnvironment(autoescape=False)
        .from_string(default)
        .render({"labels": {}, "annotations": {}} | names)
    )


@pytest.mark.parametrize(
    ("names", "title"),
    [
        ({"annotations": {"summary": "It is down"}, "labels": {"alertname": "Down"}}, "It is down"),
        ({"labels": {"alertname": "Down", "instance": "db:9100"}, "service": "checkout"}, "Down (checkout)"),
        ({"labels": {"alertname": "Down", "instance": "db:9100"}, "service": ""}, "Down (db:9100)"),
        ({"labels": {"alertname": "Down"}}, "Down"),
        ({}, ""),
    ],
)
def test_the_default_title_says_the_best_that_is_known(names: dict[str, object], title: str) -> None:
    assert rendered("title", **names) == title


@pytest.mark.parametrize(
    ("names", "description"),
    [
        ({"annotations": {"description": "d", "message": "m", "summary": "s"}}, "d"),
        ({"annotations": {"message": "m", "summary": "s"}}, "m"),
        ({"annotations": {"summary": "s"}}, "s"),
        ({"labels": {"alertname": "Down"}}, "Down"),
        (
            {"annotations": {"summary": "s", "runbook_url": "https://r"}, "generator_url": "https://g"},
            "s\nRunbook: https://r\nSource: https://g",
        ),
    ],
)
def test_the_default_description_adds_the_links(names: dict[str, object], description: str) -> None:
    assert rendered("description", **names) == description
