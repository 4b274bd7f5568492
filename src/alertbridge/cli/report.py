"""Problems as they are shown: to people with the line they lie in, to programs as JSON, to GitHub as annotations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import click

from alertbridge.cli.excerpt import excerpt
from alertbridge.errors import Problem
from alertbridge.model import JSON

_COLOURS = {"error": "red", "warning": "yellow"}


def text(problems: Iterable[Problem], *, main: Path) -> str:
    """One paragraph per problem: place, field, problem and remedy, then the line with a caret under the place.

    `main` is the main configuration file; every other file is a rule file.
    """
    sources: dict[str, list[str]] = {}
    paragraphs = []
    for problem in problems:
        if problem.file not in sources:
            sources[problem.file] = _lines(problem.file)
        paragraphs.append("\n".join([_headline(problem), *_source(problem, sources[problem.file], main)]))
    return "\n".join(paragraphs)


def json(problems: Iterable[Problem]) -> list[JSON]:
    """Every problem as a mapping of its fields."""
    return [asdict(problem) for problem in problems]


def github(problems: Iterable[Problem]) -> str:
    """One workflow command per problem, which GitHub shows beside the line in a pull request."""
    return "\n".join(map(_command, problems))


def _headline(problem: Problem) -> str:
    place = f"{problem.file}:{problem.line}:{problem.column}" if problem.line else problem.file
    rest = str(problem).removeprefix(f"{place}: ")
    if problem.level != "error":
        rest = f"{problem.level}: {rest}"
    return f"{click.style(place, bold=True)}: {click.style(rest, fg=_COLOURS.get(problem.level))}"


def _source(problem: Problem, lines: list[str], main: Path) -> list[str]:
    if not 0 < problem.line <= len(lines):
        return []
    shown = excerpt(
        lines[problem.line - 1],
        column=problem.column,
        field=problem.field,
        rule_file=problem.file != str(main),
    )
    if shown is None:
        return []
    line, caret = shown
    return [f"{problem.line:>6} | {line}", f"{'':>6} | {caret}"]


def _lines(file: str) -> list[str]:
    try:
        return Path(file).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError):
        return []


def _command(problem: Problem) -> str:
    place = {"file": problem.file}
    if problem.line:
        place |= {"line": str(problem.line), "col": str(problem.column)}
    properties = ",".join(f"{name}={_escaped(value, ':,')}" for name, value in place.items())
    said = f"{problem.field}: {problem.problem}" if problem.field else problem.problem
    message = f"{said}; {problem.remedy}" if problem.remedy else said
    return f"::{problem.level} {properties}::{_escaped(message)}"


def _escaped(value: str, also: str = "") -> str:
    return "".join(f"%{ord(each):02X}" if each in f"%\r\n{also}" else each for each in value)
