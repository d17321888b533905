"""Streams of labelled images: `.rec` files as they come, or an augmented manifest's samples.

Both are RecordIO of the same content type; which of them it is, the first bytes say.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import BinaryIO, cast

from sm_dl.data.augmented_manifest import is_annotation, is_manifest_stream, read_samples
from sm_dl.data.frames import MAGIC_BYTES
from sm_dl.data.image_header import is_image, other_format
from sm_dl.data.image_record import HEADER
from sm_dl.data.recordio import read_frames
from sm_dl.data.source import NamedBytes
from sm_dl.errors import UserError, shown

BEGIN_BYTES = 64
NUM_ATTRIBUTES = 2
"""Of a manifest: the image and its label."""
REMEDY = (
    'List the image attribute first and the label attribute second, e.g. ["source-ref", "class"].'
)


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
        UserError: The stream is not RecordIO, ends within an image and its label, or its first records
            are not what AttributeNames should list.
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
        yield from (_samples if is_manifest_stream(begin) else _records)(whole, file.name)


def _samples(stream: BinaryIO, name: str) -> Iterator[StreamedImage]:
    """Yield the images and labels of a manifest."""
    for place, (image, annotation) in read_samples(stream, name, NUM_ATTRIBUTES):
        if _looks_like_image(annotation):
            came = "two images" if _looks_like_image(image) else f"{shown(image)} and an image"
            raise UserError(
                f"{place}: expected an image and its label; got {came}: the label attribute is missing "
                f"from AttributeNames, or more than {NUM_ATTRIBUTES} are listed. {REMEDY}"
            )
        yield StreamedImage(place, image, annotation)


def _records(stream: BinaryIO, name: str) -> Iterator[StreamedImage]:
    """Yield the image records of a `.rec`."""
    images: Iterator[StreamedImage] = (
        StreamedImage(frames.place(index), payload, None)
        for frames in read_frames(stream, name)
        for index, payload in enumerate(frames.payloads())
    )
    first = next(images, None)
    if first is None:
        return
    if len(first.payload) < HEADER.size or is_annotation(first.payload):  # no image record
        second = next(images, None)
        is_label_first = second is not None and _looks_like_image(second.payload)
        if is_label_first or is_annotation(first.payload):
            wrong = "the label comes first" if is_label_first else "the image attribute is missing"
            raise UserError(
                f"{first.place}: expected an image; got the text {shown(first.payload)}: {wrong} in "
                f"AttributeNames. {REMEDY}"
            )
        if second is not None:
            images = chain([second], images)
    yield first
    yield from images


def _looks_like_image(content: bytes) -> bool:
    return is_image(content) or other_format(content) is not None


class _Rejoined:
    """A stream whose first bytes have been read, from the first byte on."""

    def __init__(self, begin: bytes, rest: BinaryIO) -> None:
        self._begin, self._rest = begin, rest

    def read(self, num_bytes: int) -> bytes:
        begin, self._begin = self._begin[:num_bytes], self._begin[num_bytes:]
        return begin + self._rest.read(num_bytes - len(begin))
