"""`duration` and `localtime`: spans and instants as people read them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from difflib import get_close_matches
from zoneinfo import ZoneInfo, available_timezones

from alertbridge.errors import RenderingFailed, TemplateError

WALL_TIME = "%Y-%m-%d %H:%M:%S %Z"
_LARGEST: Mapping[str, int] = {"d": 86_400_000_000, "h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000}
_UNITS: Mapping[str, float] = {
    "w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9,
}  # fmt: skip
_GO_PART = re.compile(r"(\d{1,18}(?:\.\d{0,18})?|\.\d{1,18})(ns|us|µs|ms|[smhdw])")
_GO_DURATION = re.compile(rf"[-+]?(?:{_GO_PART.pattern})+")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")
_DIRECTIVE = re.compile(r"%(-?.?)", re.DOTALL)
_DIRECTIVES = frozenset([*"aAbBdfHIjmMpSyYzZ%", *(f"-{sign}" for sign in "dHIjmMSy")])


def duration(value: object, until: object = None, style: object = "words") -> str:
    """The time that `value` says, or from the instant `value` to the instant `until`: `1h 5m`; of nothing, nothing.

    `style` is `words`, or `go` for `1h5m0s`.
    """
    if style not in ("words", "go"):
        raise RenderingFailed("the style of a duration is words or go")
    if value == "" or until == "":
        return ""
    span = _span(value) if until is None else _instant(until) - _instant(value)
    text = _go(abs(span)) if style == "go" else _words(abs(span))
    return f"-{text}" if span < timedelta(0) else text


def local(value: object, zone: ZoneInfo, form: str) -> str:
    """The wall time of an instant; of nothing, nothing."""
    return "" if value == "" else _instant(value).astimezone(zone).strftime(form)


def zone_named(name: str) -> ZoneInfo:
    """The time zone of that name; raises TemplateError."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError) as error:
        known = available_timezones()
        cities = {one.rpartition("/")[2].casefold(): one for one in sorted(known)}
        near = get_close_matches(name, known, 1) or [
            cities[one] for one in get_close_matches(name.casefold(), cities, 1)
        ]
        remedy = f"did you mean {near[0]}?" if near else "write for example Europe/Berlin or UTC"
        raise TemplateError("there is no such time zone", remedy) from error


def check_format(form: str) -> None:
    """Refuse what is not the same on every system, or could be of any length."""
    for found in _DIRECTIVE.finditer(form):
        if found[1] not in _DIRECTIVES:
            raise TemplateError(
                f"%{found[1]} is not available in the format of a time",
                f"there are {' '.join(f'%{sign}' for sign in sorted(_DIRECTIVES, key=str.casefold))}",
            )


def _span(value: object) -> timedelta:
    text = str(value).strip()
    try:
        return timedelta(seconds=_seconds(text))
    except (ValueError, OverflowError) as error:
        raise RenderingFailed(
            f'"{text[:40]}" is no number of seconds and no duration such as 1h5m'
        ) from error


def _seconds(text: str) -> float:
    if not _GO_DURATION.fullmatch(text):
        return float(text)
    seconds = sum(float(count) * _UNITS[unit] for count, unit in _GO_PART.findall(text))
    return -seconds if text[0] == "-" else seconds


def _instant(value: object) -> datetime:
    text = str(value).strip()
    try:
        if _INSTANT.match(text):
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is not None:
                return moment
    except ValueError:
        pass
    raise RenderingFailed(f'"{text[:40]}" is no instant such as 2024-08-01T12:34:56Z')


def _words(span: timedelta) -> str:
    """`1d 2h 5m 7s`, without what is nought; below a second, milliseconds."""
    whole = span // timedelta(microseconds=1)
    if 0 < whole < _LARGEST["s"]:
        return f"{whole // 1000}ms" if whole >= 1000 else f"{whole}µs"  # noqa: PLR2004 - a millisecond
    return " ".join(f"{count}{unit}" for count, unit in _parts(whole) if count) or "0s"


def _parts(whole: int) -> Iterator[tuple[int, str]]:
    for unit, size in _LARGEST.items():
        count, whole = divmod(whole, size)
        yield count, unit


def _go(span: timedelta) -> str:
    """As Go writes durations: hours, minutes and seconds, from the first that is not nought."""
    whole = span // timedelta(microseconds=1)
    if 0 < whole < _LARGEST["s"]:
        return _words(span) if whole % 1000 == 0 or whole < 1000 else f"{whole / 1000:g}ms"  # noqa: PLR2004 - see above
    hours, rest = divmod(whole, _LARGEST["h"])
    minutes, rest = divmod(rest, _LARGEST["m"])
    seconds = f"{rest / _LARGEST['s']:.6f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{seconds}"
    return f"{minutes}m{seconds}" if minutes else seconds
