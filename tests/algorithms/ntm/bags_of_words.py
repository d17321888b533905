"""Bags of words, drawn at random, in compressed form and as dense matrices."""

import numpy as np
import torch
from hypothesis import settings
from hypothesis import strategies as st

from sm_dl.algorithms.ntm.documents import documents_from

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
    matrix[bags.rows_W(), bags.words_W] = bags.counts_W
    return matrix.numpy()
