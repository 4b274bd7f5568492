"""YAML text as plain data, with the place of everything in it.

The scalars are those of YAML 1.2: only `true` and `false` are booleans, so `no`, `on` and `yes` stay text, and so
do dates and `1:30`. Keys are always text. No message made here holds a value from the file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from alertbridge.errors import Problem

Data: TypeAlias = "dict[str, Data] | list[Data] | str | int | float | bool | None"
Path: TypeAlias = tuple[str | int, ...]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*|[0-9]+")


class Place(NamedTuple):
    """Where something stands in a file, counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Position:
    """Where a value and its key stand.

    `inline` is the place of the value's first character if the value stands in the file letter by letter on one
    line, so that an offset into it can be shown. `spelling` is how a number, boolean or null is written.
    """

    value: Place
    key: Place | None = None
    inline: Place | None = None
    spelling: str | None = None

    @property
    def best(self) -> Place:
        """The value's own place for one-line text, else the key's, else where the value begins."""
        return self.inline or self.key or self.value


@dataclass(frozen=True, slots=True)
class Document:
    """One file's data. `file` is its name as the operator would write it.

    `origins` leads from paths in the data to the paths under which that is written, where the two differ.
    """

    file: str
    data: Mapping[str, Data]
    positions: Mapping[Path, Position]
    origins: Mapping[Path, Path] = field(default_factory=dict)

    def place(self, path: Path, *, key: bool = False, offset: int = 0) -> Place:
        """The place of the value at `path`, or of its deepest ancestor that is in the file.

        With `key` it is the key that is wrong; `offset` counts characters into a text.
        """
        path = self._written(path)
        for length in range(len(path), -1, -1):
            position = self.positions.get(path[:length])
            if position is None:
                continue
            if key:
                return position.key or position.value
            best = position.best
            return Place(best.line, best.column + offset) if position.inline else best
        return Place(1, 1)

    def at(self, path: Path) -> Data:
        """The value at `path`; None if there is none."""
        data: Data = dict(self.data)
        for step in path:
            match data, step:
                case dict(), str():
                    data = data.get(step)
                case list(), int() if step < len(data):
                    data = data[step]
                case _:
                    return None
        return data

    def spelling(self, path: Path) -> str | None:
        """How the number, boolean or null at `path` is written in the file; None for anything else."""
        position = self.positions.get(self._written(path))
        return position.spelling if position else None

    def problem(
        self,
        path: Path,
        problem: str,
        remedy: str = "",
        *,
        key: bool = False,
        offset: int = 0,
        level: str = "error",
    ) -> Problem:
        """A mistake at `path`, with its place in this file."""
        path = self._written(path)
        line, column = self.place(path, key=key, offset=offset)
        return Problem(self.file, line, column, field_name(path), problem, remedy, level)

    def _written(self, path: Path) -> Path:
        """The path under which what is at `path` stands in the file."""
        for length in range(len(path), 0, -1) if self.origins else ():
            origin = self.origins.get(path[:length])
            if origin is not None:
                return (*origin, *path[length:])
        return path


def field_name(path: Path) -> str:
    """`path` as operators write it: `sources.prod.auth`, `rules[2].when[0]`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _NAME.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f"[{json.dumps(step, ensure_ascii=False)}]"
    return text
