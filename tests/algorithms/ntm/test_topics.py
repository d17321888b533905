"""Measures of topics, by hand and by slower ways to count."""

import itertools
import json
import logging
import math
import re

import numpy as np
import pytest
import torch

from sm_dl.algorithms.ntm.documents import documents_from
from sm_dl.algorithms.ntm.topics import log_topics, npmi, topic_uniqueness, topics_of, wetc
from sm_dl.algorithms.ntm.vocabulary import Vocabulary

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
    assert npmi(top, kept).tolist() == pytest.approx(expected)


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
    assert npmi(np.array([[0, 1]]), kept).tolist() == pytest.approx([expected])


def test_words_that_never_meet_count_what_the_measure_says():
    kept = documents_from(np.array([0, 2, 1]), np.ones(3), np.array([2, 1]), NUM_WORDS)
    for of_strangers in (-1.0, 0.0):
        found = npmi(np.array([[0, 1], [0, 2]]), kept, of_strangers=of_strangers)
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


def test_top_words_fall_in_weight_and_their_scores_are_the_softmax_of_a_column():
    weights = torch.randn(NUM_WORDS, 3, generator=torch.Generator().manual_seed(0))
    found = topics_of(weights, documents(), None)
    for topic, column in zip(found.topics, weights.t(), strict=True):
        order = column.argsort(descending=True)
        assert topic.words == [str(word) for word in order.tolist()]
        assert topic.scores == pytest.approx(torch.softmax(column, 0)[order].tolist(), rel=1e-5)


def test_at_most_twenty_words_are_told():
    kept = documents_from(np.array([0]), np.ones(1), np.array([1]), 50)
    found = topics_of(torch.randn(50, 2), kept, None)
    assert [len(topic.words) for topic in found.topics] == [20, 20]


@pytest.mark.parametrize(
    ("vocabulary", "pattern"),
    [
        (None, r"Topics from epoch:final \(num_topics:2\) \[, tu \d\.\d\d\]:\n(\d+ ?){12}\n"),
        (
            Vocabulary([f"w{i}" for i in range(NUM_WORDS)]),
            r"Topics from epoch:final \(num_topics:2\) \[, tu \d\.\d\d\]:\n\[tu \d\.\d\d\] w\d+ w",
        ),
        (
            Vocabulary([f"w{i}" for i in range(NUM_WORDS)], np.eye(NUM_WORDS, dtype=np.float32)),
            r"Topics .*\(num_topics:2\) \[wetc 0\.00, tu \d\.\d\d\]:\n\[wetc 0\.00, tu \d\.\d\d\] w\d+ w",
        ),
    ],
    ids=["ids", "words", "vectors"],
)
def test_topics_are_printed_as_the_service_does(caplog, vocabulary, pattern):
    with caplog.at_level(logging.INFO):
        log_topics(topics_of(torch.randn(NUM_WORDS, 2), documents(), vocabulary))
    assert re.match(pattern, "\n".join(caplog.messages) + "\n")


def test_topics_json_holds_words_scores_and_measures():
    found = json.loads(topics_of(torch.randn(NUM_WORDS, 2), documents(), None).json_bytes())
    assert set(found) == {"topics", "tu", "npmi", "wetc", "has_words"}
    assert set(found["topics"][0]) == {"words", "scores", "tu", "npmi", "wetc"}
