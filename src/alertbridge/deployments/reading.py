"""What every body that tells of a deployment is made of: texts, instants, repositories, numbers; and what is wrong with it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from alertbridge.destinations.change import pull_request_number, repository_url
from alertbridge.errors import MalformedBody

LONGEST = 255
_SPACED = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d{1,6})?) (UTC|[+-]\d{4})")
_NOT_TEXT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_M = TypeVar("_M", bound=BaseModel)


class Body(BaseModel):
    """A JSON object. What is null, or a text without a sign in it, is not said: CI has empty variables."""

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _said(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {
            name: value
            for name, value in data.items()
            if value is not None and not (isinstance(value, str) and not value.strip())
        }


def read(model: type[_M], body: bytes) -> _M:
    """The body as `model`. Raises MalformedBody, which names everything that is wrong with it."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedBody("", f"the body is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise MalformedBody("", "expected a JSON object")
    try:
        return model.model_validate(data)
    except ValidationError as error:
        wrong = [
            (".".join(map(str, one["loc"])), _said_of(one["type"], one["msg"])) for one in error.errors()
        ]
        place, problem = wrong[0]
        more = "".join(f"; {field}: {said}" if field else f"; {said}" for field, said in wrong[1:])
        raise MalformedBody(place, problem + more) from error


def _said_of(kind: str, message: str) -> str:
    words = {"missing": "needed, and not there", "extra_forbidden": "not a field of a deployment"}
    return words.get(kind) or message.removeprefix("Value error, ")


def text(value: object) -> str:
    """One line of at most 255 characters; a whole number is taken for its digits."""
    written = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(written, str):
        raise ValueError("expected text")  # noqa: TRY004 - pydantic makes a finding of a ValueError only
    written = written.strip()
    if len(written) > LONGEST:
        raise ValueError(f"longer than {LONGEST} characters")
    if _NOT_TEXT.search(written):
        raise ValueError("expected one line of text, without control characters")
    return written


def moment(value: object) -> datetime:
    """An instant with its zone, in RFC 3339 or as GitLab writes it, in UTC."""
    if isinstance(value, str) and len(value) <= LONGEST:
        written = value.strip()
        if spaced := _SPACED.fullmatch(written):
            zone = "+0000" if spaced[3] == "UTC" else spaced[3]
            written = f"{spaced[1]}T{spaced[2]}{zone}"
        try:
            found = datetime.fromisoformat(written)
            if found.tzinfo is not None:
                return found.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise ValueError("expected an instant with its zone, such as 2026-01-05T09:30:00Z")


def repository(value: object) -> str:
    """The address of a repository, in one form."""
    found = repository_url(value) if isinstance(value, str) else ""
    if not found or len(found) > LONGEST:
        raise ValueError("expected the address of a repository, such as https://github.com/acme/checkout")
    return found


def pull_request(value: object) -> str:
    """The number of a pull request, as text."""
    found = pull_request_number(value) if isinstance(value, str | int) else ""
    if not found:
        raise ValueError("expected the number of a pull request, such as 44")
    return found


def commit(value: object) -> str:
    """The hash of a commit, in lower case."""
    written = value.strip().lower() if isinstance(value, str) else ""
    if not _COMMIT.fullmatch(written):
        raise ValueError("expected the hash of a commit, 7 to 64 hexadecimal digits")
    return written


Line = Annotated[str, BeforeValidator(text)]
Moment = Annotated[datetime, BeforeValidator(moment)]
Repository = Annotated[str, BeforeValidator(repository)]
PullRequest = Annotated[str, BeforeValidator(pull_request)]
Commit = Annotated[str, BeforeValidator(commit)]
