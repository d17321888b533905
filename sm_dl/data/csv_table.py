"""CSV without a header, as Arrow columns, in bounded memory and with line numbers in every error.

pyarrow parses blocks of whole lines. Its own streaming reader counts neither blank lines nor bytes,
so it could not say which line of a file is wrong.
"""

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, BinaryIO, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from sm_dl.content_types import parse
from sm_dl.data.bad_records import BadRecords
from sm_dl.data.columns import Columns, IntArray, arrow
from sm_dl.data.compression import explained, opened_plain
from sm_dl.data.source import NamedBytes
from sm_dl.errors import UserError, shown

BLOCK_BYTES = 1 << 22
THREAD_BLOCK_BYTES = 1 << 20
"""What one thread of pyarrow parses at a time."""
MAX_LINE_BYTES = 1 << 26
MAX_COLUMNS = 1 << 17
UNREADABLE = {
    b"\x00": (
        rb"\x00",
        "expected UTF-8 text; got a NUL byte, as in UTF-16. Save the file as UTF-8",
    ),
    b"\r": (rb"\r(?!\n)", "expected lines that end in LF or CRLF; got a CR alone"),
}
"""What no line may hold, and what it means."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
RAGGED = re.compile(r"Row #(\d+): Expected (\d+) columns, got (\d+)")
UNFIT = re.compile(
    r"(?=.*Row #(\d+))In CSV column #(\d+): .* error to \w+: (?:invalid value )?(.*)", re.DOTALL
)

Kind = Literal["text", "number"]
Rows = TypeVar("Rows")


def label_size_of(content_type: str | None, default: int = 1) -> int:
    """Return how many leading columns are labels: `text/csv; label_size=0`.

    Raises:
        UserError: The parameter is no whole number.
    """
    text = parse(content_type or "").parameters.get("label_size", str(default))
    if not re.fullmatch(r"\d{1,6}", text, re.ASCII):
        raise UserError(
            f"content type {shown(content_type)}: label_size: expected a whole number; got {shown(text)}."
        )
    return int(text)


def read_csv(
    file: NamedBytes, kind: Kind, num_columns: int | None = None, bad: BadRecords | None = None
) -> Iterator[Columns]:
    """Yield the rows of a CSV file, some thousands at a time.

    A cell of text may be empty, a number not; numbers come as float64, infinite ones too. Quotes,
    CRLF, a byte order mark, blank lines and gzip are understood; a line break within quotes is not.

    Args:
        file: The stream.
        kind: What all its cells hold.
        num_columns: How many columns every line must have; None means: as many as the first one.
        bad: May leave out a line that is no good; without it such a line is refused. Not the first
            line of a file where it says how many columns there are, and no line without end. A
            block is searched for bad lines only where it cannot be parsed as a whole.
    Raises:
        UserError: A line has another number of columns, or a cell that is not of the kind, or the
            file is no UTF-8 text; file and line are named.
        PlatformError: The file cannot be read.
    """
    bad = bad or BadRecords()
    for lines in lines_of(file):
        num_columns = num_columns or lines.count_columns()
        if num_columns:
            yield from lines.parse(partial(_columns, kind=kind, num_columns=num_columns), bad)


def lines_of(file: NamedBytes) -> "Iterator[Lines]":
    """Yield the lines of a file, some megabytes at a time; good until the next ones."""
    line = 0
    with explained(file, lambda: f"line {line}"), opened_plain(file) as stream:
        for buffer, start, end in _blocks(stream):
            lines = Lines(file.name, line + 1, buffer, start, end)
            yield lines
            line += lines.num_breaks


def _blocks(stream: BinaryIO) -> Iterator[tuple[bytearray, int, int]]:
    """Yield (buffer, start, end) of whole lines, as many as fit; good until the next ones.

    One buffer is filled over and over: fresh memory for each block costs a sixth of the speed.
    """
    buffer = bytearray(BLOCK_BYTES)
    start = filled = 0
    is_first = True
    while True:
        with memoryview(buffer) as whole, whole[filled:] as free:
            count = stream.readinto(free)  # type: ignore[attr-defined]
        filled += count
        if is_first and buffer.startswith(BYTE_ORDER_MARK):
            start = len(BYTE_ORDER_MARK)
        is_first = False
        end = buffer.rfind(b"\n", start, filled) + 1 if count else filled
        if end > start:
            yield buffer, start, end
            rest = buffer[end:filled]
            buffer[: len(rest)] = rest
            start, filled = 0, len(rest)
        if not count:
            return
        if filled > MAX_LINE_BYTES:
            yield buffer, start, filled
        elif filled == len(buffer):
            buffer = buffer + bytearray(len(buffer))


def _columns(lines: "Lines", kind: Kind, num_columns: int) -> list[Columns]:
    """Return all rows; the first line that is no good is refused."""
    lines.check_bytes()
    root = arrow("", lines.name)
    type_ = root.string() if kind == "text" else root.float64()
    types = {f"f{index}": type_ for index in range(num_columns)}
    try:
        table = lines.table(lines.block, types, use_threads=True)
    except root.ArrowInvalid:  # again, in a way that tells the row
        try:
            table = lines.table(lines.block, types, use_threads=False)
        except root.ArrowInvalid as error:
            raise lines.explained(str(error), num_columns) from None
    if kind == "text" and lines.has_quotes:
        lines.check_line_breaks(table)
    numbers = None
    if table.num_rows != lines.num_breaks + (lines.block[-1] != ord("\n")):
        numbers = lines.filled() + lines.first
    done = 0
    found = []
    for batch in table.to_batches():
        of_batch = None if numbers is None else numbers[done : done + batch.num_rows]
        found.append(Columns(batch, f"{lines.name} line", lines.first + done, of_batch))
        done += batch.num_rows
    return found


class Lines:
    """Whole lines of a file."""

    def __init__(self, name: str, first: int, buffer: bytearray, start: int, end: int) -> None:
        self.name, self.first = name, first
        self._buffer, self._start, self._end = buffer, start, end
        self.block = memoryview(buffer)[start:end]
        self.has_quotes = buffer.find(b'"', start, end) >= 0
        self.num_breaks = int(np.count_nonzero(self.is_break()))
        if len(self.block) > MAX_LINE_BYTES and not self.num_breaks:
            raise self.refusal(0, f"expected at most {MAX_LINE_BYTES} bytes; got more")

    def count_columns(self) -> int:
        """Return the number of columns of the first line that is not blank; 0 without one."""
        for row, line in enumerate(bytes(self.block).split(b"\n")):
            if line.strip(b"\r"):
                for pattern, problem in UNREADABLE.values():
                    if re.search(pattern, line + b"\n"):
                        raise self.refusal(row, problem)
                if line.count(b",") >= MAX_COLUMNS:
                    raise self.refusal(row, f"expected at most {MAX_COLUMNS} columns; got more")
                try:
                    return int(self.table(line + b"\n", None, use_threads=False).num_columns)
                except arrow("", self.name).ArrowInvalid as error:
                    raise self.refusal(row, f"expected CSV; {error}") from None
        return 0

    def parse(self, parsed: "Callable[[Lines], list[Rows]]", bad: BadRecords) -> Iterator[Rows]:
        """Yield all rows, or all that are not left out.

        Args:
            parsed: Returns the rows of some lines; refuses them where one is no good.
            bad: May leave out a line.
        """
        if not re.search(rb"[^\r\n]", self.block):
            return
        try:
            rows = parsed(self)
        except UserError as error:
            halves = self._halves()
            if not halves:
                bad.leave_out(error)
            for half in halves:
                yield from half.parse(parsed, bad)
        else:
            yield from rows

    def _halves(self) -> "list[Lines]":
        """Return the first and the second half of the lines; nothing of a single one."""
        breaks = np.flatnonzero(self.is_break()[:-1])
        if not len(breaks):
            return []
        row = len(breaks) // 2
        middle = self._start + int(breaks[row]) + 1
        return [
            Lines(self.name, self.first, self._buffer, self._start, middle),
            Lines(self.name, self.first + row + 1, self._buffer, middle, self._end),
        ]

    def is_break(self) -> NDArray[np.bool_]:
        """Return which bytes end a line."""
        breaks: NDArray[np.bool_] = np.frombuffer(self.block, np.uint8) == ord("\n")
        return breaks

    def check_bytes(self) -> None:
        """Refuse the first line that holds what no line may."""
        for byte, (pattern, problem) in UNREADABLE.items():
            # looking for a byte is ten times as fast as looking for a pattern
            if self._buffer.find(byte, self._start, self._end) >= 0 and (
                found := re.search(pattern, self.block)
            ):
                raise self.refusal(int(np.count_nonzero(self.is_break()[: found.start()])), problem)

    def table(
        self,
        text: bytes | bytearray | memoryview,
        types: dict[str, Any] | None,
        *,
        use_threads: bool,
        ignores_empty: bool = True,
    ) -> Any:  # noqa: ANN401 - pyarrow ships no types
        """Return some text as a `pyarrow.Table`.

        Args:
            text: Of these lines.
            types: Of the columns, by name; None: as many as the first line has.
            use_threads: Several threads are faster, and do not tell the row of an error.
            ignores_empty: Whether an empty line is no row.
        """
        csv = arrow("csv", self.name)
        return csv.read_csv(
            arrow("", self.name).BufferReader(text),
            csv.ReadOptions(
                column_names=types and list(types),
                autogenerate_column_names=types is None,
                block_size=THREAD_BLOCK_BYTES if use_threads else len(text) + 1,
                use_threads=use_threads,
            ),
            csv.ParseOptions(newlines_in_values=False, ignore_empty_lines=ignores_empty),
            csv.ConvertOptions(column_types=types, null_values=[], strings_can_be_null=False),
        )

    def check_line_breaks(self, table: Any) -> None:  # noqa: ANN401 - pyarrow ships no types
        """Refuse the first line whose quotes do not close on it."""
        compute = arrow("compute", self.name)
        for column in table.columns:
            row = compute.index(compute.match_substring(column, "\n"), value=True).as_py()
            if row >= 0:
                raise self.refusal(
                    self.filled()[row],
                    "expected quotes that close on their line; got a line break within them",
                )

    def explained(self, error: str, num_columns: int) -> UserError:
        """Return pyarrow's refusal as a sentence of ours, with the line for its row."""
        if match := RAGGED.search(error):
            problem = f"expected {num_columns} columns; got {match[3]}"
        elif match := UNFIT.search(error):
            what = "UTF-8 text" if "UTF8" in match[3] else "a number"
            got = "" if "UTF8" in match[3] else f"; got {shown(match[3][1:-1])}"
            problem = f"expected {what} in column {int(match[2]) + 1}{got}"
        else:
            return self.refusal(0, f"expected CSV; {error.splitlines()[0].rstrip('.')}")
        return self.refusal(self.filled()[int(match[1]) - 1], problem)

    def filled(self) -> IntArray:
        """Return which lines of the block are not blank, counted from 0."""
        lines = bytes(self.block).split(b"\n")
        return np.array([row for row, line in enumerate(lines) if line.strip(b"\r")], np.int64)

    def refusal(self, row: int, problem: str, advice: str = "") -> UserError:
        """Return the error of a line, counted from 0 within the block."""
        return UserError(f"{self.name} line {self.first + row}: {problem}.{advice}")
