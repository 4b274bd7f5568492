"""What is asked of a route that acts: a small JSON object."""

from __future__ import annotations

from typing import Annotated, TypeAlias, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from alertbridge.problems import problem

_MOST = 64 * 1024  # bytes
_A = TypeVar("_A", bound="Asked")
_INSTANT = "expected an instant with its zone, such as 2026-01-05T09:30:00Z"
_WORDS = {
    "missing": "needed, and not there",
    "extra_forbidden": "not known here; known: {known}",
    "string_type": "expected text",
    "string_too_short": "must not be empty",
    "string_too_long": "longer than {max_length} characters",
    "enum": "expected one of {expected}",
    "bool": "expected true or false",
    "int": "expected a whole number",
    "datetime": _INSTANT,
    "timezone": _INSTANT,
    "model": "expected a JSON object",
}


class Asked(BaseModel):
    """An object that has these fields and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Reason: TypeAlias = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]


class Why(Asked):
    """Why something is stopped or given up."""

    reason: Reason


async def read(request: web.Request, model: type[_A]) -> _A | web.Response:
    """The body as `model`; an empty one stands for an empty object. What is wrong with it is the answer."""
    body = b""
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > _MOST:
            return problem(413, "Too large", f"at most {_MOST} bytes are read here")
    try:
        return model.model_validate_json(body.strip() or b"{}")
    except ValidationError as error:
        wrong = [
            {"field": ".".join(map(str, one["loc"])), "problem": _said_of(one, model)}
            for one in error.errors()
        ]
        listed = "; ".join(
            f"{one['field']}: {one['problem']}" if one["field"] else one["problem"] for one in wrong
        )
        return problem(400, "Bad request", listed, problems=wrong)


def _said_of(wrong: ErrorDetails, model: type[Asked]) -> str:
    """What is wrong, in plain words."""
    kind = wrong["type"]
    words = _WORDS.get(kind) or _WORDS.get(kind.partition("_")[0])
    if words is None:
        return wrong["msg"].removeprefix("Value error, ")
    known = ", ".join(model.model_fields) or "nothing"
    return words.format_map({"known": known, **wrong.get("ctx", {})})
