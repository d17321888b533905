"""Batches are the documents asked for, whether one by one or together, on a processor or elsewhere."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sm_dl.algorithms.ntm import bags as ntm_bags
from sm_dl.algorithms.ntm import shelf as ntm_shelf
from sm_dl.algorithms.ntm.bags import by_word
from sm_dl.algorithms.ntm.documents import none_of
from sm_dl.algorithms.ntm.shelf import Shelf, bags_of
from tests.algorithms.ntm.bags_of_words import (
    ENTRIES,
    NUM_WORDS,
    dense,
    dense_of,
    documents_of,
    steady,
)

CPU = torch.device("cpu")
MANY = ENTRIES.filter(bool)


def drawn_parts(data, rows):
    """Return the rows of some batches; they may be empty, and name a document twice."""
    numbers = st.lists(st.integers(0, len(rows) - 1), max_size=4)
    return [torch.tensor(part).long() for part in data.draw(st.lists(numbers, max_size=5))]


def same(one, other):
    return all(map(torch.equal, one[:5], other[:5]))


@steady
@given(rows=MANY, data=st.data())
def test_any_rows_can_be_cut_in_any_order(rows, data):
    for part in drawn_parts(data, rows):
        bags = Shelf(documents_of(rows)).cut(part)
        expected = dense(rows)[part.numpy()]
        assert np.array_equal(dense_of(bags), expected)
        lengths = expected.sum(axis=1)
        assert np.array_equal(bags.lengths_B.numpy(), lengths)
        shares = np.divide(1, lengths, where=lengths > 0, out=np.zeros_like(lengths))
        assert np.allclose(bags.shares_B.numpy(), shares)


def test_no_document_at_all_is_a_batch_of_none():
    assert bags_of(none_of(NUM_WORDS)).num_documents == 0
    assert Shelf(none_of(NUM_WORDS)).cut(torch.zeros(0).long()).starts_B.tolist() == [0]


def test_a_batch_moves_whole_to_a_device():
    bags = bags_of(documents_of([[(1, 2)]])).to(CPU)
    assert bags.lengths_B.tolist() == pytest.approx([2.0])


@steady
@given(rows=MANY, at_once=st.sampled_from([1, 30, 1 << 17]), data=st.data())
def test_batches_cut_together_are_those_cut_alone_and_bring_their_entries_by_word(
    rows, at_once, data
):
    shelf, parts = Shelf(documents_of(rows)), drawn_parts(data, rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ntm_shelf, "NUMBERS_AT_ONCE", at_once)
        together = list(shelf.cuts(parts, is_sorted=True))
    assert len(together) == len(parts)
    for bags, part in zip(together, parts, strict=True):
        alone = shelf.cut(part)
        assert same(bags, alone)
        assert all(map(torch.equal, bags.entries, by_word(alone, NUM_WORDS)))
        assert all(map(torch.equal, bags.to(CPU).entries, bags.entries))


@steady
@given(rows=MANY)
def test_entries_by_word_are_the_transposed_counts_in_the_order_of_documents(rows):
    bags = bags_of(documents_of(rows))
    entries = by_word(bags, NUM_WORDS)
    transposed = torch.zeros(NUM_WORDS, len(rows))
    for word, (first, last) in enumerate(
        zip(entries.starts_V[:-1], entries.starts_V[1:], strict=True)
    ):
        assert (entries.rows_W[first:last].diff() > 0).all()
        transposed[word, entries.rows_W[first:last].long()] = entries.counts_W[first:last]
    assert np.array_equal(transposed.T.numpy(), dense(rows))


@steady
@given(rows=MANY, data=st.data())
def test_torch_cuts_and_sorts_on_a_device_what_scipy_does_on_a_processor(rows, data):
    documents = documents_of(rows)
    shelf = Shelf(documents)
    everything = bags_of(documents)
    on_device = (
        everything.words_W,
        everything.counts_W,
        everything.starts_B.long(),
        everything.lengths_B,
        everything.shares_B,
    )
    for part in drawn_parts(data, rows):
        expected, found = shelf.cut(part), ntm_shelf.taken(*on_device, rows=part)
        for one, other in zip(found[:5], expected[:5], strict=True):
            assert torch.equal(one.double(), other.double())
        assert {found.words_W.dtype, found.starts_B.dtype} == {torch.int64}
        sorted_there = ntm_bags.sorted_by_word(found, NUM_WORDS)
        for one, other in zip(sorted_there, by_word(expected, NUM_WORDS), strict=True):
            assert torch.equal(one.double(), other.double())


def test_tiny_batches_over_a_large_vocabulary_are_not_cut_by_the_thousand():
    documents = documents_of([[(1, 2)]] * 3000)
    large = Shelf(type(documents)(documents.words, documents.counts, documents.starts, 100_000))
    cuts = []
    whole = large._together
    large._together = lambda parts, **more: cuts.append(len(parts)) or whole(parts, **more)
    batches = list(large.cuts(torch.arange(3000).split(100), is_sorted=True))
    assert len(batches) == 30
    assert max(cuts) <= 2
