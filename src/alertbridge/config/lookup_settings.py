"""`lookup:`, the tables that templates look values up in."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from alertbridge.config.refuse import expected, refused
from alertbridge.config.section import Section
from alertbridge.config.suggest import remedy
from alertbridge.config.values import Text

FAIL: Final = "fail"
EMPTY: Final = "empty"
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_MISSING: Final[dict[str, Any]] = {
    "anyOf": [
        {"enum": [FAIL, EMPTY]},
        {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}},
    ]
}


def _name(value: object) -> object:
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value
    raise refused(
        "not a name that templates can use",
        "use letters, digits and _, beginning with a letter, 63 at most",
    )


def _missing(value: object) -> object:
    if isinstance(value, dict) or value in (FAIL, EMPTY):
        return value
    if isinstance(value, str):
        raise refused("not one of the words it may be", remedy(value, (FAIL, EMPTY), noun="write one of"))
    raise expected("text or a mapping", value)


def _label(value: str) -> str:
    if value.startswith("labels."):
        raise refused("the name of the label stands alone", "leave out `labels.`")
    return value


class LookupSettings(Section):
    """One table: rows of texts, one of which is selected by the value of a label."""

    file: Text = Field(
        description="The file that holds it, `.csv`, `.yaml` or `.yml`; a relative path begins at this file's folder.",
        examples=["owners.csv"],
    )
    by: Annotated[Text, AfterValidator(_label)] = Field(
        description="The label whose value selects the row.", examples=["service"]
    )
    column: Text | None = Field(
        None,
        description="The column of a CSV file that holds those values; the one with the name of the label unless said.",
        examples=["service_name"],
    )
    missing: Annotated[Any, BeforeValidator(_missing), WithJsonSchema(_MISSING)] = Field(
        FAIL,
        description="What a value without a row gives: a template that fails, nothing, or these values.",
        examples=["fail", "empty", {"team": "platform"}],
    )


TableName: TypeAlias = Annotated[
    str, BeforeValidator(_name), WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$"})
]
