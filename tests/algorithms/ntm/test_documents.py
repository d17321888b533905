"""Bags of words in compressed form: nothing lost, nothing dense."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_dl.algorithms.ntm import documents as ntm_documents
from sm_dl.algorithms.ntm.bags import by_word
from sm_dl.algorithms.ntm.documents import Shelf, bags_of, documents_from, joined

steady = settings(derandomize=True, deadline=None, max_examples=60)
NUM_WORDS = 7
ENTRIES = st.lists(
    st.lists(st.tuples(st.integers(0, NUM_WORDS - 1), st.integers(0, 4)), max_size=6), max_size=6
)


def documents_of(rows):
    pairs = [pair for row in rows for pair in row]
    return documents_from(
        np.array([word for word, _ in pairs], dtype=np.int64),
        np.array([count for _, count in pairs], dtype=np.float64),
        np.array([len(row) for row in rows], dtype=np.int64),
        NUM_WORDS,
    )


def dense(rows):
    matrix = np.zeros((len(rows), NUM_WORDS))
    for number, row in enumerate(rows):
        for word, count in row:
            matrix[number, word] += count
    return matrix


def dense_of(bags):
    matrix = torch.zeros(bags.num_documents, NUM_WORDS)
    matrix[bags.rows_W, bags.words_W] = bags.counts_W
    return matrix.numpy()


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
def test_any_rows_can_be_cut_in_any_order(rows, data):
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=8))
    documents = documents_of(rows)
    bags = Shelf(documents).cut(torch.tensor(chosen, dtype=torch.int64))
    taken = documents.take(np.array(chosen, dtype=np.int64))
    assert np.array_equal(dense_of(bags), dense(rows)[chosen])
    assert np.array_equal(dense_of(bags_of(taken)), dense(rows)[chosen])
    assert np.array_equal(bags.lengths_B.numpy(), dense(rows)[chosen].sum(axis=1))


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


def test_a_batch_moves_whole_to_a_device():
    bags = bags_of(documents_of([[(1, 2)]])).to(torch.device("cpu"))
    assert bags.lengths_B.tolist() == pytest.approx([2.0])


@steady
@given(rows=ENTRIES.filter(bool), at_once=st.sampled_from([1, 8, 1 << 17]), data=st.data())
def test_batches_cut_together_are_those_cut_alone_and_bring_their_entries_by_word(
    rows, at_once, data
):
    numbers = st.lists(st.integers(0, len(rows) - 1), max_size=4)
    parts = [torch.tensor(part).long() for part in data.draw(st.lists(numbers, max_size=5))]
    shelf = Shelf(documents_of(rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ntm_documents, "ENTRIES_AT_ONCE", at_once)
        together = list(shelf.cuts(parts, is_sorted=True))
    assert len(together) == len(parts)
    for bags, part in zip(together, parts, strict=True):
        alone = shelf.cut(part)
        assert all(map(torch.equal, bags[:-1], alone[:-1]))
        assert all(map(torch.equal, bags.entries, by_word(alone, NUM_WORDS)))
        moved = bags.to(torch.device("cpu"))
        assert all(map(torch.equal, moved.entries, bags.entries))
