"""What RecordIO files hold: framing, kind of record, how many, and then the contents."""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import BinaryIO

from sm_dl.data.frames import HEADER_BYTES, MAGIC_BYTES, WORD_BYTES
from sm_dl.data.image_header import is_image
from sm_dl.data.image_record import image_record_from_bytes
from sm_dl.data.protobuf.wire import WireError, parse
from sm_dl.data.recordio import Frames, read_frames
from sm_dl.errors import UserError
from sm_dl.inspection.histogram import counted
from sm_dl.inspection.images import look_at_image_records, look_at_manifest_stream
from sm_dl.inspection.tensors import look_at_protobuf_records, look_at_unknown_records

MAX_BYTES = 1 << 26
"""Read of a file; how many records lie behind that is estimated."""

KINDS: dict[str, Callable[[Iterator[Frames]], list[str]]] = {
    "images of an augmented manifest's Pipe stream, without image headers": look_at_manifest_stream,
    "MXNet image records (application/x-recordio)": look_at_image_records,
    "protobuf records of the service (application/x-recordio-protobuf)": look_at_protobuf_records,
    "records of no kind known here": look_at_unknown_records,
}
MANIFEST, IMAGES, PROTOBUF, UNKNOWN = KINDS


def look_at_records(stream: BinaryIO, name: str, num_bytes: int | None) -> list[str]:
    """Return what a RecordIO file holds, going by its first 64 MiB.

    Args:
        stream: The file.
        name: What to call it in an error.
        num_bytes: Of the whole file; None if `stream` is only its begin.
    Raises:
        UserError: It is damaged there.
    """
    count = _Count()
    frames = count.passing(read_frames(stream, name), is_whole=num_bytes is not None)
    first = next(frames, None)
    if first is None:
        return ["RecordIO: no whole record in what was read"]
    kind = _kind(first.payloads()[0])
    contents = KINDS[kind](chain([first], frames))
    for _ in frames:  # what the kind did not look at still counts
        pass
    return [f"RecordIO: {kind}", *count.lines(num_bytes), *contents]


def _kind(payload: bytes) -> str:
    """Return what a payload is; the first record speaks for the file."""
    if is_image(payload):
        return MANIFEST
    try:
        record = image_record_from_bytes(payload, "")
        if is_image(record.image):
            return IMAGES
    except UserError:
        pass
    try:
        record_found = parse(payload, 0, len(payload))
        if record_found.entries or record_found.texts:
            return PROTOBUF
    except WireError:
        pass
    return UNKNOWN


class _Count:
    """Counts frames as they pass."""

    def __init__(self) -> None:
        self._num_records = 0
        self._payload_bytes = 0
        self._framed_bytes = 0
        self._end = 0
        self._shortest: int | None = None
        self._longest = 0
        self._holds_magic = False

    def passing(self, frames: Iterator[Frames], *, is_whole: bool) -> Iterator[Frames]:
        """Yield the frames of the first 64 MiB; where the stream is cut there, so is the last."""
        try:
            for piece in frames:
                self._add(piece)
                yield piece
                if self._end > MAX_BYTES:
                    return
        except UserError:
            if is_whole:
                raise

    def _add(self, piece: Frames) -> None:
        padded = piece.lengths + -piece.lengths % WORD_BYTES
        self._num_records += len(piece)
        self._payload_bytes += int(piece.lengths.sum())
        self._framed_bytes += int(padded.sum()) + HEADER_BYTES * len(piece)
        self._end = int(piece.offsets_bytes[-1] + padded[-1]) + HEADER_BYTES
        shortest = int(piece.lengths.min())
        self._shortest = shortest if self._shortest is None else min(self._shortest, shortest)
        self._longest = max(self._longest, int(piece.lengths.max()))
        self._holds_magic |= any(MAGIC_BYTES in payload for payload in piece.payloads())

    def lines(self, num_bytes: int | None) -> list[str]:
        """Return how many records there are, their sizes and their framing."""
        number = counted(self._num_records, "record")
        if num_bytes is None:
            number = f"{number} in the begin of the file that was read"
        elif num_bytes > self._end + HEADER_BYTES and self._end > MAX_BYTES:
            estimate = round(self._num_records * num_bytes / self._end)
            number = f"about {estimate} records, going by {self._num_records} that were read"
        mean = self._payload_bytes / self._num_records
        sizes = f"{self._shortest} to {self._longest} bytes, {mean:.1f} on average"
        if self._shortest == self._longest:
            sizes = counted(self._longest, "byte")
        return [
            f"{number} of {sizes}",
            f"framing: {self._framing()}",
        ]

    def _framing(self) -> str:
        if self._end > self._framed_bytes:
            return "some records in several parts, cut at magic numbers as MXNet does"
        if self._holds_magic:
            return "one part each, with magic numbers inside, as the service's SDK writes"
        return "one part each"
