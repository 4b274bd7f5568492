"""Durations as `30s` and sizes as `16MiB`, as they are written in configuration."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Final

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from alertbridge.config.refuse import refused

_UNITS: Final = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
_DURATION = re.compile(r"(?=[0-9])(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?(?:([0-9]+)ms)?")
_LONGEST: Final = timedelta(days=36500)

_FACTORS: Final = {
    "": 1, "B": 1,
    "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}  # fmt: skip
_SIZE = re.compile(r"([0-9]{1,18}) ?([A-Za-z]*)")

_DURATION_REMEDY: Final = "write for example 500ms, 30s, 5m, 24h, 7d or 1h30m"
_SIZE_REMEDY: Final = "write for example 64KiB, 16MiB, 1GiB or 10MB"


def read_duration(value: object) -> timedelta:
    """The span that `value` says; a number without a unit is refused, except 0.

    Raises:
        PydanticCustomError: with problem and remedy.
    """
    if isinstance(value, timedelta):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise refused("expected a duration", _DURATION_REMEDY)
    text = str(value).strip()
    if text in {"0", "0.0"}:
        return timedelta(0)
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        whole = text.split(".", maxsplit=1)[0]
        raise refused("a duration needs a unit", f"write {whole}s if seconds are meant")
    found = _DURATION.fullmatch(text)
    if found is None:
        raise refused("this is not a duration", _DURATION_REMEDY)
    try:
        span = sum(
            (unit * int(count) for count, unit in zip(found.groups(), _UNITS.values(), strict=True) if count),
            timedelta(0),
        )
    except (OverflowError, ValueError):
        span = timedelta.max
    if span > _LONGEST:
        raise refused("the duration is longer than a hundred years", _DURATION_REMEDY)
    return span


def duration_text(span: timedelta) -> str:
    """`span` as it would be written in a configuration: `1h30m`, `0s`."""
    text, rest = "", span
    for unit, size in _UNITS.items():
        count, rest = divmod(rest, size)
        if count:
            text += f"{count}{unit}"
    return text or "0s"


def read_size(value: object) -> int:
    """The number of bytes that `value` says: an integer, or a text such as `16MiB`.

    Raises:
        PydanticCustomError: with problem and remedy.
    """
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise refused("expected a size", _SIZE_REMEDY)
    found = _SIZE.fullmatch(str(value).strip())
    if found is None:
        raise refused("this is not a size", _SIZE_REMEDY)
    count, unit = found.groups()
    for name, factor in _FACTORS.items():
        if unit.casefold() == name.casefold():
            return int(count) * factor
    raise refused("the size has an unknown unit", _SIZE_REMEDY)


def size_text(size: int) -> str:
    """`size` as it would be written in a configuration, in the largest binary unit that loses nothing."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size and size % _FACTORS[unit] == 0:
            return f"{size // _FACTORS[unit]}{unit}"
    return str(size)


Duration = Annotated[
    timedelta,
    BeforeValidator(read_duration),
    PlainSerializer(duration_text, return_type=str),
    WithJsonSchema(
        {
            "type": ["string", "integer"],
            "pattern": "^(?=[0-9])([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$|^0$|\\$\\{",
            "maximum": 0,
            "minimum": 0,
            "examples": ["500ms", "30s", "5m", "24h", "7d", "1h30m"],
        }
    ),
]
Size = Annotated[
    int,
    BeforeValidator(read_size),
    PlainSerializer(size_text, return_type=str),
    WithJsonSchema(
        {
            "type": ["string", "integer"],
            "pattern": "^[0-9]+ ?([KMGTkmgt][iI]?)?[bB]?$|\\$\\{",
            "minimum": 0,
            "examples": ["64KiB", "16MiB", "1GiB", "10MB"],
        }
    ),
]
