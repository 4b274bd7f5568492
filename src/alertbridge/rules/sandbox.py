"""The environment templates run in: labels before methods, few attributes, and a price on every operation."""

from __future__ import annotations

from collections.abc import Mapping
from types import BuiltinMethodType
from typing import Any

from jinja2 import ChainableUndefined
from jinja2.exceptions import SecurityError, TemplateRuntimeError
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from typing_extensions import override

from alertbridge.rules.filters import (
    ABSENT,
    allowed_filters,
    callable_by_name,
    is_absent,
    meter_of,
    replaced,
)
from alertbridge.rules.meter import PER_STEP, TooMuch, bounded, weight

TEXT_METHODS = frozenset((
    "capitalize", "count", "endswith", "find", "isalnum", "isalpha", "isdigit", "isnumeric", "lower",
    "lstrip", "partition", "removeprefix", "removesuffix", "replace", "rfind", "rpartition", "rsplit",
    "rstrip", "split", "splitlines", "startswith", "strip", "title", "upper",
))  # fmt: skip
_LOOP_ATTRIBUTES = frozenset((
    "depth", "depth0", "first", "index", "index0", "last", "length", "nextitem", "previtem",
    "revindex", "revindex0",
))  # fmt: skip
_LARGEST_NUMBER = 1024  # bits


def _shown(value: object) -> object:
    """What stands between the braces, unless it cannot be meant to be shown."""
    if isinstance(value, BuiltinMethodType):
        raise SecurityError(f"{value.__name__} is a method and needs its parentheses")
    return value


class _Sandbox(ImmutableSandboxedEnvironment):
    """Attributes and items as templates see them; without globals."""

    def __init__(self) -> None:
        super().__init__(autoescape=False, undefined=ChainableUndefined, optimized=False, cache_size=0)
        self.finalize = _shown
        self.globals.clear()
        self.policies["json.dumps_kwargs"] = {"sort_keys": True, "ensure_ascii": False, "default": dict}
        self.tests["defined"] = lambda value: not is_absent(value)
        self.tests["undefined"] = is_absent

    @override
    def getattr(self, obj: Any, attribute: str) -> Any:
        """A mapping gives its item, so that `labels.items` is the label of that name and never a method."""
        if isinstance(obj, Mapping):
            return obj.get(attribute, ABSENT)
        if isinstance(obj, str):
            return getattr(obj, attribute) if attribute in TEXT_METHODS else ABSENT
        if isinstance(obj, LoopContext) and attribute in _LOOP_ATTRIBUTES:
            return getattr(obj, attribute)
        return self.undefined(obj=obj, name=attribute)

    @override
    def getitem(self, obj: Any, argument: Any) -> Any:
        """What a mapping, text or list holds there, or the absent text."""
        if isinstance(obj, Mapping):
            return obj.get(argument, ABSENT)
        if isinstance(obj, str | list | tuple) and isinstance(argument, int):
            return obj[argument] if -len(obj) <= argument < len(obj) else ABSENT
        return self.undefined(obj=obj, name=argument)


class Sandbox(_Sandbox):
    """Where operators, calls and filters are charged to the meter of the rendering."""

    intercepted_binops = frozenset(["+", "-", "*", "/", "//", "%", "**"])

    def __init__(self) -> None:
        super().__init__()
        self.filters = allowed_filters(_Sandbox())

    @override
    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """The result, unless it would be too large; it is not even computed then."""
        meter_of(context).charge(PER_STEP + _size_of_result(operator, left, right))
        return super().call_binop(context, operator, left, right)

    @override
    def call_filter(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """What `map` and its like ask for by name; what is meant for the compiler alone is not to be had here."""
        if not callable_by_name(name):
            raise TemplateRuntimeError(f"No filter named {name!r} can be applied by another filter")
        return super().call_filter(name, *args, **kwargs)

    @override
    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """The result of a method of a text; nothing else can be called."""
        text = getattr(obj, "__self__", None)
        if not isinstance(text, str) or obj.__name__ not in TEXT_METHODS:
            raise SecurityError("this cannot be called")
        meter = meter_of(context)
        meter.charge_for(text, *args)
        kwargs = {name: value for name, value in kwargs.items() if not name.startswith("_")}  # Jinja's own
        if obj.__name__ == "replace":
            return replaced(text, *args, **kwargs)
        result = obj(*args, **kwargs)
        meter.charge_for(result)
        bounded(weight(result), weight([*text]))  # cut into its characters, at most
        return result


def _size_of_result(operator: str, left: Any, right: Any) -> int:
    """The size the result will have at most; raises TooMuch where that is beyond what is allowed."""
    if isinstance(left, int) and isinstance(right, int):
        bits = left.bit_length(), right.bit_length()
        size = bits[0] * abs(right) if operator == "**" else sum(bits)
        if size > _LARGEST_NUMBER:
            raise TooMuch(f"a number grew beyond {_LARGEST_NUMBER} bits")
        return 1
    if isinstance(left, str) and operator == "%":
        raise TooMuch("% does not format texts here; join them by ~")
    if operator == "*":
        size = (
            weight(left) * max(0, right)
            if isinstance(right, int)
            else weight(right) * max(0, left)
            if isinstance(left, int)
            else 1
        )
    else:
        size = weight(left) + weight(right)
    bounded(size)
    return size
