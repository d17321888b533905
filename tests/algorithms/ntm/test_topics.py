"""What is told of topics: their words, as the service prints them and as a file."""

import json
import logging
import re

import numpy as np
import pytest
import torch

from sm_dl.algorithms.ntm.coherence import meetings_of
from sm_dl.algorithms.ntm.documents import documents_from
from sm_dl.algorithms.ntm.topics import log_topics, top_words, topics_of
from sm_dl.algorithms.ntm.vocabulary import Vocabulary

NUM_WORDS = 12


def found_of(weights, vocabulary=None):
    num_words = len(weights)
    kept = documents_from(np.array([0]), np.ones(1), np.array([1]), num_words)
    return topics_of(weights, meetings_of(top_words(weights)[0], kept), vocabulary)


def test_top_words_fall_in_weight_and_their_scores_are_the_softmax_of_a_column():
    weights = torch.randn(NUM_WORDS, 3, generator=torch.Generator().manual_seed(0))
    found = found_of(weights)
    for topic, column in zip(found.topics, weights.t(), strict=True):
        order = column.argsort(descending=True)
        assert topic.words == [str(word) for word in order.tolist()]
        assert topic.scores == pytest.approx(torch.softmax(column, 0)[order].tolist(), rel=1e-5)


def test_at_most_twenty_words_are_told():
    found = found_of(torch.randn(50, 2))
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
        log_topics(found_of(torch.randn(NUM_WORDS, 2), vocabulary))
    assert re.match(pattern, "\n".join(caplog.messages) + "\n")


def test_topics_json_holds_words_scores_and_measures():
    found = json.loads(found_of(torch.randn(NUM_WORDS, 2)).json_bytes())
    assert set(found) == {"topics", "tu", "npmi", "wetc", "has_words"}
    assert set(found["topics"][0]) == {"words", "scores", "tu", "npmi", "wetc"}
