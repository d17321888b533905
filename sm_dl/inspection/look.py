"""Any file to some lines that tell a person what it is."""

import gzip
import io
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, BinaryIO, cast

from sm_dl.data.frames import MAGIC_BYTES
from sm_dl.data.image_header import JPEG_SIGNATURE, PNG_SIGNATURE
from sm_dl.errors import UserError
from sm_dl.inspection.parameters import PARAMETERS_MAGIC, look_at_parameters
from sm_dl.inspection.picture import look_at_picture
from sm_dl.inspection.records import look_at_records
from sm_dl.inspection.text import look_at_text

GZIP_MAGIC = b"\x1f\x8b"
BEGIN_BYTES = 4096
MAX_TEXT_BYTES = 1 << 20
"""Of a text file; what follows is taken to be like it."""
MAX_IMAGE_BYTES = 1 << 27

Look = Callable[[BinaryIO, str, int | None], list[str]]
FORMATS: dict[bytes, str] = {
    b"PAR1": "Parquet table: read by DeepAR's channels, and by any Parquet tool",
    b"\x93NUMPY": "NumPy array (.npy)",
    b"PK\x03\x04": "zip archive: a .npz of NumPy arrays, or any other",
    b"%PDF": "PDF document",
    b"\x80\x02": "Python pickle: never opened here, because opening one runs code",
    b"\x80\x04": "Python pickle: never opened here, because opening one runs code",
}
"""What is only named, by its first bytes."""


def look(path: Path) -> list[str]:
    """Return lines that tell what a file is and what it holds.

    Raises:
        UserError: It cannot be opened, or is damaged; the sentence says where.
    """
    try:
        if path.is_dir():
            raise UserError(f"{path}: expected a file; got a folder. Name one of its files.")
        if not path.is_file():
            raise UserError(f"{path}: expected a file; got no such file.")
        num_bytes = path.stat().st_size
        with path.open("rb") as stream:
            return [
                f"{path.name}: {num_bytes} bytes",
                *_look_at(stream, path.name, num_bytes),
            ]
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error}).") from None


def _look_at(stream: BinaryIO, name: str, num_bytes: int) -> list[str]:
    begin = stream.read(BEGIN_BYTES)
    stream.seek(0)
    if not begin:
        return ["empty"]
    if begin.startswith(GZIP_MAGIC):
        return ["gzip, which holds:", *_look_inside(stream, name)]
    return _by_begin(begin)(stream, name, num_bytes)


def _by_begin(begin: bytes) -> Look:
    """Return who looks at a file that begins so."""
    if begin.startswith(MAGIC_BYTES):
        return look_at_records
    if begin.startswith((JPEG_SIGNATURE, PNG_SIGNATURE)):
        return lambda stream, name, _: look_at_picture(stream.read(MAX_IMAGE_BYTES), name)
    if begin.startswith(PARAMETERS_MAGIC):
        return look_at_parameters
    for magic, title in FORMATS.items():
        if begin.startswith(magic):
            return lambda *_, title=title: [title]
    return _look_at_text


def _look_at_text(stream: BinaryIO, name: str, num_bytes: int | None) -> list[str]:
    text = stream.read(MAX_TEXT_BYTES)
    return look_at_text(text, name, is_whole=num_bytes == len(text))


def _look_inside(stream: BinaryIO, name: str) -> list[str]:
    """Return what the compressed data hold, going by their first MiB."""
    try:
        with gzip.open(stream) as inside:
            head = cast("IO[bytes]", inside).read(MAX_TEXT_BYTES)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{name}: the gzip data are damaged or cut short ({error}).") from None
    if not head:
        return ["nothing"]
    if head.startswith(GZIP_MAGIC):
        return ["gzip again: not looked into any further"]
    is_whole = len(head) < MAX_TEXT_BYTES
    look_at = _by_begin(head)
    return look_at(io.BytesIO(head), name, len(head) if is_whole else None)
