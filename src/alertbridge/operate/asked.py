"""What is asked of a route that acts: a small JSON object."""

from __future__ import annotations

from typing import Annotated, TypeAlias, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from alertbridge.problems import problem

_MOST = 64 * 1024  # bytes
_A = TypeVar("_A", bound="Asked")


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
            {"field": ".".join(map(str, one["loc"])), "problem": one["msg"].removeprefix("Value error, ")}
            for one in error.errors()
        ]
        listed = "; ".join(
            f"{one['field']}: {one['problem']}" if one["field"] else one["problem"] for one in wrong
        )
        return problem(400, "Bad request", listed, problems=wrong)
