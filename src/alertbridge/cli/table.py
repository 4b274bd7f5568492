"""Lists for people: aligned columns under a head, as wide as they need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click

from alertbridge.cli.printable import printable

_GAP = "  "
_LONGEST = 60


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """`rows` under `head`, in columns; long texts are cut in all but the last one. What steers a terminal is escaped."""
    body = [[*(cut(cell) for cell in row[:-1]), _one_line(row[-1])] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(head, *body, strict=True)]
    lines = [click.style(_line(head, widths), bold=True), *(_line(row, widths) for row in body)]
    return "\n".join(lines)


def cut(text: str, longest: int = _LONGEST) -> str:
    """The text on one line, with its end left out where it is too long."""
    line = _one_line(text)
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def second(instant: str | None) -> str:
    """An instant of the admin API without its fraction; a dash where there is none."""
    return f"{instant[:19]}Z" if instant else "-"


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return _GAP.join(padded).rstrip()
