"""Ragged arrays against plain lists."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_dl.algorithms.object2vec.ragged import Ragged, joined

rows_of_tokens = st.lists(
    st.lists(st.integers(0, 9), min_size=1, max_size=5), min_size=1, max_size=8
)
steady = settings(derandomize=True, deadline=None)


def lists(rows: Ragged) -> list[list[int]]:
    return [rows[number].tolist() for number in range(len(rows))]


@steady
@given(rows=rows_of_tokens)
def test_rows_come_back_as_they_went_in(rows):
    assert lists(Ragged.of(rows)) == rows


@steady
@given(rows=rows_of_tokens, seed=st.integers(0, 99))
def test_taken_rows_are_those_asked_for_in_that_order(rows, seed):
    asked = np.random.default_rng(seed).integers(0, len(rows), 6)
    assert lists(Ragged.of(rows).take(asked)) == [rows[number] for number in asked]


@steady
@given(rows=rows_of_tokens, length=st.integers(1, 6))
def test_cutting_keeps_the_first_tokens_and_counts_the_longer_rows(rows, length):
    short, num_cut = Ragged.of(rows).cut(length)
    assert lists(short) == [row[:length] for row in rows]
    assert num_cut == sum(len(row) > length for row in rows)


@steady
@given(rows=rows_of_tokens)
def test_distinct_rows_are_counted_the_most_frequent_first(rows):
    numbers, counts = Ragged.of(rows).distinct()
    found = {tuple(rows[number]): count for number, count in zip(numbers, counts, strict=True)}
    assert found == {tuple(row): rows.count(row) for row in rows}
    assert sorted(counts, reverse=True) == counts.tolist()


@steady
@given(parts=st.lists(rows_of_tokens, max_size=3))
def test_joined_rows_stand_behind_each_other(parts):
    assert lists(joined([Ragged.of(part) for part in parts])) == [
        row for part in parts for row in part
    ]


@pytest.mark.parametrize("rows", [[[True]], [[1.0]], [["1"]], ["12"], [{1: 2}], [None], [[[1]]]])
def test_what_is_no_list_of_integers_is_no_row(rows):
    with pytest.raises(TypeError):
        Ragged.of(rows)


def test_a_token_of_more_than_32_bits_is_refused():
    with pytest.raises(OverflowError):
        Ragged.of([[1 << 31]])
