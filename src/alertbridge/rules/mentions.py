"""Which labels a piece of rule text speaks of, and where in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

import jinja2

from alertbridge.rules.matcher import parse_matchers

_LEXER: Final = jinja2.Environment(autoescape=False)  # noqa: S701 - nothing is rendered by it
_MAPPING: Final = "labels"


class Mention(NamedTuple):
    """The name of a label, and its offset in the text."""

    name: str
    offset: int


def in_matchers(text: str) -> Iterator[Mention]:
    """The labels that matchers look at. Raises MatcherError or PatternError where the text is refused."""
    at = 0
    for matcher in parse_matchers(text):
        if matcher.field != _MAPPING:
            continue
        written = re.compile(rf'(?<![\w.])(?:labels\.)?"?({re.escape(matcher.name)})"?\s*[=!]')
        found = written.search(text, at)
        at = found.end() if found else at
        yield Mention(matcher.name, found.start(1) if found else 0)


def in_template(text: str) -> Iterator[Mention]:
    """The labels that a template names, as `labels.name` or `labels['name']`. Raises TemplateSyntaxError of Jinja."""
    before: tuple[str, str, str] = ("", "", "")
    for value, kind, at in _tokens(text):
        if before[1:] == (_MAPPING, ".") and before[0] != "." and kind == "name":
            yield Mention(value, at)
        if before[1:] == (_MAPPING, "[") and before[0] != "." and kind == "string":
            yield Mention(value[1:-1], at + 1)
        before = (before[1], before[2], value)


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    """Every token that is not blank, its kind and its offset; Jinja itself tells but the line."""
    at = 0
    for _, kind, value in _LEXER.lex(text):
        found = text.find(value, at)
        if found >= 0 and kind != "whitespace":
            yield value, kind, found
            at = found + len(value)
