"""Pydantic's errors as Problems: in plain words, with their place, and without any value from the file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from alertbridge.config.document import Data, Document, Path
from alertbridge.config.refuse import REFUSED, expected, plain
from alertbridge.config.section import Section, is_secret
from alertbridge.config.shape import Located, keys
from alertbridge.config.suggest import remedy
from alertbridge.errors import Problem

_EXPECTED: Final = {
    "string_type": "text",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,39}")


def explain(error: ValidationError, *, document: Document, model: type[Section]) -> list[Problem]:
    """Every mistake that validating `document` as `model` found. Absent secrets are left to `secrets.py`."""
    details = error.errors(include_url=False)
    problems = (_explain(each, document, Located(model, each["loc"])) for each in details)
    return [problem for problem in problems if problem is not None]


def _explain(details: ErrorDetails, document: Document, located: Located) -> Problem | None:
    located.path = _as_written(located.path, document)
    kind, context = details["type"], details.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(document, located, details["input"])
    if kind == "missing":
        return _missing(document, located)
    if kind == REFUSED:
        problem, advice = context["problem"], context["remedy"]
    elif kind in _EXPECTED:
        problem, advice = plain(expected(_EXPECTED[kind], details["input"]))
    elif kind == "greater_than_equal":
        problem, advice = "the number is too small", f"write at least {context['ge']}"
    elif kind == "less_than_equal":
        problem, advice = "the number is too large", f"write at most {context['le']}"
    else:
        problem, advice = "this value is not accepted", "see the reference of settings"
    path = _as_given(located.path, document)
    return document.problem(path, problem, advice, key=located.at_key)


def _as_written(path: Path, document: Document) -> Path:
    """The path without the steps into a list of one, where what stands in the document is that one alone."""
    data: Data | Mapping[str, Data] = document.data
    written: Path = ()
    for step in path:
        if isinstance(step, int) and not isinstance(data, list):
            continue
        written = (*written, step)
        if isinstance(data, list) and isinstance(step, int):
            data = data[step]
        else:
            data = data.get(str(step)) if isinstance(data, Mapping) else None
    return written


def _as_given(path: Path, document: Document) -> Path:
    """The path of a secret's file, where that is what stands in the document."""
    if path and path not in document.positions:
        twin = (*path[:-1], f"{path[-1]}_file")
        return twin if twin in document.positions else path
    return path


def _missing(document: Document, located: Located) -> Problem | None:
    key = str(located.path[-1])
    field = located.owner.model_fields[keys(located.owner)[key]] if located.owner else None
    if field is not None and is_secret(field):
        return None
    example = field.examples[0] if field is not None and field.examples else "..."
    return document.problem(located.path, "this setting is missing", f"add for example `{key}: {example}`")


def _unknown_key(document: Document, located: Located, value: object) -> Problem:
    """A key may be a secret that lost its place, so one that does not look like a key is not shown."""
    key, parent = str(located.path[-1]), located.path[:-1]
    known = keys(located.owner) if located.owner else {}
    line, column = document.place(located.path, key=True)
    if value is None and ":" in key:
        begin = key.partition(":")[0]
        path = (*parent, begin) if begin in known else parent
        problem = document.problem(path, "no space after the colon", "write `key: value`")
    elif _KEY.fullmatch(key):
        problem = document.problem(located.path, "unknown key", remedy(key, known, noun="known keys"))
    else:
        problem = document.problem(parent, "unknown key", remedy(None, known, noun="known keys"))
    return Problem(document.file, line, column, problem.field, problem.problem, problem.remedy)
