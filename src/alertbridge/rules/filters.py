"""The filters templates may use: those of Jinja that cannot make much of little, each one metered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice

from jinja2 import Environment, Undefined, pass_context
from jinja2.runtime import Context

from alertbridge.rules.meter import LARGEST_VALUE, PER_STEP, Meter, TooMuch, bounded, weight

METER = "the meter"  # no identifier, so no template can name it
STEPS = "the steps of a loop"
JOINED = "the texts joined by ~"
MEASURED = "a list or mapping written out"

# Left out: what formats by a text (format), pads (center, indent), repeats a text (wordwrap, batch), reaches
# into objects (attr, pprint), makes HTML (escape, urlize, xmlattr), varies (random) or is slow (striptags).
_FROM_JINJA = (
    "abs", "capitalize", "count", "dictsort", "filesizeformat", "first", "float", "int", "items",
    "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "reverse", "round",
    "select", "selectattr", "sort", "string", "sum", "title", "tojson", "trim", "truncate", "unique",
    "upper", "urlencode", "wordcount",
)  # fmt: skip


class Absent(str):
    """The empty text that stands for a label or annotation an alert does not have."""

    __slots__ = ()


ABSENT = Absent()


def is_absent(value: object) -> bool:
    """Whether there is nothing behind the value: no such label, item or variable."""
    return isinstance(value, Absent | Undefined)


def allowed_filters(plain: Environment) -> dict[str, Callable[..., object]]:
    """The filters by name; `plain` is a sandbox whose own filters are the unmetered ones behind them."""
    own = {"d": _default, "default": _default, "join": _join, "replace": replaced}
    plain.filters = {name: plain.filters[name] for name in _FROM_JINJA} | own
    metered = {name: _metered(name, plain) for name in plain.filters}
    return metered | {STEPS: _steps, JOINED: _joined, MEASURED: _measured}


def meter_of(context: Context) -> Meter:
    """The meter of the rendering that this context belongs to."""
    meter = context[METER]
    assert isinstance(meter, Meter)
    return meter


def replaced(value: object, old: str, new: str, count: int | None = None) -> str:
    """The text with every (or the first `count`) `old` replaced by `new`."""
    text = str(value)
    occurrences = text.count(old) if count is None else min(text.count(old), count)
    bounded(len(text) + occurrences * (len(new) - len(old)), len(text))
    return text.replace(old, new, -1 if count is None else count)


def _metered(name: str, plain: Environment) -> Callable[..., object]:
    @pass_context
    def metered(context: Context, value: object, *args: object, **kwargs: object) -> object:
        meter = meter_of(context)
        meter.charge_for(value, *args, *kwargs.values())
        for argument in (*args, *kwargs.values()):
            if isinstance(argument, int) and abs(argument) > LARGEST_VALUE:
                raise TooMuch(f"{argument} is too large a number for the filter {name}")
        result = _settled(plain.call_filter(name, value, args, kwargs, context=context))
        meter.charge_for(result)
        bounded(weight(result), weight(value))
        return result

    return metered


def _settled(result: object) -> object:
    """The result with its type made plain: what is lazy becomes a list, marked-up text becomes text."""
    if isinstance(result, str):
        return result if type(result) in (str, Absent) else str.__str__(result)
    if isinstance(result, Iterable) and not isinstance(result, list | tuple | Mapping | Undefined):
        return list(islice(result, LARGEST_VALUE))
    return result


def _default(value: object, default_value: object = "", boolean: bool = False) -> object:  # noqa: FBT001, FBT002 - as Jinja's
    return default_value if is_absent(value) or (boolean and not value) else value


def _join(value: Iterable[object], d: object = "") -> str:
    texts = [str(item) for item in value]
    separator = str(d)
    bounded(sum(map(len, texts)) + len(separator) * len(texts))
    return separator.join(texts)


@pass_context
def _steps(context: Context, value: Iterable[object], nodes: int) -> list[object]:
    items = list(value)
    meter_of(context).charge(PER_STEP * nodes * (1 + len(items)))
    return items


@pass_context
def _joined(context: Context, parts: tuple[object, ...]) -> str:
    meter_of(context).charge_for(parts)
    bounded(weight(parts))
    return "".join(str(part) for part in parts)


@pass_context
def _measured(context: Context, value: object) -> object:
    meter_of(context).charge_for(value)
    bounded(weight(value))
    return value
