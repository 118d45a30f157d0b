"""CSV and XLSX files, written row by row: nothing of what was written stays in memory.

Names and messages are strangers' writing (conventions/csv_text.py); in XLSX they are written as cells of type text, which
are never formulas.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import xlsxwriter

from backoffice.exports.columns import Cell
from conventions.csv_text import harmless
from payments.money import Money, shown_decimals

SHEET_ROWS = 1_048_576  # all that a sheet of Excel can hold, its header included
EXACT_DIGITS = 15  # beyond, Excel would round: such a number is written as text


class Sheet(Protocol):
    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...

    def write(self, rows: Iterable[Sequence[Cell]]) -> None: ...


def _plain(cell: Cell) -> str | int | None:
    return harmless(cell) if isinstance(cell, str) else str(cell) if isinstance(cell, Money) else cell


class CsvSheet:
    """RFC 4180 in UTF-8: commas, CRLF, quotes where they are needed."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerow(columns)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def write(self, rows: Iterable[Sequence[Cell]]) -> None:
        self._writer.writerows(map(_plain, row) for row in rows)


class XlsxSheet:
    """A workbook whose rows go to a temporary file at once; a new sheet begins where one is full."""

    def __init__(self, path: Path, columns: Sequence[str], *, sheet_rows: int = SHEET_ROWS) -> None:
        self._columns = columns
        self._sheet_rows = sheet_rows
        self._book = xlsxwriter.Workbook(path, {"constant_memory": True, "tmpdir": str(path.parent)})
        self._book.use_zip64()  # needed beyond 4 GB, and used only there
        self._heading = self._book.add_format({"bold": True, "bottom": 1})
        patterns = {0: "#,##0", 2: "#,##0.00", 3: "#,##0.000"}
        self._amounts = {decimals: self._book.add_format({"num_format": pattern}) for decimals, pattern in patterns.items()}
        self._begin_sheet()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._book.close()

    def write(self, rows: Iterable[Sequence[Cell]]) -> None:
        for row in rows:
            if self._next == self._sheet_rows:
                self._begin_sheet()
            for column, cell in enumerate(row):
                self._put(column, cell)
            self._next += 1

    def _begin_sheet(self) -> None:
        self._sheet: Any = self._book.add_worksheet()
        self._sheet.freeze_panes(1, 1)
        for column, name in enumerate(self._columns):
            self._sheet.set_column(column, column, max(12, len(name) + 2))
            self._sheet.write_string(0, column, name, self._heading)
        self._next = 1

    def _put(self, column: int, cell: Cell) -> None:
        if isinstance(cell, str):
            if cell:
                self._sheet.write_string(self._next, column, cell)
        elif isinstance(cell, Money):
            if abs(cell.amount_minor) < 10**EXACT_DIGITS:
                # A Decimal: written by its digits, at most fifteen of them, so that the amount arrives as it is.
                pattern = self._amounts[shown_decimals(cell.currency)]
                self._sheet.write_number(self._next, column, cell.decimal, pattern)
            else:
                self._sheet.write_string(self._next, column, str(cell))
        elif cell is not None:
            if abs(cell) < 10**EXACT_DIGITS:
                self._sheet.write_number(self._next, column, cell)
            else:
                self._sheet.write_string(self._next, column, str(cell))


SHEETS: dict[str, type[CsvSheet] | type[XlsxSheet]] = {"csv": CsvSheet, "xlsx": XlsxSheet}
