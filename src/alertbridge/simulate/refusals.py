"""Checks that both vendors share, and the words in which a refusal names its field."""

from __future__ import annotations

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from alertbridge.simulate.exchange import Arrival, Refused

_WORDS = {
    "missing": "required",
    "string_type": "must be a string",
    "string_too_short": "must not be empty",
    "string_too_long": "longer than {max_length} characters",
    "list_type": "must be an array",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "literal_error": "must be {expected}",
    "extra_forbidden": "unknown",
}


def reasons(error: ValidationError, *, tag: str | None = None) -> str:
    """Every mistake as `field: problem`, joined by `; `, never quoting a value.

    `tag` names the field that chose among several models; pydantic puts its value before every path.
    """
    return "; ".join(_reason(detail, tag) for detail in error.errors(include_url=False, include_input=False))


def _reason(detail: ErrorDetails, tag: str | None) -> str:
    context = detail.get("ctx", {})
    match detail["type"]:
        case "union_tag_not_found":
            return f"{tag}: required"
        case "union_tag_invalid":
            return f"{tag}: must be one of {context['expected_tags']}"
        case kind:
            words = _WORDS.get(kind, "").format_map(context) or detail["msg"].replace(
                "Input should be", "must be"
            )
    place = "".join(
        f"[{step}]" if isinstance(step, int) else f".{step}" for step in detail["loc"][1 if tag else 0 :]
    ).removeprefix(".")
    return f"{place}: {words}" if place else words


def refuse_method(arrival: Arrival) -> Refused | None:
    """405 for anything but POST."""
    if arrival.method == "POST":
        return None
    return Refused(405, f"{arrival.method}: not allowed, only POST", {"Allow": "POST"})


def refuse_content(arrival: Arrival) -> Refused | None:
    """415, 413 or 400 for anything but a JSON object of bearable size."""
    if arrival.content_type != "application/json":
        return Refused(415, "Content-Type: must be application/json")
    if arrival.content.oversize:
        return Refused(413, "body: too large")
    if arrival.content.malformed is not None:
        return Refused(400, arrival.content.malformed)
    if not isinstance(arrival.content.body, dict):
        return Refused(400, "body: must be an object")
    return None
