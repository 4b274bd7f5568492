"""`active:` of a rule: days, hours and time zone, as they are written."""

from __future__ import annotations

import re
from typing import Annotated, Final, Self, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from alertbridge.config.refuse import expected, refused
from alertbridge.config.section import Section
from alertbridge.config.suggest import nearest
from alertbridge.config.values import Text
from alertbridge.rules.window import DAYS, WHOLE_DAY, Hours, Window

_LONG_NAMES: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_HOURS: Final = re.compile(r"([0-9]{1,2}):([0-9]{2})\s*-\s*([0-9]{1,2}):([0-9]{2})")
_HOURS_REMEDY: Final = "write for example 08:00-18:00, 22:00-06:00 or 18:00-24:00"
_DAYS_REMEDY: Final = "write for example mon-fri, sat or fri-mon"
_LAST_HOUR: Final = 24
_MINUTES: Final = 60


def _day(name: str) -> int:
    word = name.strip().lower()
    for names in (DAYS, _LONG_NAMES):
        if word in names:
            return names.index(word)
    near = nearest(
        word, [name for name in (*DAYS, *_LONG_NAMES) if abs(len(name) - len(word)) < len(DAYS[0])]
    )
    raise refused("this is not a day", f'did you mean "{near}"?' if near else _DAYS_REMEDY)


def read_days(value: object) -> frozenset[int]:
    """The days that one name or range stands for, Monday being 0; a range may go on from Sunday to Monday."""
    if isinstance(value, frozenset):
        return value
    if not isinstance(value, str):
        raise expected("text", value)
    first, sign, last = value.partition("-")
    begin = _day(first)
    end = _day(last) if sign else begin
    return frozenset((begin + step) % len(DAYS) for step in range((end - begin) % len(DAYS) + 1))


def _minute(hour: str, minute: str) -> int:
    if int(minute) >= _MINUTES or int(hour) * _MINUTES + int(minute) > _LAST_HOUR * _MINUTES:
        raise refused("there is no such time of the day", _HOURS_REMEDY)
    return int(hour) * _MINUTES + int(minute)


def read_hours(value: object) -> Hours:
    """The hours that one range stands for; it may cross midnight."""
    if isinstance(value, Hours):
        return value
    if not isinstance(value, str):
        raise expected("text", value)
    found = _HOURS.fullmatch(value.strip())
    if found is None:
        raise refused("these are not hours", _HOURS_REMEDY)
    begin, end = _minute(found[1], found[2]), _minute(found[3], found[4])
    if begin == WHOLE_DAY.end:
        raise refused("hours begin before 24:00", "write 00:00 and the day after")
    if begin == end:
        raise refused("the hours end as they begin", "write 00:00-24:00, or leave `hours` out, for all day")
    return Hours(begin, end)


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        near = nearest(value, available_timezones())
        advice = f'did you mean "{near}"?' if near else "write for example Europe/Berlin or UTC"
        raise refused("this is not a time zone", advice) from None
    return value


def _listed(value: object) -> object:
    """One text as a list of it."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list | tuple):
        raise expected("text or a list", value)
    if not value:
        raise refused("the list is empty", "write what is meant into it, or remove the line")
    return value


_DAY_TEXT: Final = {"type": "string", "examples": ["mon-fri", "sat", "fri-mon"]}
_HOURS_TEXT: Final = {
    "type": "string",
    "pattern": "^\\s*[0-9]{1,2}:[0-9]{2}\\s*-\\s*[0-9]{1,2}:[0-9]{2}\\s*$|\\$\\{",
    "examples": ["08:00-18:00", "22:00-06:00"],
}


def _either(item: dict[str, object]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [item, {"type": "array", "items": item, "minItems": 1}]})


class WindowSettings(Section):
    """Some hours of some days, by the clock on the wall."""

    days: Annotated[
        tuple[Annotated[frozenset[int], BeforeValidator(read_days)], ...],
        BeforeValidator(_listed),
        _either(_DAY_TEXT),
    ] = Field(
        (),
        description="Days and ranges of days, which may go on from Sunday to Monday; every day unless said.",
        examples=[["mon-fri"], "sat", ["fri-mon", "wed"]],
    )
    hours: Annotated[
        tuple[Annotated[Hours, BeforeValidator(read_hours)], ...],
        BeforeValidator(_listed),
        _either(_HOURS_TEXT),
    ] = Field(
        (),
        description="From a time until just before another; hours that cross midnight belong to the day on which they begin. All day unless said.",
        examples=[["08:00-18:00"], "22:00-06:00", ["00:00-08:00", "18:00-24:00"]],
    )
    timezone: Annotated[Text, AfterValidator(_zone)] = Field(
        "UTC",
        description="Whose clock it is, by its name in the time zone database.",
        examples=["Europe/Berlin"],
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.days and not self.hours:
            raise refused("the window says neither days nor hours", "add `days:` or `hours:`, or remove it")
        return self

    @property
    def window(self) -> Window:
        """The window that this stands for."""
        days = frozenset[int]().union(*self.days) if self.days else frozenset(range(len(DAYS)))
        return Window(days, self.hours or (WHOLE_DAY,), ZoneInfo(self.timezone))


def _windows(value: object) -> object:
    """`active:` as a list, whichever of its two forms it has."""
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list | tuple):
        raise expected("a mapping or a list", value)
    if not value:
        raise refused("the list is empty: there is no window", "add one, or remove the line")
    return value


Windows: TypeAlias = Annotated[tuple[WindowSettings, ...], BeforeValidator(_windows)]
