"""The reference and the editors' schema are made of the models, so every setting explains itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import TypeAdapter

from alertbridge.config.load import json_schema
from alertbridge.config.rule_settings import RuleFile
from alertbridge.config.section import Section, is_secret
from alertbridge.config.settings import Settings
from alertbridge.config.shape import models

SCHEMA: dict[str, Any] = dict(json_schema())


def sections(model: type[Section]) -> Iterator[type[Section]]:
    yield model
    for field in model.model_fields.values():
        for below in models(field.annotation) or models(next(reversed(inner(field.annotation)), None)):
            yield from sections(below)


def inner(annotation: Any) -> tuple[Any, ...]:
    found: tuple[Any, ...] = getattr(annotation, "__args__", ())
    return tuple(each for each in found if each is not Ellipsis)


SECTIONS = sorted({*sections(Settings), *sections(RuleFile)}, key=lambda model: model.__name__)
FIELDS = [
    pytest.param(model, name, id=f"{model.__name__}.{name}")
    for model in SECTIONS
    for name in model.model_fields
]


def test_all_sections_are_found() -> None:
    names = {model.__name__ for model in SECTIONS}
    assert names >= {
        "ServerSettings",
        "HmacSettings",
        "ElvenSettings",
        "HivelSettings",
        "SendSettings",
        "ServiceSettings",
    }


@pytest.mark.parametrize(("model", "name"), FIELDS)
def test_every_setting_has_a_description_and_examples_that_it_takes(model: type[Section], name: str) -> None:
    field = model.model_fields[name]
    assert field.description
    assert field.description.endswith(".")
    assert field.examples
    if (
        not is_secret(field)
        and not models(field.annotation)
        and name not in {"sources", "destinations", "pings"}
    ):
        adapter: TypeAdapter[Any] = TypeAdapter(field.rebuild_annotation())
        for example in field.examples:
            adapter.validate_python(example, by_alias=True)


@pytest.mark.parametrize("model", SECTIONS, ids=lambda model: model.__name__)
def test_every_section_says_what_it_is(model: type[Section]) -> None:
    assert (model.__doc__ or "").strip()


def test_the_schema_serves_main_files_and_rule_files() -> None:
    assert "required" not in SCHEMA
    assert set(SCHEMA["properties"]) == set(Settings.model_fields)
    assert SCHEMA["additionalProperties"] is False


def test_defaults_are_said_as_they_would_be_written() -> None:
    assert SCHEMA["$defs"]["ServerSettings"]["properties"]["max_body"]["default"] == "16MiB"
    assert SCHEMA["$defs"]["ServerSettings"]["properties"]["drain_timeout"]["default"] == "30s"
    assert SCHEMA["$defs"]["AlertmanagerSourceSettings"]["properties"]["stale_window"]["default"] == "1m30s"
    assert SCHEMA["$defs"]["RuleSettings"]["properties"]["continue"]["default"] is False
    assert "default" not in SCHEMA["$defs"]["ServerSettings"]["properties"]["tls"]


def test_a_needed_secret_may_be_given_as_a_file() -> None:
    elven = SCHEMA["$defs"]["ElvenSettings"]
    assert elven["required"] == ["type"]
    assert elven["allOf"] == [{"oneOf": [{"required": ["url"]}, {"required": ["url_file"]}]}]


def test_both_forms_of_send_are_offered_with_the_fields_of_the_destinations() -> None:
    send = SCHEMA["$defs"]["RuleSettings"]["properties"]["send"]
    assert [form["type"] for form in send["anyOf"]] == ["array", "object"]
    fields = SCHEMA["$defs"]["SendSettings"]["properties"]
    assert {"title", "tags", "repo_url", "pr_number", "severity", "resend"} <= set(fields)
    assert fields["description"]["description"].startswith("elven: ")
    assert " hivel: " in fields["description"]["description"]


def test_one_window_and_a_list_of_them_are_offered() -> None:
    one, several = SCHEMA["$defs"]["RuleSettings"]["properties"]["active"]["anyOf"]
    assert one == several["items"] == {"$ref": "#/$defs/WindowSettings"}
    assert several["minItems"] == 1
    hours = SCHEMA["$defs"]["WindowSettings"]["properties"]["hours"]
    assert [form["type"] for form in hours["anyOf"]] == ["string", "array"]


def test_tests_are_described_with_the_messages_of_any_destination() -> None:
    expectation = SCHEMA["$defs"]["TrialExpectation"]
    assert set(expectation["properties"]) == {"rule", "dropped", "unmatched", "heartbeat"}
    assert [form.get("type") for form in expectation["additionalProperties"]["anyOf"]] == [
        None,
        "object",
        "array",
    ]
    ways = [form["required"] for form in SCHEMA["$defs"]["TrialSettings"]["oneOf"]]
    assert ways == [["alert"], ["alerts"], ["payload"], ["sequence"]]
