"""Packed numbers of many records at once: gathered, decoded, encoded."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sm_dl.data.frames import Integers
from sm_dl.data.protobuf.wire import MAX_VARINT_BYTES

SHORT_BYTES = 1024
WIDER = {2: np.uint32, 4: np.uint64}
"""What holds a number of more bytes than these."""


def gather(
    buffer: bytes, starts: Integers, lengths: Integers, replaced: Mapping[int, bytes]
) -> NDArray[np.uint8]:
    """Return pieces of a buffer, one behind the other.

    Args:
        buffer: Holds the pieces.
        starts: First byte of each piece.
        lengths: Of each piece; where it is replaced, the length of the replacement.
        replaced: Pieces that are not in the buffer, by position.
    """
    if not len(lengths) or not lengths.any():
        return np.zeros(0, dtype=np.uint8)
    length = int(lengths[0])
    if not replaced and (lengths == length).all():
        shape = (len(buffer) - length + 1,)
        pieces = np.ndarray(shape, dtype=f"V{length}", buffer=buffer, strides=(1,))
        return pieces[starts].view(np.uint8)
    # a short piece is cheaper to copy than to look at
    whole = buffer if lengths.sum() < SHORT_BYTES * len(lengths) else memoryview(buffer)
    ends = (starts + lengths).tolist()
    cut: list[memoryview | bytes] = [
        whole[start:end] for start, end in zip(starts.tolist(), ends, strict=True)
    ]
    for position, piece in replaced.items():
        cut[position] = piece
    return np.frombuffer(bytearray().join(cut), dtype=np.uint8)  # which may be written to


def decode_varints(
    data: NDArray[np.uint8], lengths: Integers
) -> tuple[NDArray[np.uint64], Integers, int | None]:
    """Return the numbers in `data`, how many each piece holds, and the first piece that is wrong.

    Args:
        data: Pieces of wire format, one behind the other.
        lengths: In bytes, of each piece.
    """
    is_last = data < 0x80
    boundaries = np.cumsum(lengths)
    filled = np.flatnonzero(lengths)
    cut = filled[~is_last[boundaries[filled] - 1]]
    if len(cut):
        return np.zeros(0, dtype=np.uint64), np.zeros_like(lengths), int(cut[0])
    if is_last.all():
        return data.astype(np.uint64), lengths, None
    counts = np.zeros_like(lengths)
    begins = boundaries[filled] - lengths[filled]
    counts[filled] = np.add.reduceat(is_last, begins, dtype=np.int64)
    # as if each byte were the last one of a number, from its highest bits down; the true ones stay
    numbers = data.astype(np.uint16)
    goes_on = ~is_last  # whether the byte `width` before belongs to the same number
    width = 1
    while True:
        goes_on = goes_on[:-1] if width == 1 else goes_on[1:] & ~is_last[:-width]
        if not (goes_on & is_last[width:]).any():
            return numbers[is_last].astype(np.uint64), counts, None
        if width == MAX_VARINT_BYTES:
            too_long = np.flatnonzero(goes_on & is_last[width:])[0] + width
            wrong = int(np.searchsorted(boundaries, too_long, side="right"))
            return np.zeros(0, dtype=np.uint64), counts, wrong
        if width in WIDER:
            numbers = numbers.astype(WIDER[width])
        longer = (numbers[width:] << numbers.dtype.type(7)) | (data[:-width] & 0x7F)
        numbers[width:] = np.where(goes_on, longer, numbers[width:])
        width += 1


def encode_varints(numbers: NDArray[np.uint64]) -> tuple[NDArray[np.uint8], Integers]:
    """Return the wire format of some numbers, and how many bytes each takes."""
    widths = np.ones(len(numbers), dtype=np.int64)
    for byte in range(1, MAX_VARINT_BYTES):
        widths += numbers >= np.uint64(1) << np.uint64(7 * byte)
    begins = np.cumsum(widths) - widths
    data = np.zeros(int(widths.sum()), dtype=np.uint8)
    for byte in range(int(widths.max(initial=0))):
        longer = np.flatnonzero(widths > byte)
        piece = (numbers[longer] >> np.uint64(7 * byte)).astype(np.uint8) & 0x7F
        is_more = widths[longer] > byte + 1
        data[begins[longer] + byte] = piece | (is_more.astype(np.uint8) << 7)
    return data, widths
