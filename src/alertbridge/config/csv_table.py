"""A CSV file as the rows of a lookup table: a header line, and one row for each value; no message quotes the file."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import Final, NamedTuple, TypeAlias

from alertbridge.config.suggest import nearest
from alertbridge.errors import Problem

MOST_CELLS: Final = 200_000
_MOST_PROBLEMS: Final = 100
_CELL: Final = re.compile(r'\s*(?:"(?:[^"]|"")*")?[^,]*')
_OTHER_SEPARATORS: Final = re.compile(r"[;\t|]")

Rows: TypeAlias = dict[str, dict[str, str]]


class _Record(NamedTuple):
    """One record of the file: where it begins, the text that it was read from, and its cells without blanks around them."""

    line: int
    text: str
    cells: list[str]


class CsvTable:
    """Reads one file and collects its `problems`; `rows` are by the value in the column `by`, each with all `columns`.

    `file` is its name in messages.
    """

    def __init__(self, text: str, *, file: str, by: str) -> None:
        self.problems: list[Problem] = []
        self.columns: tuple[str, ...] = ()
        self.rows: Rows = {}
        self._text = text
        self._file = file
        self._by = by
        self._lines: dict[str, int] = {}  # a value to the line on which it stands first
        self._reached = 1  # the line on which the record begins that is being read
        try:
            self._read()
        except csv.Error as error:
            self._explain(error)

    def _read(self) -> None:
        records = self._records()
        header = next(records, None)
        if header is None:
            self._refuse(1, 1, "the file is empty", f"begin with a header line such as {self._by},team")
            return
        if not self._take_header(header):
            return
        cells = 0
        for record in records:
            cells += len(record.cells)
            if cells > MOST_CELLS:
                problem = f"the table holds more than {MOST_CELLS} cells"
                self._refuse(record.line, 1, problem, "leave out columns and rows that no template uses")
                return
            if len(self.problems) >= _MOST_PROBLEMS:
                self._refuse(
                    record.line, 1, "the file was read up to here: too many mistakes", "correct those before"
                )
                return
            self._take(record)

    def _records(self) -> Iterator[_Record]:
        """Every record that is not an empty line; raises csv.Error."""
        lines = io.StringIO(self._text, newline="").readlines()
        reader = csv.reader(lines, strict=True, skipinitialspace=True)
        begin = 0
        for cells in reader:
            if cells:
                text = "".join(lines[begin : reader.line_num])
                yield _Record(begin + 1, text, [cell.strip() for cell in cells])
            begin = reader.line_num
            self._reached = begin + 1

    def _take_header(self, header: _Record) -> bool:
        """Whether there is a column of values to go by."""
        columns = header.cells
        other = _OTHER_SEPARATORS.search(header.text)
        if len(columns) == 1 and other:
            self._refuse(header.line, other.start() + 1, "the cells are not parted by commas", "write commas")
            return False
        for index, name in enumerate(columns):
            if not name:
                self._refuse_cell(header, index, "the column has no name", "write one into the header line")
            elif name in columns[:index]:
                self._refuse_cell(header, index, "there is a column of this name already", "rename it")
        self.columns = tuple(columns)
        if self._by not in columns:
            near = nearest(self._by, columns)
            advice = f'did you mean "{near}"? ' if near else ""
            self._refuse(
                header.line,
                1,
                f'there is no column "{self._by}" to select rows by',
                f"{advice}say which one it is with `column:` beside `file:`",
            )
        return not self.problems

    def _take(self, record: _Record) -> None:
        missing = len(self.columns) - len(record.cells)
        if missing:
            self._refuse_ragged(record, missing)
            return
        row = dict(zip(self.columns, record.cells, strict=True))
        value, index = row[self._by], self.columns.index(self._by)
        if not value:
            advice = "write it; what an alert without the label gets is said by `missing:`"
            self._refuse_cell(record, index, "the value that selects the row is empty", advice)
        elif value in self.rows:
            problem = f"a row for this value stands already on line {self._lines[value]}"
            self._refuse_cell(record, index, problem, "keep one of the two")
        else:
            self.rows[value], self._lines[value] = row, record.line

    def _refuse_ragged(self, record: _Record, missing: int) -> None:
        expected = len(self.columns)
        number = len(record.cells)
        problem = f"the row has {number} cell{'' if number == 1 else 's'}, and the header {expected}"
        if missing > 0:
            self._refuse(record.line, 1, problem, "write a comma for every cell that is empty")
        else:
            advice = "put a cell that holds a comma in double quotes, or remove what is too much"
            self._refuse_cell(record, expected, problem, advice)

    def _refuse_cell(self, record: _Record, index: int, problem: str, remedy: str) -> None:
        at = 0
        for _ in range(index):
            found = _CELL.match(record.text, at)
            at = found.end() + 1 if found else at
        blanks = len(record.text[at:]) - len(record.text[at:].lstrip(" "))
        begin = record.text.rfind("\n", 0, at) + 1
        line = record.line + record.text.count("\n", 0, at)
        self._refuse(line, at - begin + blanks + 1, problem, remedy)

    def _explain(self, error: csv.Error) -> None:
        said = str(error)
        if "unexpected end" in said:
            problem, remedy = "a quote is never closed", "close it; a quote within quotes is written twice"
        elif "field limit" in said:
            problem, remedy = "a cell is larger than 128 KiB", "shorten it, or close the quote before it"
        else:
            problem = "text follows a closed quote"
            remedy = "put the whole cell in quotes; a quote within quotes is written twice"
        self._refuse(self._reached, 1, problem, remedy)

    def _refuse(self, line: int, column: int, problem: str, remedy: str) -> None:
        self.problems.append(Problem(self._file, line, column, "", problem, remedy))
