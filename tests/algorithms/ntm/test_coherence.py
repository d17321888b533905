"""Measures of topics, by hand and by slower ways to count."""

import itertools
import math

import numpy as np
import pytest

from sm_dl.algorithms.ntm.coherence import Meetings, meetings_of, npmi, topic_uniqueness, wetc
from sm_dl.algorithms.ntm.documents import documents_from

NUM_WORDS = 12


def documents(seed=0, count=60):
    random = np.random.default_rng(seed)
    sizes = random.integers(1, 9, count)
    words = np.concatenate([random.permutation(NUM_WORDS)[:size] for size in sizes])
    return documents_from(words, np.ones(len(words)), sizes, NUM_WORDS)


def test_topics_that_are_all_alike_are_as_unique_as_their_number_says():
    assert topic_uniqueness(np.array([[1, 2], [2, 1], [1, 2]])).tolist() == pytest.approx(
        [1 / 3] * 3
    )


def test_topics_that_share_no_word_are_unique():
    assert topic_uniqueness(np.array([[0, 1], [2, 3]])).tolist() == [1.0, 1.0]


def test_a_shared_word_counts_by_how_many_share_it():
    assert topic_uniqueness(np.array([[0, 1], [0, 2]])).tolist() == [0.75, 0.75]


def test_npmi_is_the_mean_over_pairs_of_its_definition():
    kept = documents()
    held = [
        set(kept.words[first:last])
        for first, last in zip(kept.starts[:-1], kept.starts[1:], strict=True)
    ]
    top = np.array([[0, 3, 5, 7], [11, 2, 4, 1]])

    def pair(one, other):
        p = sum({one, other} <= words for words in held) / len(held)
        p_one, p_other = (sum(word in words for words in held) / len(held) for word in (one, other))
        return math.log(p / (p_one * p_other)) / -math.log(p) if p else -1.0

    expected = [np.mean([pair(*both) for both in itertools.combinations(row, 2)]) for row in top]
    assert npmi(meetings_of(top, kept)).tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[0, 1], [2]], 1.0),  # never apart
        ([[0], [1]], -1.0),  # never together
        ([[0, 1], [0], [1], [2]], 0.0),  # as chance would have it
        ([[0, 1]], 1.0),  # in all documents
        ([[2]], -1.0),  # nowhere
    ],
)
def test_npmi_has_its_edges(rows, expected):
    sizes = np.array([len(row) for row in rows])
    kept = documents_from(np.concatenate(rows), np.ones(sizes.sum()), sizes, NUM_WORDS)
    assert npmi(meetings_of(np.array([[0, 1]]), kept)).tolist() == pytest.approx([expected])


def test_words_that_never_meet_count_what_the_measure_says():
    kept = documents_from(np.array([0, 2, 1]), np.ones(3), np.array([2, 1]), NUM_WORDS)
    for of_strangers in (-1.0, 0.0):
        found = npmi(meetings_of(np.array([[0, 1], [0, 2]]), kept), of_strangers=of_strangers)
        assert found.tolist() == pytest.approx([of_strangers, 1.0])


def test_wetc_is_the_mean_cosine_of_all_pairs():
    vectors = np.random.default_rng(0).normal(size=(2, 5, 8))
    unit = vectors / np.linalg.norm(vectors, axis=2, keepdims=True)
    expected = [
        np.mean([one @ other for one, other in itertools.combinations(topic, 2)]) for topic in unit
    ]
    assert wetc(vectors).tolist() == pytest.approx(expected)


def test_vectors_of_zeros_are_like_nothing():
    assert wetc(np.zeros((1, 3, 4))).tolist() == [0.0]


def test_what_hosts_have_counted_adds_up():
    kept = documents()
    top = np.array([[0, 3, 5, 7], [11, 2, 4, 1]])
    whole = meetings_of(top, kept)
    parts = [
        meetings_of(top, kept.take(np.arange(*ends))) for ends in ((0, 17), (17, 60), (60, 60))
    ]
    summed = Meetings(
        sum(part.together_KNN for part in parts), sum(part.num_documents for part in parts)
    )
    assert npmi(summed).tolist() == npmi(whole).tolist()
    assert all(math.isnan(one) for one in npmi(parts[2]))
