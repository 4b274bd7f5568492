"""The tables that `lookup:` names, read from their files; raw data is read, so that one mistake hides no other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path as FilePath
from typing import Final

from alertbridge.config.csv_table import CsvTable, Rows
from alertbridge.config.document import Data, Document, Path
from alertbridge.config.findings import Findings
from alertbridge.config.lookup_settings import EMPTY
from alertbridge.config.parse import MOST_BYTES, parse
from alertbridge.config.reading import UnreadableError
from alertbridge.config.refuse import expected, plain
from alertbridge.config.suggest import remedy
from alertbridge.config.values import Folders
from alertbridge.errors import Problem
from alertbridge.rules.lookup import Table

_BEGIN: Final = "write a line for each value, such as `checkout: {team: payments}`"
_SUFFIXES: Final = (".csv", ".yaml", ".yml")


class TableReader:
    """Reads every table of a main file, and tells its mistakes to `findings`.

    `tables` are those that can be used. `columns` are by table, None where they are not known because of a mistake.
    `files` leads from a table's name to its file. `shown` gives a file's name in messages.
    """

    def __init__(
        self,
        *,
        folders: Folders,
        shown: Callable[[FilePath], str],
        environ: Mapping[str, str],
        findings: Findings,
    ) -> None:
        self.tables: list[Table] = []
        self.columns: dict[str, Collection[str] | None] = {}
        self.files: dict[str, FilePath] = {}
        self._folders = folders
        self._shown = shown
        self._environ = environ
        self._findings = findings

    def read(self, main: Document) -> None:
        """Read all of them."""
        entries = main.data.get("lookup")
        for name, entry in entries.items() if isinstance(entries, dict) else ():
            self.columns[name] = None
            if isinstance(entry, dict):
                self._read(main, name, entry)

    def _read(self, main: Document, name: str, entry: Mapping[str, Data]) -> None:
        path: Path = ("lookup", name)
        file, by, column = entry.get("file"), entry.get("by"), entry.get("column")
        if not (isinstance(file, str) and file.strip() and isinstance(by, str) and by.strip()):
            return  # the section's own check says so
        place = self._folders.base / file
        suffix = place.suffix.lower()
        if suffix not in _SUFFIXES:
            problem = main.problem((*path, "file"), "a table is CSV or YAML", "name it .csv, .yaml or .yml")
            self._findings.add([problem])
            return
        try:
            content = self._folders.read(place, most=MOST_BYTES + 1)
        except UnreadableError as error:
            problem = main.problem((*path, "file"), f"{place} {error.problem}", error.remedy)
            self._findings.add([problem])
            return
        if suffix == ".csv":
            rows, columns = self._csv(place, content, column if isinstance(column, str) else by)
        else:
            rows, columns = self._yaml(place, content)
            if column is not None:
                problem = main.problem(
                    (*path, "column"), "a table in YAML has no such column", "remove the line", key=True
                )
                self._findings.add([problem])
        if rows is not None:
            self.files[name] = place
            self.columns[name] = columns
            missing = self._missing(main, (*path, "missing"), entry.get("missing"), columns)
            self.tables.append(Table(name, by, rows, missing))

    def _csv(self, place: FilePath, content: bytes, by: str) -> tuple[Rows | None, Collection[str]]:
        file = self._shown(place)
        text, problem = _decoded(content, file)
        if problem is not None:
            self._findings.read(file, [problem])
            return None, ()
        table = CsvTable(text, file=file, by=by)
        self._findings.read(file, table.problems)
        return (None if table.problems else table.rows), table.columns

    def _yaml(self, place: FilePath, content: bytes) -> tuple[Rows | None, Collection[str]]:
        file = self._shown(place)
        document, problems = parse(content, file=file, environ=self._environ, begin=_BEGIN)
        self._findings.read(file, problems)
        if document is None:
            return None, ()
        found = _YamlRows(document)
        self._findings.add(found.problems)
        return (None if problems or found.problems else found.rows), found.columns

    def _missing(
        self, main: Document, path: Path, data: Data, columns: Collection[str]
    ) -> Mapping[str, str] | None:
        if not isinstance(data, dict):
            return {} if data == EMPTY else None
        values = {}
        for name, cell in data.items():
            if name not in columns:
                advice = remedy(name, columns, noun="known columns")
                self._findings.add(
                    [main.problem((*path, name), "the table has no such column", advice, key=True)]
                )
            text, problem = _text(main, (*path, name), cell)
            self._findings.add([problem] if problem else [])
            values[name] = text
        return values


class _YamlRows:
    """The rows of a table in YAML, all with the columns of the first, and what is wrong with them."""

    def __init__(self, document: Document) -> None:
        self.problems: list[Problem] = []
        self.rows: Rows = {}
        self.columns: tuple[str, ...] = ()
        self._document = document
        first = next((row for row in document.data.values() if isinstance(row, dict)), {})
        self.columns = tuple(first)
        for value, row in document.data.items():
            self._take(value, row)

    def _take(self, value: str, row: Data) -> None:
        if not isinstance(row, dict):
            what, advice = plain(expected("a mapping", row))
            self.problems.append(self._document.problem((value,), what, advice))
            return
        for name in [name for name in row if name not in self.columns]:
            advice = f"{remedy(name, self.columns, noun='known columns')} every row has those of the first"
            self.problems.append(self._document.problem((value, name), "unknown column", advice, key=True))
        for name in [name for name in self.columns if name not in row]:
            advice = f'add `{name}: ""` if it is to be empty'
            self.problems.append(
                self._document.problem((value,), f'the row lacks the column "{name}"', advice, key=True)
            )
        cells = {}
        for name, cell in row.items():
            cells[name], problem = _text(self._document, (value, name), cell)
            self.problems += [problem] if problem else []
        self.rows[value] = cells


def _decoded(content: bytes, file: str) -> tuple[str, Problem | None]:
    if len(content) > MOST_BYTES:
        return "", Problem(file, 0, 0, "", "the file is larger than 8 MiB", "leave out what is not used")
    try:
        return content.decode("utf-8-sig"), None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return "", Problem(file, line, 1, "", "the file is not UTF-8", "save it in the encoding UTF-8")


def _text(document: Document, path: Path, data: Data) -> tuple[str, Problem | None]:
    """A cell's text, a number as it is written."""
    if isinstance(data, bool | int | float):
        data = document.spelling(path) or str(data)
    if isinstance(data, str):
        return data.strip(), None
    what, advice = plain(expected("text", data))
    return "", document.problem(path, what, 'write "" for an empty one' if data is None else advice)
