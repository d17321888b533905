"""JSON Lines, plain or gzipped, one object a line, with line numbers in every error."""

from collections.abc import Iterator

import orjson

from sm_dl.data.bad_records import BadRecords
from sm_dl.data.compression import explained, opened_plain
from sm_dl.data.source import NamedBytes
from sm_dl.errors import UserError, shown

MAX_LINE_BYTES = 1 << 29
"""Longest line read: a gzip bomb without a line break stops here, not at the end of memory."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_objects(
    file: NamedBytes, bad: BadRecords | None = None
) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield (place, object) for each line that is not blank; place is `train/a.json line 3`.

    Whether a file is gzipped is told from its first bytes, not from its name.

    Args:
        file: The stream.
        bad: May leave out a line that is no JSON object; without it such a line is refused.
    Raises:
        UserError: A line is no JSON object or too long, or the compressed data are damaged.
        PlatformError: The file cannot be read.
    """
    bad = bad or BadRecords()
    number = 0
    with explained(file, lambda: f"line {number}"), opened_plain(file) as stream:
        while line := stream.readline(MAX_LINE_BYTES + 1):
            number += 1
            place = f"{file.name} line {number}"
            if len(line) > MAX_LINE_BYTES:
                raise UserError(f"{place}: expected at most {MAX_LINE_BYTES} bytes; got more.")
            text = line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line
            if not text.strip():
                continue
            try:
                record = object_from_line(text, place)
            except UserError as error:
                bad.leave_out(error)
            else:
                yield place, record


def object_from_line(line: bytes, place: str) -> dict[str, object]:
    """Return the JSON object in a line or a request body.

    Raises:
        UserError: It is not JSON, not UTF-8, or not an object.
    """
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise UserError(
            f"{place}: expected a JSON object in UTF-8; {error.msg} (character {error.pos})."
        ) from None
    if not isinstance(value, dict):
        raise UserError(f"{place}: expected a JSON object; got {shown(value)}.")
    return value
