"""List files: `index<TAB>label(s)<TAB>path`, one line an image."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from sm_dl.data.bad_records import BadRecords
from sm_dl.errors import PlatformError, UserError, shown

MAX_LINE_BYTES = 1 << 20
"""Longest line: room for 20,000 boxes."""
MIN_FIELDS = 3


@dataclass(frozen=True)
class ListLine:
    """One line of a list."""

    index: int
    labels: NDArray[np.float32]
    path: str
    """Relative to the folder of the images, as written."""
    place: str


def read_list(stream: BinaryIO, name: str, bad: BadRecords | None = None) -> Iterator[ListLine]:
    """Yield the lines of a list; empty ones are left out.

    Args:
        stream: Binary and forward-only.
        name: What to call the stream in an error.
        bad: May leave out a line that is no list line; without it such a one is refused.
    Raises:
        UserError: A line is no list line.
        PlatformError: The stream cannot be read.
    """
    bad = bad or BadRecords()
    number = 0
    offset = 0
    try:
        while line := stream.readline(MAX_LINE_BYTES + 1):
            number += 1
            place = f"{name} line {number} at byte {offset}"
            offset += len(line)
            if len(line) > MAX_LINE_BYTES:
                raise UserError(f"{place}: expected at most {MAX_LINE_BYTES} bytes; got more.")
            if not line.strip():
                continue
            try:
                found = line_from_bytes(line, place)
            except UserError as error:
                bad.leave_out(error)
            else:
                yield found
    except OSError as error:
        raise PlatformError(f"{name}: cannot be read ({error.strerror}).") from None


def line_from_bytes(line: bytes, place: str) -> ListLine:
    """Return one line of a list.

    Raises:
        UserError: Fields are missing or no numbers, or the path is empty or no UTF-8.
    """
    try:
        fields = line.decode().rstrip("\r\n").split("\t")
    except UnicodeDecodeError:
        raise UserError(f"{place}: expected UTF-8; got {shown(line)}.") from None
    if len(fields) < MIN_FIELDS:
        raise UserError(
            f"{place}: expected index, label and path with tabs between them; got {shown(fields)}."
        )
    index, *labels, path = (field.strip() for field in fields)
    if not index.isascii() or not index.isdigit():
        raise UserError(f"{place}: expected a whole number as index; got {shown(index)}.")
    if not path or "\0" in path:
        raise UserError(f"{place}: expected the path of an image; got {shown(path)}.")
    numbers = np.array([_label(label, place) for label in labels], dtype=np.float32)
    return ListLine(int(index), numbers, path, place)


def _label(text: str, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) < float(np.finfo(np.float32).max):
        raise UserError(f"{place}: expected numbers as labels; got {shown(text)}.")
    return value


def list_line(index: int, labels: NDArray[np.float32], path: str) -> str:
    """Return one line of a list, as MXNet's im2rec writes it.

    Raises:
        UserError: The path holds a tab or a line break, which a list cannot.
    """
    if any(mark in path for mark in "\t\r\n"):
        raise UserError(f"{shown(path)}: a list cannot hold a path with a tab or a line break.")
    texts = [f"{label:.6f}" for label in labels.tolist()]
    return "\t".join([str(index), *texts, path]) + "\n"


def image_path(root: Path, line: ListLine) -> Path:
    """Return where the image of a line lies.

    Raises:
        UserError: The path leads out of the folder of the images, or there is no file.
    """
    path = root / line.path
    if not path.resolve().is_relative_to(root.resolve()):
        raise UserError(
            f"{line.place}: expected a path below {root}; got {shown(line.path)}, which leads out."
        )
    if not path.is_file():
        raise UserError(f"{line.place}: expected an image at {path}; got no such file.")
    return path
