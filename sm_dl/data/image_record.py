"""MXNet's image records: a header with the label, the labels where there are several, the file."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from sm_dl.data.bad_records import BadRecords
from sm_dl.data.recordio import read_frames
from sm_dl.errors import UserError

HEADER = struct.Struct("<IfQQ")
"""Number of labels behind the header, the label when there is only one, id, second id."""
LABEL_BYTES = 4
MAX_ID = (1 << 64) - 1


@dataclass(frozen=True)
class ImageRecord:
    """An image file and its label."""

    image: bytes
    """JPEG or PNG, not decoded."""
    labels: NDArray[np.float32]
    """One class, several marks, or a detection vector."""
    identity: int
    place: str
    """What to call the record in an error."""
    second_identity: int = 0
    is_vector: bool = False
    """Whether a single label is written as a vector of one."""


def read_image_records(
    stream: BinaryIO, name: str, bad: BadRecords | None = None
) -> Iterator[ImageRecord]:
    """Yield the records of a `.rec` stream.

    Args:
        stream: Binary and forward-only.
        name: What to call the stream in an error.
        bad: May leave out a record that is no image record; without it such a one is refused.
    Raises:
        UserError: The bytes are not RecordIO, or a record is no image record.
        PlatformError: The stream cannot be read.
    """
    bad = bad or BadRecords()
    for frames in read_frames(stream, name):
        for index, payload in enumerate(frames.payloads()):
            try:
                record = image_record_from_bytes(payload, frames.place(index))
            except UserError as error:
                bad.leave_out(error)
            else:
                yield record


def image_record_from_bytes(payload: bytes, place: str) -> ImageRecord:
    """Return the image record that a payload holds.

    Raises:
        UserError: It is too short for its header and labels.
    """
    if len(payload) < HEADER.size:
        raise UserError(
            f"{place}: expected an image record, which has a header of {HEADER.size} bytes; "
            f"got {len(payload)} bytes."
        )
    num_labels, label, identity, second_identity = HEADER.unpack_from(payload)
    begin = HEADER.size + num_labels * LABEL_BYTES
    if begin > len(payload):
        raise UserError(
            f"{place}: the header of the image record promises {num_labels} labels; the record "
            f"has room for {(len(payload) - HEADER.size) // LABEL_BYTES}. "
            "If the file holds protobuf records, set the channel's content type to "
            "application/x-recordio-protobuf."
        )
    labels: NDArray[Any] = (
        np.frombuffer(payload, dtype="<f4", count=num_labels, offset=HEADER.size).copy()
        if num_labels
        else np.array([label], dtype=np.float32)
    )
    return ImageRecord(
        payload[begin:], labels, identity, place, second_identity, is_vector=num_labels > 0
    )


def image_record_bytes(
    image: bytes,
    labels: NDArray[Any],
    identity: int,
    *,
    second_identity: int = 0,
    is_vector: bool | None = None,
) -> bytes:
    """Return the payload of an image record.

    Args:
        image: A JPEG or PNG file.
        labels: At least one.
        identity: Number of the list's line.
        second_identity: Normally 0.
        is_vector: Whether labels stand behind the header; by default where there are several.
    """
    if not 0 <= identity <= MAX_ID:
        raise UserError(f"expected an id of 0 to 2^64 - 1 for an image record; got {identity}.")
    if is_vector or (is_vector is None and len(labels) > 1):
        head = HEADER.pack(len(labels), 0.0, identity, second_identity)
        return head + labels.astype("<f4").tobytes() + image
    return HEADER.pack(0, float(labels[0]), identity, second_identity) + image
