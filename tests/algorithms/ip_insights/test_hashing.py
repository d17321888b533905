"""The hash is XXH64, bit for bit, however many strings are hashed together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_dl.algorithms.ip_insights.hashing import hash_strings

steady = settings(derandomize=True, deadline=None)
MASK = 2**64 - 1
P1, P2, P3, P4, P5 = (
    11400714785074694791,
    14029467366897019727,
    1609587929392839161,
    9650029242287828579,
    2870177450012600261,
)
"""The primes as the specification of xxHash prints them, in decimal."""


def hashed(*strings: bytes) -> list[int]:
    offsets = np.cumsum([0, *map(len, strings)]).astype(np.int32)
    return hash_strings(np.frombuffer(b"".join(strings), np.uint8), offsets).tolist()


def rotated(word: int, by: int) -> int:
    return (word << by | word >> (64 - by)) & MASK


def round_of(state: int, lane: int) -> int:
    return rotated((state + lane * P2) & MASK, 31) * P1 & MASK


def one_by_one(text: bytes) -> int:
    """Return XXH64 of one string, in plain integers and as the specification tells it."""
    rest = text
    state = P5
    if len(text) >= 32:
        lanes = [P1 + P2, P2, 0, -P1]
        while len(rest) >= 32:
            for index in range(4):
                piece = int.from_bytes(rest[8 * index : 8 * index + 8], "little")
                lanes[index] = round_of(lanes[index] & MASK, piece)
            rest = rest[32:]
        state = sum(rotated(lane, by) for lane, by in zip(lanes, (1, 7, 12, 18), strict=True))
        for lane in lanes:
            state = ((state & MASK) ^ round_of(0, lane)) * P1 + P4
    state = (state + len(text)) & MASK
    while len(rest) >= 8:
        state = rotated(state ^ round_of(0, int.from_bytes(rest[:8], "little")), 27) * P1 + P4
        state, rest = state & MASK, rest[8:]
    if len(rest) >= 4:
        state = rotated(state ^ int.from_bytes(rest[:4], "little") * P1 & MASK, 23) * P2 + P3
        state, rest = state & MASK, rest[4:]
    for byte in rest:
        state = rotated(state ^ byte * P5 & MASK, 11) * P1 & MASK
    state = (state ^ state >> 33) * P2 & MASK
    state = (state ^ state >> 29) * P3 & MASK
    return state ^ state >> 32


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", 0xEF46DB3751D8E999),
        (b"a", 0xD24EC4F1A98C6E5B),
        (b"abc", 0x44BC2CF5AD770999),
        (b"Nobody inspects the spammish repetition", 0xFBCEA83C8A378BF1),
    ],
)
def test_published_values_come_out(text: bytes, expected: int) -> None:
    assert hashed(text) == [expected]


@steady
@given(st.lists(st.binary(max_size=100), max_size=20))
def test_a_column_is_hashed_as_its_strings_are_one_by_one(strings: list[bytes]) -> None:
    assert hashed(*strings) == [one_by_one(text) for text in strings]


@pytest.mark.parametrize("length", range(70))
def test_every_length_is_hashed_as_specified(length: int) -> None:
    text = bytes(range(length))
    assert hashed(b"before", text, b"after")[1] == one_by_one(text)


def test_the_neighbours_of_a_string_do_not_change_its_hash() -> None:
    assert hashed(b"user_1", b"user_2")[1] == hashed(b"x" * 50, b"user_2", b"")[1]
