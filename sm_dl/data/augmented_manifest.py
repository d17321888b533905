"""Augmented manifests: JSON Lines whose attributes become records, and the streams made of them.

In Pipe mode the platform sends, for each line and in the order of `AttributeNames`, one RecordIO
record per attribute: the object's bytes where the name ends in `-ref`, else the value as text.
There is no image header in these records.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

import orjson

from sm_dl.data.frames import MAGIC_BYTES
from sm_dl.data.image_header import is_image, other_format
from sm_dl.data.recordio import place as place_of
from sm_dl.data.recordio import read_frames
from sm_dl.errors import UserError, shown

REFERENCE_SUFFIX = "-ref"
MAX_ATTRIBUTES = 16
MAX_LABELS = 1 << 20


def attribute_bytes(
    line: dict[str, object], names: Sequence[str], place: str, fetch: Callable[[str], bytes]
) -> list[bytes]:
    """Return what the platform would send for one line of a manifest.

    Args:
        line: The JSON object.
        names: `AttributeNames`: which attributes, in this order; case matters.
        place: What to call the line in an error.
        fetch: Returns the bytes of an object by its URI.
    Raises:
        UserError: An attribute is missing, or a reference is no text.
    """
    if not 0 < len(names) <= MAX_ATTRIBUTES:
        raise UserError(f"AttributeNames: expected 1 to {MAX_ATTRIBUTES} names; got {len(names)}.")
    return [_sent(line, name, place, fetch) for name in names]


def _sent(line: dict[str, object], name: str, place: str, fetch: Callable[[str], bytes]) -> bytes:
    if name not in line:
        raise UserError(
            f"{place}: expected the attribute {name!r}, which AttributeNames lists; "
            f"got {shown(sorted(line))}. Names are case-sensitive."
        )
    value = line[name]
    if name.endswith(REFERENCE_SUFFIX):
        if not isinstance(value, str):
            raise UserError(f"{place}: expected a URI as {name!r}; got {shown(value)}.")
        return fetch(value)
    return value.encode() if isinstance(value, str) else orjson.dumps(value)


def read_samples(
    stream: BinaryIO, name: str, num_attributes: int
) -> Iterator[tuple[str, tuple[bytes, ...]]]:
    """Yield (place, attributes) for each sample of a Pipe-mode stream.

    Args:
        stream: Binary and forward-only.
        name: What to call the stream in an error.
        num_attributes: How many records make a sample, e.g. 2: an image and its label.
    Raises:
        UserError: The bytes are not RecordIO, or the last sample is not whole.
        PlatformError: The stream cannot be read.
    """
    sample: list[bytes] = []
    place = name
    for frames in read_frames(stream, name):
        for index, payload in enumerate(frames.payloads()):
            if not sample:
                place = place_of(name, frames.first + index, int(frames.offsets_bytes[index]))
            sample.append(payload)
            if len(sample) == num_attributes:
                yield place, tuple(sample)
                sample = []
    if sample:
        raise UserError(
            f"{place}: expected {num_attributes} records for each sample; the stream ends after "
            f"{len(sample)} of them. Check AttributeNames."
        )


def is_manifest_stream(begin: bytes) -> bool:
    """Return whether a RecordIO stream begins with a bare image, of whatever format, as a manifest's does.

    Args:
        begin: The stream's first bytes, 32 or more. A record with an image header is no image.
    """
    content = begin[8:]
    return begin.startswith(MAGIC_BYTES) and (
        is_image(content) or other_format(content) is not None
    )


def is_annotation(content: bytes) -> bool:
    """Return whether a record is JSON, as the attributes of a manifest are that are no objects."""
    try:
        orjson.loads(content)
    except orjson.JSONDecodeError:
        return False
    return True


def class_from_text(text: bytes, place: str) -> int:
    """Return the class in a label record: `0`, `"0"` or `0.0`.

    Raises:
        UserError: It is no whole number of 0 or more.
    """
    value = _json(text, place)
    if isinstance(value, str):
        value = _json(value.encode(), place)
    return _class(value, place)


def classes_from_text(text: bytes, place: str) -> list[int]:
    """Return the numbers in a label record of several: marks of 0 and 1, or class numbers.

    Which of them it is, the channel's content type says: `label-format=multi-hot` or `class-id`.

    Raises:
        UserError: It is no list of whole numbers of 0 or more.
    """
    value = _json(text, place)
    if isinstance(value, str):
        value = _json(value.encode(), place)
    if not isinstance(value, list) or len(value) > MAX_LABELS:
        raise UserError(
            f"{place}: expected a list of labels such as [1, 0, 1]; got {shown(value)}."
        )
    return [_class(item, place) for item in value]


def _class(value: object, place: str) -> int:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= float(value) < 1 << 31 or not float(value).is_integer():  # type: ignore[arg-type]
        raise UserError(
            f"{place}: expected a class number, 0 or more, as label; got {shown(value)}."
        )
    return int(value)  # type: ignore[call-overload, no-any-return]


def _json(text: bytes, place: str) -> object:
    try:
        value: object = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise UserError(f"{place}: expected a label as JSON; got {shown(text)}.") from None
    return value
