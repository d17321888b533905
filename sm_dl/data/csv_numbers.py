"""CSV of numbers, as wide as it may be: the cells of some lines become one array.

A table with a column for each cell of a line, as `csv_table` makes it, costs pyarrow 25 us and 7 kB
a column: seconds and gigabytes for a vocabulary of a million words, before the first number is
read. Here each cell is a line of one column, and lengths of lines are compared beside it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from sm_dl.data.bad_records import BadRecords
from sm_dl.data.columns import IntArray, arrow
from sm_dl.data.csv_table import UNFIT, Lines, lines_of
from sm_dl.data.source import NamedBytes
from sm_dl.data.width import Width
from sm_dl.errors import UserError, shown

COMMA, BREAK = b",\n"
CELLS = "cells"


@dataclass(frozen=True)
class NumberRows:
    """Consecutive lines of a file."""

    values: npt.NDArray[np.float64]
    """Shape (lines, columns)."""
    unit: str
    """File and what is counted in it: `train/a.csv line`."""
    numbers: IntArray
    """Number of each line."""

    def place(self, row: int) -> str:
        """Return where a row stands, for error messages: `train/a.csv line 7`."""
        return f"{self.unit} {self.numbers[row]}"


def read_numbers(
    file: NamedBytes, width: Width, bad: BadRecords | None = None
) -> Iterator[NumberRows]:
    """Yield the lines of a CSV file of numbers, some megabytes at a time.

    As `read_csv` of numbers reads them: float64, infinite ones too, no empty cell. Time and memory
    go with the bytes of the file; `width` alone costs nothing.

    Args:
        file: The stream.
        width: How many columns every line must have.
        bad: May leave out a line that is no good; without it such a line is refused.
    Raises:
        UserError: A line has another number of columns, or a cell that is no number, or the file is
            no UTF-8 text; file and line are named.
        PlatformError: The file cannot be read.
    """
    bad = bad or BadRecords()
    for lines in lines_of(file):
        yield from lines.parse(partial(_numbers, width=width), bad)


def _numbers(lines: Lines, width: Width) -> list[NumberRows]:
    """Return all rows; the first line that is no good is refused."""
    lines.check_bytes()
    text, rows = _filled(lines)
    cells = np.frombuffer(text, np.uint8)
    is_break = cells == BREAK
    cells[cells == COMMA] = BREAK
    ends = np.flatnonzero(cells == BREAK)
    num_cells = np.diff(np.flatnonzero(is_break[ends]), prepend=-1)
    ragged = np.flatnonzero(num_cells != width.size)
    if len(ragged):
        row = int(ragged[0])
        problem = f"expected {width.size} columns{width.reason}; got {num_cells[row]}"
        raise lines.refusal(int(rows[row]), problem, width.advice)
    values = _parsed(lines, text, rows, width.size)
    return [NumberRows(values.reshape(-1, width.size), f"{lines.name} line", rows + lines.first)]


def _filled(lines: Lines) -> tuple[bytearray, IntArray]:
    """Return a copy of the lines that are not blank, each with its end, and which ones they are."""
    text = bytearray(lines.block)
    if text[-1] != BREAK:
        text.append(BREAK)
    if not (text.startswith((b"\n", b"\r\n")) or b"\n\n" in text or b"\n\r\n" in text):
        return text, np.arange(text.count(b"\n"))
    rows = lines.filled()
    parts = text.split(b"\n")
    return bytearray(b"\n").join([*(parts[row] for row in rows.tolist()), b""]), rows


def _parsed(
    lines: Lines, text: bytearray, rows: IntArray, num_columns: int
) -> npt.NDArray[np.float64]:
    """Return the numbers of a text that has one in each line.

    A quote that is open takes in the cells behind it, which is no number: line breaks do not count
    as blanks.
    """
    root = arrow("", lines.name)
    types = {CELLS: root.float64()}
    try:
        table = lines.table(text, types, use_threads=True, ignores_empty=False)
    except root.ArrowInvalid:  # again, in a way that tells the cell
        try:
            table = lines.table(text, types, use_threads=False, ignores_empty=False)
        except root.ArrowInvalid as error:
            raise _refusal(lines, str(error), rows, num_columns) from None
    values: npt.NDArray[np.float64] = table.column(CELLS).to_numpy()
    return values


def _refusal(lines: Lines, error: str, rows: IntArray, num_columns: int) -> UserError:
    """Return pyarrow's refusal of a cell as a sentence of ours."""
    match = UNFIT.search(error)
    if match is None:
        return lines.refusal(0, f"expected CSV; {error.splitlines()[0].rstrip('.')}")
    row, column = divmod(int(match[1]) - 1, num_columns)
    got = match[3][1:-1].partition("\n")[0]
    return lines.refusal(
        int(rows[row]), f"expected a number in column {column + 1}; got {shown(got)}"
    )
