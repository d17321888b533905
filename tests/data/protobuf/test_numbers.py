"""Packed numbers: many at once as one by one."""

import numpy as np
import pytest
from google.protobuf.internal.encoder import _VarintBytes
from hypothesis import given
from hypothesis import strategies as st

from sm_dl.data.protobuf.numbers import decode_varints, encode_varints, gather

NUMBERS = st.integers(0, 63).flatmap(lambda bits: st.integers(0, 2 ** (bits + 1) - 1))


@given(pieces=st.lists(st.lists(NUMBERS, max_size=6), min_size=1, max_size=6))
def test_numbers_come_back_with_their_counts(pieces: list[list[int]]) -> None:
    encoded = [encode_varints(np.array(piece, dtype=np.uint64))[0] for piece in pieces]
    lengths = np.array([len(one) for one in encoded])
    numbers, counts, wrong = decode_varints(np.concatenate(encoded), lengths)
    assert (numbers.tolist(), counts.tolist(), wrong) == (
        [number for piece in pieces for number in piece],
        [len(piece) for piece in pieces],
        None,
    )


@given(numbers=st.lists(NUMBERS, max_size=8))
def test_numbers_are_written_as_the_library_writes_them(numbers: list[int]) -> None:
    data, widths = encode_varints(np.array(numbers, dtype=np.uint64))
    assert data.tobytes() == b"".join(map(_VarintBytes, numbers))
    assert widths.tolist() == [len(_VarintBytes(number)) for number in numbers]


@pytest.mark.parametrize("tail", [b"\x80", b"\xff" * 10 + b"\x01", b"\xff" * 30 + b"\x01"])
def test_the_piece_with_a_number_that_does_not_end_is_named(tail: bytes) -> None:
    data = np.frombuffer(b"\x01\x81\x01" + tail, dtype=np.uint8)
    assert decode_varints(data, np.array([1, 0, 2, len(tail)]))[2] == 3


@given(
    pieces=st.lists(st.binary(max_size=9), max_size=6),
    replaced=st.dictionaries(st.integers(0, 5), st.binary(max_size=9)),
)
def test_pieces_are_gathered(pieces: list[bytes], replaced: dict[int, bytes]) -> None:
    known = {index: piece for index, piece in replaced.items() if index < len(pieces)}
    wanted = [known.get(index, piece) for index, piece in enumerate(pieces)]
    buffer = b"--".join(pieces)
    before = np.cumsum([0, *(len(piece) + 2 for piece in pieces)])[:-1]
    lengths = np.array([len(piece) for piece in wanted], dtype=np.int64)
    assert gather(buffer, before, lengths, known).tobytes() == b"".join(wanted)
