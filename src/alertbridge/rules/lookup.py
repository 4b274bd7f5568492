"""Lookup tables: the value of one label selects a row, and templates take its columns."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeAlias

from jinja2 import nodes
from typing_extensions import override

from alertbridge.errors import RenderingFailed, TemplateError

NAME = "lookup"
_MOST_SHOWN = 60  # characters of a value that no row is for

# The columns of each table; None where they are not known, and then any will do.
Columns: TypeAlias = Mapping[str, Collection[str] | None]

_Access: TypeAlias = nodes.Getattr | nodes.Getitem


@dataclass(frozen=True, slots=True)
class Table:
    """Rows by the value of the label `by`; `missing` stands in for a row that is not there, None being a failure."""

    name: str
    by: str
    rows: Mapping[str, Mapping[str, str]]
    missing: Mapping[str, str] | None

    def row(self, labels: Mapping[str, str]) -> Mapping[str, str]:
        """The row for these labels; raises RenderingFailed where there is none."""
        value = labels.get(self.by, "")
        found = self.rows.get(value, self.missing)
        if found is None:
            said = f'"{value[:_MOST_SHOWN]}"' if value else "an alert without it"
            raise RenderingFailed(f"the table {self.name} has no row for {self.by}: {said}")
        return found


class Lookup(Mapping[str, Mapping[str, str]]):
    """What templates know as `lookup`: of every table the row for one alert, found when it is asked for."""

    def __init__(self, tables: Mapping[str, Table], labels: Mapping[str, str]) -> None:
        self._tables = tables
        self._labels = labels

    @override
    def __getitem__(self, name: str) -> Mapping[str, str]:
        return self._tables[name].row(self._labels)

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    @override
    def __len__(self) -> int:
        return len(self._tables)


def check_lookups(tree: nodes.Template, text: str, columns: Columns) -> None:
    """Refuse with a TemplateError whatever is not `lookup.TABLE.COLUMN`, of a table and column that exist."""
    found: set[int] = set()
    steps: list[_Access] = [*tree.find_all(nodes.Getattr), *tree.find_all(nodes.Getitem)]
    for outer in steps:
        inner = outer.node
        if isinstance(inner, nodes.Getattr | nodes.Getitem) and _is_lookup(inner.node):
            table, column = _step(inner), _step(outer)
            if table is not None and column is not None:
                found.add(id(inner.node))
                _check(text, table, column, columns)
    for name in tree.find_all(nodes.Name):
        if _is_lookup(name) and id(name) not in found:
            remedy = f"write for example {_example(columns)}"
            raise TemplateError("a lookup names its table and its column", remedy, _offset(text, name))


def _check(text: str, table: str, column: str, columns: Columns) -> None:
    known = columns.get(table, ())
    if table not in columns:
        problem, remedy = f'there is no table "{table}"', _near(table, columns, f"{NAME}.{{}}", "tables")
        raise TemplateError(problem, remedy, _place(text, (NAME, table)))
    if known is not None and column not in known:
        problem = f'the table {table} has no column "{column}"'
        remedy = _near(column, known, f"{NAME}.{table}{{}}", "columns")
        raise TemplateError(problem, remedy, _place(text, (NAME, table, column)))


def _near(word: str, known: Collection[str], shown: str, noun: str) -> str:
    near = get_close_matches(word, known, 1)
    if not near:
        return f"known {noun}: {', '.join(known)}" if known else f"known {noun}: none"
    step = near[0] if noun == "tables" else written(near[0])
    return f"did you mean {shown.format(step)}?"


def written(column: str) -> str:
    """How a column stands after the name of its table: `.team`, `['on call']`."""
    return f".{column}" if column.isidentifier() else f"['{column}']"


def _example(columns: Columns) -> str:
    for table, known in columns.items():
        return f"{NAME}.{table}{written(next(iter(known or ()), 'COLUMN'))}"
    return f"{NAME}.TABLE.COLUMN"


def _is_lookup(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Name) and node.name == NAME


def _step(node: _Access) -> str | None:
    """The name that is asked for; None if it is known only when the template runs."""
    if isinstance(node, nodes.Getattr):
        return node.attr
    return node.arg.value if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str) else None


def _place(text: str, words: tuple[str, ...]) -> int:
    """Where the last of the words begins, which stand one after the other."""
    found = re.search(r"\W+".join(map(re.escape, words)), text)
    return found.end() - len(words[-1]) if found else 0


def _offset(text: str, name: nodes.Name) -> int:
    before = sum(map(len, text.splitlines(keepends=True)[: name.lineno - 1]))
    found = re.compile(rf"\b{NAME}\b").search(text, before)
    return found.start() if found else before
