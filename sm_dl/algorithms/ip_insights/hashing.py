"""A stable 64-bit hash of many strings at once: which row of the table an entity has.

XXH64 (Collet, xxHash specification 0.1.1, https://github.com/Cyan4973/xxHash) with seed 0: the same
text has the same row on every machine, in every process and version. Python's own `hash` is salted
per process. All strings of a column take each round of the algorithm together.
"""

import numpy as np
import numpy.typing as npt

HASH_NAME, HASH_SEED = "xxh64", 0

Words = npt.NDArray[np.uint64]
Bytes = npt.NDArray[np.uint8]
Positions = npt.NDArray[np.int64]

PRIME_1, PRIME_2, PRIME_3, PRIME_4, PRIME_5 = (
    np.uint64(prime)
    for prime in (
        0x9E3779B185EBCA87,
        0xC2B2AE3D27D4EB4F,
        0x165667B19E3779F9,
        0x85EBCA77C2B2AE63,
        0x27D4EB2F165667C5,
    )
)
STRIPE, LANE, HALF_LANE = 32, 8, 4
"""Bytes that one round takes: four lanes of a long text, then one, then half of one, then a byte."""


def hash_strings(text: Bytes, offsets: npt.NDArray[np.integer]) -> Words:
    """Return the XXH64 of each string of a column, in Arrow's layout.

    Args:
        text: The UTF-8 bytes of all strings, end to end.
        offsets: Where each string begins, and the end of the last: one more than strings.
    """
    padded = np.concatenate([text, np.zeros(LANE, np.uint8)])  # so that the last lane can be read
    lanes = np.ndarray(len(text) + 1, "<u8", padded, strides=(1,))  # one at every byte, unaligned
    position = offsets[:-1].astype(np.int64)
    length = np.diff(offsets).astype(np.int64)
    state = np.full(len(length), PRIME_5)
    is_long = np.flatnonzero(length >= STRIPE)
    if len(is_long):
        state[is_long] = _long(lanes, position[is_long], length[is_long])
    state += length.astype(np.uint64)
    position += length // STRIPE * STRIPE
    left = length % STRIPE
    while len(rows := np.flatnonzero(left >= LANE)):
        mixed = state[rows] ^ _round(np.uint64(0), lanes[position[rows]])
        state[rows] = _rotated(mixed, 27) * PRIME_1 + PRIME_4
        position[rows] += LANE
        left[rows] -= LANE
    if len(rows := np.flatnonzero(left >= HALF_LANE)):
        half = lanes[position[rows]] & np.uint64(0xFFFFFFFF)
        state[rows] = _rotated(state[rows] ^ half * PRIME_1, 23) * PRIME_2 + PRIME_3
        position[rows] += HALF_LANE
        left[rows] -= HALF_LANE
    while len(rows := np.flatnonzero(left)):
        byte = padded[position[rows]].astype(np.uint64)
        state[rows] = _rotated(state[rows] ^ byte * PRIME_5, 11) * PRIME_1
        position[rows] += 1
        left[rows] -= 1
    return _avalanche(state)


def _long(lanes: Words, position: Positions, length: Positions) -> Words:
    """Return the state of strings of 32 bytes or more after all their whole stripes."""
    with np.errstate(over="ignore"):
        starts = (PRIME_1 + PRIME_2, PRIME_2, np.uint64(0), np.uint64(0) - PRIME_1)
    accumulators = [np.full(len(position), start) for start in starts]
    num_stripes = length // STRIPE
    for stripe in range(int(num_stripes.max())):
        rows = np.flatnonzero(num_stripes > stripe)
        at = position[rows] + stripe * STRIPE
        for number, accumulator in enumerate(accumulators):
            accumulator[rows] = _round(accumulator[rows], lanes[at + number * LANE])
    state: Words = sum(
        (_rotated(one, by) for one, by in zip(accumulators[1:], (7, 12, 18), strict=True)),
        _rotated(accumulators[0], 1),
    )
    for accumulator in accumulators:
        state = (state ^ _round(np.uint64(0), accumulator)) * PRIME_1 + PRIME_4
    return state


def _round(accumulator: Words | np.uint64, lane: Words) -> Words:
    return _rotated(accumulator + lane * PRIME_2, 31) * PRIME_1


def _rotated(words: Words, by: int) -> Words:
    return words << np.uint64(by) | words >> np.uint64(64 - by)


def _avalanche(words: Words) -> Words:
    words = (words ^ words >> np.uint64(33)) * PRIME_2
    words = (words ^ words >> np.uint64(29)) * PRIME_3
    return words ^ words >> np.uint64(32)
