"""Alertmanager's matchers, such as `severity =~ "critical|page"`: read from text, and asked of alerts."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import NamedTuple

from typing_extensions import override

from alertbridge.errors import MatcherError, PatternError
from alertbridge.model import Alert, AlertStatus
from alertbridge.rules.pattern import Pattern

MAPPINGS = ("labels", "annotations", "group")
_SCALARS = ("source", "status")
_ALERT_SCALARS = ("fingerprint", "generator_url", "external_url")

_BLANKS = re.compile(r"\s*")
_BARE_NAME = re.compile(r"""[^\s{}!=~<>,"'`\\]+""")
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_BARE_VALUE = re.compile(r"""(?!['`])(?:[^\s,"{}]|\{[^\s,"{}]*\})+""")
_OPERATOR = re.compile(r"[=!~]+>?|[<>]+=?")
_ESCAPED = re.compile(r'\\(["\\n])')
_MEANT = {"=>": "=~", "~=": "=~", "~": "=~", "~~": "=~", "!=~": "!~", "~!": "!~", "<>": "!=", "!": "!="}


class Operator(StrEnum):
    """How a matcher compares."""

    EQUAL = "="
    NOT_EQUAL = "!="
    MATCHES = "=~"
    NOT_MATCHES = "!~"

    @property
    def is_pattern(self) -> bool:
        """Whether the value is a regular expression."""
        return self in (Operator.MATCHES, Operator.NOT_MATCHES)


@dataclass(frozen=True, slots=True)
class Matcher:
    """One comparison with an alert; its text form is canonical and reads back as an equal matcher.

    `field` is `labels`, `annotations` or `group`, with the `name` in it, or `source`, `status`, `fingerprint`,
    `generator_url` or `external_url`, without a name. What an alert lacks compares as the empty text.
    Making one raises PatternError where the value is no good pattern.
    """

    field: str
    name: str
    operator: Operator
    value: str
    pattern: Pattern | None = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        pattern = Pattern.compile(self.value) if self.operator.is_pattern else None
        object.__setattr__(self, "pattern", pattern)

    def matches(self, alert: Alert) -> bool:
        """Whether this holds for the alert."""
        held = alert.labels.get(self.name, "") if self.field == "labels" else self.held(alert) or ""
        if self.pattern is not None:
            return self.pattern.matches(held) is (self.operator is Operator.MATCHES)
        return (held == self.value) is (self.operator is Operator.EQUAL)

    def held(self, alert: Alert) -> str | None:
        """What the alert holds where this looks; None where it lacks that."""
        held: str | Mapping[str, str] = getattr(alert, self.field)
        return held if isinstance(held, str) else held.get(self.name)

    @override
    def __str__(self) -> str:
        return f"{self.subject}{self.operator}{quoted(self.value)}"

    @property
    def subject(self) -> str:
        """Where this looks, as it is written before the operator."""
        if self.field in _ALERT_SCALARS:
            return f"alert.{self.field}"
        if self.field not in MAPPINGS:
            return self.field
        name = _written(self.name)
        return name if self.field == "labels" and name not in _SCALARS else f"{self.field}.{name}"


def quoted(text: str) -> str:
    """`text` as a value in double quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _written(name: str) -> str:
    return name if _PLAIN_NAME.fullmatch(name) else quoted(name)


def parse_matchers(text: str) -> tuple[Matcher, ...]:
    r"""One or more matchers separated by commas, optionally in braces.

    Names and values stand bare or in double quotes. In quotes `\"`, `\\` and `\n` are escapes and any other
    backslash is itself, so that `"web\.example"` works as in Alertmanager; without quotes every backslash is.
    Raises MatcherError, or PatternError for a bad regular expression, with the offset in `text`.
    """
    return _Reader(text).matchers()


class _Token(NamedTuple):
    """A piece of text and where it began."""

    text: str
    at: int


class _Reader:
    """Walks over the text once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def matchers(self) -> tuple[Matcher, ...]:
        braced = self._skip("{")
        found: list[Matcher] = []
        while not self._ended(braced=braced):
            found.append(self._matcher())
            if not self._skip(",") and not self._ended(braced=braced):
                self._refuse_rest()
        if not found:
            raise MatcherError("no matcher here", "write one such as severity = critical")
        return tuple(found)

    def _skip(self, sign: str) -> bool:
        """Go over blanks, and over the sign if it comes next."""
        self._at = _end(_BLANKS.match(self._text, self._at))
        if self._text.startswith(sign, self._at):
            self._at += len(sign)
            return True
        return False

    def _ended(self, *, braced: bool) -> bool:
        """Whether nothing is left but the closing brace that belongs there."""
        self._skip("")
        rest = self._text[self._at :].rstrip()
        if braced and not rest:
            raise MatcherError(
                "the opening { is never closed", "add } at the end, or leave both out", self._at
            )
        if rest == "}" and not braced:
            raise MatcherError("} without an opening {", "leave it out, or quote the value", self._at)
        if braced and rest.startswith("}") and rest != "}":
            raise MatcherError("text after the closing }", "leave it out", self._at + 1)
        return rest == ("}" if braced else "")

    def _matcher(self) -> Matcher:
        start = self._at
        field, name = self._subject()
        operator = self._operator(self._text[start : self._at])
        value = self._value()
        if field == "status" and not operator.is_pattern and value.text not in list(AlertStatus):
            raise MatcherError(
                f"a status is never {quoted(value.text)}",
                "write firing or resolved; a label of this name is labels.status",
                value.at,
            )
        try:
            return Matcher(field, name, operator, value.text)
        except PatternError as error:
            quote = self._text.startswith('"', value.at)
            raise PatternError(error.problem, error.remedy, value.at + quote + error.offset) from error

    def _subject(self) -> tuple[str, str]:
        start = self._at
        if self._text.startswith('"', start):
            return "labels", self._name(self._quoted(), start)
        bare = _BARE_NAME.match(self._text, start)
        if bare is None:
            self._refuse_single_quotes()
            raise MatcherError("a name is missing", "write name, operator, value: severity = critical", start)
        self._at = bare.end()
        prefix, dot, name = bare[0].partition(".")
        if not name and dot and self._text.startswith('"', self._at):
            name = self._quoted()
        elif bare[0] in _SCALARS:
            return bare[0], ""
        elif prefix == "alert" and name in _ALERT_SCALARS:
            return name, ""
        elif not dot or (prefix not in MAPPINGS and not _misspelt(prefix)):
            return "labels", bare[0]
        if prefix in MAPPINGS:
            return prefix, self._name(name, start)
        near = f"did you mean {_misspelt(prefix)}.{_written(name)}? " if _misspelt(prefix) else ""
        remedy = f"{near}(a label whose name holds a dot stands in double quotes)"
        raise MatcherError(f'an alert has no "{prefix}"', remedy, start)

    def _name(self, name: str, start: int) -> str:
        if not name:
            raise MatcherError("a name is empty", "write it before the operator: severity = critical", start)
        return name

    def _operator(self, subject: str) -> Operator:
        self._skip("")
        sign = _OPERATOR.match(self._text, self._at)
        if sign is None:
            remedy = "write one of = != =~ !~ between name and value"
            if subject.endswith(":"):
                remedy = f"write {subject[:-1]} = {self._text[self._at :].strip()}"
            raise MatcherError(f"no operator after {subject}", remedy, self._at)
        if sign[0] not in list(Operator):
            meant = _MEANT.get(sign[0], "=" if set(sign[0]) == {"="} else "")
            remedy = f'did you mean "{meant}"?' if meant else "the operators are = != =~ !~"
            raise MatcherError(f'unknown label matcher operator "{sign[0]}"', remedy, self._at)
        self._at = sign.end()
        return Operator(sign[0])

    def _value(self) -> _Token:
        self._skip("")
        start = self._at
        if self._text.startswith('"', start):
            return _Token(self._quoted(), start)
        self._refuse_single_quotes()
        bare = _BARE_VALUE.match(self._text, start)
        if bare is None:
            raise MatcherError(
                "a value is missing", 'the empty text is ""; quote a value that holds { or }', start
            )
        self._at = bare.end()
        return _Token(bare[0], start)

    def _quoted(self) -> str:
        quoted = _QUOTED.match(self._text, self._at)
        if quoted is None:
            remedy = 'close it with "; a quote within is written \\"'
            raise MatcherError("a double quote is never closed", remedy, self._at)
        self._at = quoted.end()
        return _ESCAPED.sub(lambda escape: "\n" if escape[1] == "n" else escape[1], quoted[1])

    def _refuse_single_quotes(self) -> None:
        if self._text.startswith(("'", "`"), self._at):
            sign = self._text[self._at]
            raise MatcherError(f"{sign} does not quote here", 'use double quotes: name = "value"', self._at)

    def _refuse_rest(self) -> None:
        rest = self._text[self._at :].strip()
        remedy = "separate matchers by a comma; a value that holds blanks or quotes stands in double quotes"
        raise MatcherError(f"{rest[:40]} follows a complete matcher", remedy, self._at)


def _misspelt(prefix: str) -> str:
    """The mapping that was probably meant by a prefix that is none."""
    return next(iter(get_close_matches(prefix, MAPPINGS, 1, 0.8)), "")


def _end(match: re.Match[str] | None) -> int:
    assert match is not None  # the pattern matches the empty text
    return match.end()
