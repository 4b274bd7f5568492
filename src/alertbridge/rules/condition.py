"""The `when` of a rule: matchers joined by all, any and not, read from YAML data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TypeAlias

from alertbridge.errors import MatcherError, RefusedText
from alertbridge.model import Alert
from alertbridge.rules.matcher import Matcher, parse_matchers, quoted

Path: TypeAlias = tuple[str | int, ...]

DEEPEST = 20

_GROUPS = ("any", "all", "not")
_OTHER_WORDS = {"or": "any", "and": "all", "none": "not", "nor": "not", "either": "any", "every": "all"}


@dataclass(frozen=True, slots=True)
class All:
    """Holds when every part does; without parts, always."""

    parts: tuple[Condition, ...]

    def matches(self, alert: Alert) -> bool:
        """Whether this holds for the alert."""
        for part in self.parts:  # noqa: SIM110 - all() over a generator takes twice the time, per rule and alert
            if not part.matches(alert):
                return False
        return True


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Holds when at least one part does."""

    parts: tuple[Condition, ...]

    def matches(self, alert: Alert) -> bool:
        """Whether this holds for the alert."""
        return any(part.matches(alert) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Not:
    """Holds when its part does not."""

    part: Condition

    def matches(self, alert: Alert) -> bool:
        """Whether this holds for the alert."""
        return not self.part.matches(alert)


Condition: TypeAlias = Matcher | All | AnyOf | Not


@dataclass(frozen=True, slots=True)
class Refusal:
    """A mistake in a condition, and the path in the document that leads to it."""

    path: Path
    error: RefusedText


def read_condition(document: object, path: Path) -> tuple[All, tuple[Refusal, ...]]:
    """The condition written as YAML data, and every mistake in it; what was refused is left out of the former.

    `document` is a matcher text, or a list of: texts, `{any: [...]}`, `{all: [...]}`, `{not: item}`, or lists,
    which are an `all`. An empty list at the top always holds.
    """
    reader = _Reader()
    parts = reader.items(document, path, 1) if isinstance(document, list) else reader.item(document, path, 1)
    return All(parts), tuple(reader.refusals)


@dataclass(slots=True)
class _Reader:
    """Goes down the document and collects what it cannot accept."""

    refusals: list[Refusal] = field(default_factory=list)

    def item(self, document: object, path: Path, depth: int) -> tuple[Condition, ...]:
        """The conditions one item stands for, all of which must hold; none where it was refused."""
        if depth > DEEPEST:
            return self._refuse(path, f"nested deeper than {DEEPEST} levels", "write a flatter condition")
        match document:
            case str():
                return self._matchers(document, path)
            case list():
                return self._group(All, document, path, depth)
            case Mapping():
                return self._mapping(document, path, depth)
            case None:
                return self._refuse(path, "nothing here", "write a matcher such as severity = critical")
            case _:
                said = f"{_yaml(document)} is not a matcher"
                return self._refuse(path, said, "write name, operator, value: severity = critical")

    def items(self, documents: list[object], path: Path, depth: int) -> tuple[Condition, ...]:
        """The conditions of a list that must all hold."""
        return tuple(
            condition
            for index, document in enumerate(documents)
            for condition in self.item(document, (*path, index), depth)
        )

    def _matchers(self, text: str, path: Path) -> tuple[Condition, ...]:
        try:
            return parse_matchers(text)
        except RefusedText as error:
            self.refusals.append(Refusal(path, error))
            return ()

    def _mapping(self, document: Mapping[object, object], path: Path, depth: int) -> tuple[Condition, ...]:
        if len(document) != 1:
            problem = f"one of any, all and not is expected here, not {len(document)} keys"
            return self._refuse(path, problem, _as_matchers(document) or "make each a list item of its own")
        ((key, value),) = document.items()
        if key == "not":
            parts = self.item(value, (*path, "not"), depth + 1)
            return (Not(_joined(parts)),) if parts else ()
        if key in ("any", "all"):
            if isinstance(value, list):
                return self._group(AnyOf if key == "any" else All, value, (*path, key), depth)
            return self._refuse(
                (*path, key), f"{key} takes a list", "write one item per line, each after a dash"
            )
        return self._refuse(path, f"unknown key {_yaml(key)}", _meant(document))

    def _group(
        self, kind: type[All | AnyOf], documents: list[object], path: Path, depth: int
    ) -> tuple[Condition, ...]:
        if not documents:
            return self._refuse(path, "an empty list", "write at least one matcher in it, or leave it out")
        if kind is All:
            parts = self.items(documents, path, depth + 1)
        else:
            each = (self.item(one, (*path, index), depth + 1) for index, one in enumerate(documents))
            parts = tuple(_joined(conditions) for conditions in each if conditions)
        return (kind(parts),) if parts else ()

    def _refuse(self, path: Path, problem: str, remedy: str) -> tuple[Condition, ...]:
        self.refusals.append(Refusal(path, MatcherError(problem, remedy)))
        return ()


def written(condition: Condition) -> str:
    """The condition on one line, in the language of rules: `any: [env = "dev", [team = "web", tier != "1"]]`."""
    match condition:
        case Matcher():
            return f"{condition.subject} {condition.operator} {quoted(condition.value)}"
        case Not(part):
            return f"not: {written(part)}"
        case All(parts):
            return f"[{', '.join(map(written, parts))}]"
        case AnyOf(parts):
            return f"any: [{', '.join(map(written, parts))}]"


def _joined(parts: tuple[Condition, ...]) -> Condition:
    return parts[0] if len(parts) == 1 else All(parts)


def _meant(document: Mapping[object, object]) -> str:
    """What to write instead of a mapping with one unknown key."""
    ((key, value),) = document.items()
    if matcher := _as_matchers(document):
        return matcher
    if value is None:
        return f"put the matcher in quotes: '{key}'"
    near = _OTHER_WORDS.get(str(key).lower()) or next(iter(get_close_matches(str(key), _GROUPS, 1, 0.5)), "")
    return f'did you mean "{near}"?' if near else "the keys are any, all and not"


def _as_matchers(document: Mapping[object, object]) -> str:
    """The remedy for `severity: critical`, or nothing where the mapping is not of that kind."""
    if not document or any(
        key in _GROUPS or not isinstance(value, str | int | float) for key, value in document.items()
    ):
        return ""
    return "write " + ", ".join(f"{key} = {_value(value)}" for key, value in document.items())


def _value(value: object) -> str:
    text = _yaml(value)
    return text if text.replace("-", "").replace("_", "").replace(".", "").isalnum() else f'"{text}"'


def _yaml(scalar: object) -> str:
    """A scalar as it was probably written in YAML."""
    return str(scalar).lower() if isinstance(scalar, bool) else str(scalar)
