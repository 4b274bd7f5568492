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
# YAML reads braces without quotes as a mapping; the first group is where they stand.
_BARE = (
    (
        re.compile(r"[:-] +(\{\{)"),
        _Meaning("", "a template stands without quotes", 'put the whole text in quotes: "{{ ... }}"'),
    ),
    (
        re.compile(r"[{[].*[:,[] *[^\s\"']*(\$\{)"),
        _Meaning("", "inside braces or brackets `${...}` needs quotes", 'write "${...}" in quotes'),
    ),
)


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
    lines = text.split("\n")
    for line in sorted({mark.line, (error.problem_mark or mark).line}):
        for sign, explained in _BARE:
            if found := sign.search(lines[line]):
                return Problem(file, line + 1, found.start(1) + 1, "", explained.problem, explained.remedy)
    return Problem(file, mark.line + 1, mark.column + 1, "", meaning.problem, meaning.remedy)
