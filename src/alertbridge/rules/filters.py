"""The filters templates may use: those of Jinja that cannot make much of little, each one metered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice

from jinja2 import Environment, Undefined, pass_context
from jinja2.runtime import Context

from alertbridge.errors import RenderingFailed
from alertbridge.rules import moments, texts
from alertbridge.rules.meter import LARGEST_VALUE, PER_STEP, Meter, TooMuch, bounded, weight
from alertbridge.rules.prepared import Prepared

METER = "the meter"  # no identifier, so no template can name it
PREPARED = "what was prepared"
NAMED = "a template by its name"
STEPS = "the steps of a loop"
JOINED = "the texts joined by ~"
MEASURED = "a list or mapping written out"

# Left out: what formats by a text (format), pads (center, indent), repeats a text (wordwrap, batch), reaches
# into objects (attr, pprint), makes HTML (escape, urlize, xmlattr), varies (random) or is slow (striptags).
_FROM_JINJA = (
    "abs", "capitalize", "count", "dictsort", "filesizeformat", "first", "float", "int", "items",
    "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "reverse", "round",
    "select", "selectattr", "sort", "string", "sum", "title", "tojson", "trim", "unique", "upper",
    "urlencode", "wordcount",
)  # fmt: skip
# Their arguments were prepared when the template was compiled, so they cannot be called by a name made up later.
_WRITTEN_OUT = frozenset(["localtime", "regex_replace"])


class Absent(str):
    """The empty text that stands for a label or annotation an alert does not have."""

    __slots__ = ()


ABSENT = Absent()


def is_absent(value: object) -> bool:
    """Whether there is nothing behind the value: no such label, item or variable."""
    return isinstance(value, Absent | Undefined)


def allowed_filters(plain: Environment) -> dict[str, Callable[..., object]]:
    """The filters by name; `plain` is a sandbox whose own filters are the unmetered ones behind them."""
    own: dict[str, Callable[..., object]] = {
        "d": _default,
        "default": _default,
        "duration": moments.duration,
        "join": _join,
        "json": texts.as_json,
        "localtime": _localtime,
        "regex_replace": _regex_replace,
        "replace": replaced,
        "severity": _severity,
        "slug": texts.slug,
        "truncate": texts.truncate,
    }
    plain.filters = {name: plain.filters[name] for name in _FROM_JINJA} | own
    metered = {name: _metered(name, plain) for name in plain.filters}
    return metered | {STEPS: _steps, JOINED: _joined, MEASURED: _measured, NAMED: _named}


def callable_by_name(name: str) -> bool:
    """Whether `map` and its like may apply this filter."""
    return name.isidentifier() and name not in _WRITTEN_OUT


def meter_of(context: Context) -> Meter:
    """The meter of the rendering that this context belongs to."""
    meter = context[METER]
    assert isinstance(meter, Meter)
    return meter


def _prepared(context: Context) -> Prepared:
    prepared = context[PREPARED]
    assert isinstance(prepared, Prepared)
    return prepared


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
def _localtime(context: Context, value: object, timezone: str, format: str = moments.WALL_TIME) -> str:  # noqa: A002 - what users call it
    return moments.local(value, _prepared(context).zones[timezone], format)


@pass_context
def _regex_replace(context: Context, value: object, pattern: str, replacement: str) -> str:
    return _prepared(context).substitutions[pattern, replacement].apply(str(value), meter_of(context))


@pass_context
def _severity(context: Context, value: object, fallback: object = None) -> str:
    words = _prepared(context).severities
    for word in (value, fallback):
        severity = None if word is None else words.meaning(str(word))
        if severity is not None:
            return severity.word
    said = f'"{str(value)[:40]}" is no known severity' if value else "there is no severity"
    raise RenderingFailed(f"{said}; explain it under `severities:`, or give the filter a fallback")


@pass_context
def _named(context: Context, name: str) -> str:
    """What another template gives, with the names of the alert alone; the meter of this rendering pays."""
    template = _prepared(context).templates[name]
    meter_of(context).charge(PER_STEP * (1 + template.cost))
    try:
        text = template.expand(context.parent)
    except Exception as error:  # whatever it may be: the reason is to say where it came from
        raise RenderingFailed(f"in templates.{name}: {str(error) or type(error).__name__}") from error
    meter_of(context).charge_for(text)
    return text


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
