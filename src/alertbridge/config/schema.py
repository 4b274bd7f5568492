"""The JSON Schema that editors check configuration files against."""

from __future__ import annotations

from typing import Any, Final

from alertbridge.config.sends import TARGETS
from alertbridge.config.settings import Settings
from alertbridge.config.trial_settings import MESSAGES
from alertbridge.model import Field

_TEMPLATE: Final = {"type": ["string", "number", "boolean"]}
_SHAPES: Final[dict[Field.Shape, dict[str, Any]]] = {
    Field.Shape.TEXT: _TEMPLATE,
    Field.Shape.LIST: {"anyOf": [_TEMPLATE, {"type": "array", "items": _TEMPLATE}]},
    Field.Shape.MAPPING: {
        "anyOf": [
            {"type": "object", "additionalProperties": _TEMPLATE},
            {"enum": ["labels", "annotations", "group"]},
        ]
    },
}


def describe() -> dict[str, Any]:
    """The schema of a main file; a rule file holds `rules`, `defaults`, `templates` and `tests` only."""
    schema: dict[str, Any] = Settings.model_json_schema()
    schema["title"] = "alertbridge configuration"
    schema["$defs"]["SendSettings"]["properties"] |= _fields()
    for sending in ("RuleSettings", "HeartbeatSettings"):
        send = schema["$defs"][sending]["properties"]["send"]
        send |= _both_forms(send)
        del send["type"], send["additionalProperties"]
    rule = schema["$defs"]["RuleSettings"]
    active = rule["properties"]["active"]
    window = active.pop("items")
    several = {"type": active.pop("type"), "items": window, "minItems": 1}
    active["anyOf"] = [window, several]
    _describe_tests(schema["$defs"])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _describe_tests(definitions: dict[str, Any]) -> None:
    """What the models of tests check by hand: the messages of a destination, and what may not stand side by side."""
    definitions["TrialExpectation"] |= {"additionalProperties": MESSAGES, "minProperties": 1}
    heard = [{"required": [way]} for way in ("alert", "alerts", "payload", "sequence")]
    definitions["TrialSettings"]["oneOf"] = heard
    ways = [{"required": [way]} for way in ("alert", "alerts", "payload", "resolve", "fire")]
    definitions["TrialStep"]["oneOf"] = [*ways, {"not": {"anyOf": ways}}]


def _fields() -> dict[str, dict[str, Any]]:
    """What may stand below a destination's name, over all types of destination."""
    fields: dict[str, dict[str, Any]] = {}
    for kind, target in TARGETS.items():
        for field in target.fields:
            known = fields.setdefault(field.name, {**_SHAPES[field.shape], "description": ""})
            known["description"] = f"{known['description']} {kind}: {field.description}".strip()
    return fields


def _both_forms(send: dict[str, Any]) -> dict[str, Any]:
    """A list of names, or a mapping in which a name may stand alone."""
    either = {"anyOf": [send["additionalProperties"], {"type": "null"}]}
    names = {"type": "array", "items": {"type": "string"}}
    return {"anyOf": [names, {"type": "object", "additionalProperties": either}]}
