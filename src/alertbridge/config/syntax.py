"""What a YAML parser's complaint means to someone who wrote the file; no message quotes the file."""

from __future__ import annotations

import re
from typing import NamedTuple

import yaml
from yaml.reader import ReaderError

from alertbridge.errors import Problem

_QUOTE = "put the text in quotes"


class _Meaning(NamedTuple):
    sign: str
    problem: str
    remedy: str
    at_context: bool = False


# The first whose `sign` is part of the parser's sentence counts.
_MEANINGS = (
    _Meaning("character '\\t'", "a tab is used for indentation", "indent with spaces"),
    _Meaning(
        "mapping values are not allowed",
        "a key stands where none may stand",
        f"indent it like its neighbours; if it is text that holds a colon, {_QUOTE}",
    ),
    _Meaning(
        "could not find expected ':'",
        "a key has no colon and space after it",
        "write `key: value`",
        at_context=True,
    ),
    _Meaning(
        "expected <block end>",
        "this does not belong where it stands",
        "indent it like its neighbours; text that begins with a quote must end with it",
    ),
    _Meaning("found unexpected end of stream", "a quote is never closed", "close it", at_context=True),
    _Meaning(
        "expected ',' or ']'", "a list in [brackets] is never closed", "close it with ]", at_context=True
    ),
    _Meaning(
        "expected ',' or '}'", "a mapping in {braces} is never closed", "close it with }", at_context=True
    ),
    _Meaning(
        "found unknown escape character",
        "a backslash in double quotes begins no known escape",
        "use single quotes, or double the backslash",
    ),
    _Meaning(
        "found undefined alias", "an alias `*` whose anchor `&` does not exist", f"if it is text, {_QUOTE}"
    ),
    _Meaning(
        "found duplicate anchor", "an anchor `&` is defined twice", "give each anchor a name of its own"
    ),
    _Meaning(
        "expected a single document", "the file holds more than one YAML document", "remove the `---` line"
    ),
    _Meaning("that cannot start any token", "unquoted text may not begin with this character", _QUOTE),
)
_OTHER = _Meaning("", "this is not YAML", f"look for a missing quote, bracket or colon, or {_QUOTE}")
_BARE_TEMPLATE = re.compile(r"[:-] +\{\{")
_TEMPLATE = _Meaning("", "a template stands without quotes", 'write "{{ ... }}" in quotes')


def explain_syntax(error: yaml.YAMLError, *, file: str, text: str) -> Problem:
    """The Problem behind `error`, at the place where the operator should look."""
    if isinstance(error, ReaderError):
        before = text[: error.position]
        character = f"U+{ord(text[error.position]):04X}" if error.position < len(text) else "unknown"
        return Problem(
            file,
            before.count("\n") + 1,
            len(before) - before.rfind("\n"),
            "",
            f"the character {character} may not stand in YAML",
            'remove it, or write it as an escape in double quotes ("\\u0007")',
        )
    if not isinstance(error, yaml.MarkedYAMLError):
        return Problem(file, 0, 0, "", _OTHER.problem, _OTHER.remedy)
    sentence = f"{error.context} {error.problem}"
    meaning = next((each for each in _MEANINGS if each.sign in sentence), _OTHER)
    mark = (error.context_mark if meaning.at_context else None) or error.problem_mark or error.context_mark
    if mark is None:
        return Problem(file, 0, 0, "", meaning.problem, meaning.remedy)
    column = mark.column
    template = _BARE_TEMPLATE.search(text.split("\n", mark.line + 1)[mark.line])
    if template is not None:  # which YAML takes for a mapping
        meaning, column = _TEMPLATE, template.end() - 2
    return Problem(file, mark.line + 1, column + 1, "", meaning.problem, meaning.remedy)
