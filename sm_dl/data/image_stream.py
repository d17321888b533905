"""Streams of labelled images: `.rec` files as they come, or an augmented manifest's samples.

Both are RecordIO of the same content type; which of them it is, the first bytes say.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from sm_dl.data.augmented_manifest import is_manifest_stream, read_samples
from sm_dl.data.frames import MAGIC_BYTES
from sm_dl.data.recordio import read_frames
from sm_dl.data.source import NamedBytes
from sm_dl.errors import UserError

BEGIN_BYTES = 64
NUM_ATTRIBUTES = 2
"""Of a manifest: the image and its label."""


@dataclass(frozen=True)
class StreamedImage:
    """What came of one image, not yet taken apart."""

    place: str
    payload: bytes
    """A manifest's image file, or a whole image record."""
    annotation: bytes | None
    """A manifest's second attribute; None where the label is in the record."""


def read_image_stream(file: NamedBytes) -> Iterator[StreamedImage]:
    """Yield the images of a stream, in order.

    Raises:
        UserError: The stream is not RecordIO, or ends within an image and its label.
        PlatformError: It cannot be read.
    """
    with file.open() as stream:
        begin = stream.read(BEGIN_BYTES)
        if begin and not begin.startswith(MAGIC_BYTES):
            raise UserError(
                f"{file.name}: (Input Error) Unable to parse record: The Record IO header does not "
                f"start with the magic number: expected bytes {MAGIC_BYTES.hex(' ')}; got "
                f"{begin[:4].hex(' ')}. Set RecordWrapperType to RecordIO, or bring a .rec file."
            )
        whole = cast("BinaryIO", _Rejoined(begin, stream))
        if is_manifest_stream(begin):
            for place, (image, annotation) in read_samples(whole, file.name, NUM_ATTRIBUTES):
                yield StreamedImage(place, image, annotation)
        else:
            for frames in read_frames(whole, file.name):
                for index, payload in enumerate(frames.payloads()):
                    yield StreamedImage(frames.place(index), payload, None)


class _Rejoined:
    """A stream whose first bytes have been read, from the first byte on."""

    def __init__(self, begin: bytes, rest: BinaryIO) -> None:
        self._begin, self._rest = begin, rest

    def read(self, num_bytes: int) -> bytes:
        begin, self._begin = self._begin[:num_bytes], self._begin[num_bytes:]
        return begin + self._rest.read(num_bytes - len(begin))
