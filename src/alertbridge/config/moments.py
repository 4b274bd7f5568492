"""When something happens in a test of rules: after the start, after the step before, or at an instant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from pydantic import BeforeValidator, WithJsonSchema

from alertbridge.config.refuse import refused
from alertbridge.config.units import read_duration

_MOMENT_REMEDY: Final = "write 10m after the start, +10m after the step before"
_INSTANT_REMEDY: Final = "write 10m after the start of the test, -1h before it, or 2026-01-01T09:00:00Z"
_START_REMEDY: Final = "write for example 2026-01-05T08:30:00+01:00"
_SPAN: Final = "([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?"


@dataclass(frozen=True, slots=True)
class Moment:
    """When a step happens: `span` after the start, or after the step before."""

    span: timedelta
    after_previous: bool


def _moment(value: object) -> Moment:
    if isinstance(value, Moment):
        return value
    if isinstance(value, str) and value.strip().startswith("-"):
        raise refused("a step cannot happen before the start", _MOMENT_REMEDY)
    if isinstance(value, str) and value.strip().startswith("+"):
        return Moment(read_duration(value.strip()[1:]), after_previous=True)
    return Moment(read_duration(value), after_previous=False)


def _instant(value: object) -> datetime | timedelta:
    if isinstance(value, datetime | timedelta):
        return value
    if isinstance(value, str) and "T" in value:
        return _absolute(value, _INSTANT_REMEDY)
    if isinstance(value, str) and value.strip().startswith("-"):
        return -read_duration(value.strip()[1:])
    return read_duration(value)


def _start(value: object) -> datetime:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        raise refused("expected an instant", _START_REMEDY)
    return _absolute(value, _START_REMEDY)


def _absolute(text: str, remedy: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise refused("this is not an instant", remedy) from None
    if moment.tzinfo is None:
        raise refused("the instant has no offset from UTC", "end it in Z, or in an offset as +02:00")
    return moment.astimezone(UTC)


At = Annotated[
    Moment,
    BeforeValidator(_moment),
    WithJsonSchema({"type": ["string", "integer"], "pattern": f"^[+]?(?=[0-9]){_SPAN}$|^[+]?0$|\\$\\{{"}),
]
Instant = Annotated[
    datetime | timedelta,
    BeforeValidator(_instant),
    WithJsonSchema({"type": ["string", "integer"], "pattern": f"^-?(?=[0-9]){_SPAN}$|^0$|T|\\$\\{{"}),
]
Start = Annotated[
    datetime, BeforeValidator(_start), WithJsonSchema({"type": "string", "pattern": "T|\\$\\{"})
]
