"""How tests went: for people, for programs, and as JUnit's XML for CI."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from xml.etree import ElementTree as ET

import click

from alertbridge.cli.printable import printable
from alertbridge.cli.trial.compare import Difference
from alertbridge.cli.trial.run import Coverage, Result
from alertbridge.model import JSON

_NOT_IN_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_text(results: Sequence[Result], coverage: Coverage) -> str:
    """One line per test, with what differs below it, and a summary."""
    lines = [line for result in results for line in _lines(result)]
    failed = sum(1 for result in results if result.differences)
    summary = f"{len(results) - failed} passed, {failed} failed"
    lines.append(click.style(summary, fg="red" if failed else "green", bold=True))
    lines.append(coverage_line(coverage))
    return "\n".join(lines)


def _lines(result: Result) -> Iterator[str]:
    trial = result.trial
    name, place = printable(trial.settings.name), f"{trial.file}:{trial.line}"
    if not result.differences:
        yield f"{click.style('ok', fg='green')}      {name}"
        return
    yield f"{click.style('FAILED', fg='red', bold=True)}  {name} ({click.style(place, bold=True)})"
    for one in result.differences:
        if one.place:
            yield f"          {printable(one.place)}:"
        yield from _side("- expected: ", one.expected, colour="green")
        yield from _side("+ actual:   ", one.actual, colour="red")
        if one.note:
            yield f"              {printable(one.note)}"


def _side(sign: str, text: str, *, colour: str) -> Iterator[str]:
    for line in text.split("\n"):
        yield click.style(f"            {sign}{printable(line)}", fg=colour)
        sign = f"{sign[0]}   "


def coverage_line(coverage: Coverage) -> str:
    """How many rules the tests reach, and which they do not."""
    total = len(coverage.reached) + len(coverage.unreached)
    said = f"{len(coverage.reached)} of {total} rules reached"
    if not coverage.unreached:
        return said
    names = ", ".join(printable(name) for name in coverage.unreached)
    return f"{said}; {click.style(f'no test reaches: {names}', fg='yellow')}"


def as_json(results: Sequence[Result], coverage: Coverage, *, good: bool) -> JSON:
    """The same for programs; `ok` says whether the exit status is 0."""
    failed = sum(1 for result in results if result.differences)
    return {
        "ok": good,
        "passed": len(results) - failed,
        "failed": failed,
        "tests": [
            {
                "name": result.trial.settings.name,
                "file": result.trial.file,
                "line": result.trial.line,
                "ok": not result.differences,
                "differences": [_difference(one) for one in result.differences],
            }
            for result in results
        ],
        "rules": {"reached": list(coverage.reached), "unreached": list(coverage.unreached)},
    }


def _difference(one: Difference) -> JSON:
    return {"place": one.place, "expected": one.expected, "actual": one.actual, "note": one.note}


def as_junit(results: Sequence[Result]) -> str:
    """A suite for each file of tests, a case for each test."""
    failed = sum(1 for result in results if result.differences)
    root = ET.Element(
        "testsuites", name="alertbridge", tests=str(len(results)), failures=str(failed), errors="0"
    )
    for file, group in groupby(results, key=lambda result: result.trial.file):
        cases = list(group)
        failed = sum(1 for result in cases if result.differences)
        counts = {"tests": str(len(cases)), "failures": str(failed), "errors": "0", "skipped": "0"}
        suite = ET.SubElement(root, "testsuite", {"name": _clean(file), **counts})
        for result in cases:
            _case(suite, result)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ET.Element, result: Result) -> None:
    trial = result.trial
    about = {
        "name": trial.settings.name,
        "classname": trial.file,
        "file": trial.file,
        "line": str(trial.line),
    }
    case = ET.SubElement(suite, "testcase", {name: _clean(value) for name, value in about.items()})
    if result.differences:
        places = ", ".join(one.place for one in result.differences if one.place)
        failure = ET.SubElement(case, "failure", message=_clean(places or result.differences[0].actual))
        failure.text = _clean(click.unstyle("\n".join(_lines(result))))


def _clean(text: str) -> str:
    """`text` without what XML cannot hold."""
    return _NOT_IN_XML.sub("\ufffd", text)
