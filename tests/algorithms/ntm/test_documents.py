"""Bags of words in compressed form: nothing lost, nothing dense."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sm_dl.algorithms.ntm.documents import documents_from, joined
from sm_dl.algorithms.ntm.shelf import bags_of
from tests.algorithms.ntm.bags_of_words import ENTRIES, dense, dense_of, documents_of, steady


@steady
@given(rows=ENTRIES)
def test_counts_come_back_whatever_order_and_repetitions_they_came_in(rows):
    documents = documents_of(rows)
    assert np.array_equal(dense_of(bags_of(documents)), dense(rows))
    assert np.array_equal(documents.lengths(), dense(rows).sum(axis=1))


@steady
@given(rows=ENTRIES)
def test_entries_are_positive_rising_and_stand_once(rows):
    documents = documents_of(rows)
    assert (documents.counts > 0).all()
    for first, last in zip(documents.starts[:-1], documents.starts[1:], strict=True):
        assert (np.diff(documents.words[first:last]) > 0).all()


@steady
@given(rows=ENTRIES.filter(bool), data=st.data())
def test_any_rows_can_be_taken_in_any_order(rows, data):
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=8))
    taken = documents_of(rows).take(np.array(chosen, dtype=np.int64))
    assert np.array_equal(dense_of(bags_of(taken)), dense(rows)[chosen])


@steady
@given(rows=st.lists(ENTRIES, min_size=1, max_size=4))
def test_parts_joined_are_the_documents_of_all(rows):
    whole = joined([documents_of(part) for part in rows])
    expected = np.concatenate([dense(part) for part in rows])
    assert np.array_equal(dense_of(bags_of(whole)), expected)


def test_memory_goes_by_entries_whatever_the_vocabulary():
    documents = documents_from(
        np.array([3, 999_999]), np.array([1.0, 2.0]), np.array([2, 0]), 1_000_000
    )
    arrays = (documents.words, documents.counts, documents.starts)
    assert sum(array.nbytes for array in arrays) == 2 * (4 + 4) + 3 * 8
