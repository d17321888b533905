"""How good topics are, by their top words: uniqueness, and two measures of coherence (spec 1.9).

Shape letters in this file: K = topics, N = top words of a topic, E = numbers of a word's vector, D =
documents that hold a word of a topic.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sm_dl.algorithms.ntm.documents import Documents

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.floating]


def topic_uniqueness(top_KN: Ids) -> Floats:
    """Return how far each topic's top words are its own, shape (K).

    The mean of 1 / (topics that have the word among their top words): 1 / K when all topics are
    alike, 1 when no word is shared.
    """
    times = np.bincount(top_KN.ravel())
    uniqueness: Floats = (1 / times[top_KN]).mean(axis=1)
    return uniqueness


def wetc(vectors_KNE: Floats) -> Floats:
    """Return the mean cosine similarity of all pairs of a topic's words, shape (K).

    Source: pairwise word-embedding topic coherence, Ding et al., 2018, arXiv:1809.02687.
    """
    lengths = np.linalg.norm(vectors_KNE, axis=2, keepdims=True)
    unit_KNE = vectors_KNE / np.maximum(lengths, np.finfo(np.float32).tiny)
    num_words = unit_KNE.shape[1]
    if num_words < 2:
        return np.ones(len(unit_KNE))
    # the sum over all pairs, once each, from the length of the sum
    squares_K = np.square(unit_KNE.sum(axis=1)).sum(axis=1) - np.square(unit_KNE).sum(axis=(1, 2))
    pairs: Floats = squares_K / (num_words * (num_words - 1))
    return pairs


@dataclass(frozen=True)
class Meetings:
    """In how many documents the top words of a topic occur, alone and together.

    Those of different documents can be added up.
    """

    together_KNN: Ids
    """Documents that hold both words; on the diagonal those that hold one."""
    num_documents: int
    """All documents, those without such words included."""


def meetings_of(top_KN: Ids, documents: Documents) -> Meetings:
    """Count the documents that hold the top words of topics."""
    postings = _postings(np.unique(top_KN), documents)
    together = [_together([postings[word] for word in words]) for words in top_KN.tolist()]
    return Meetings(np.stack(together), len(documents))


def _postings(words: Ids, documents: Documents) -> dict[int, Ids]:
    """Return the documents that hold each of some words."""
    is_wanted = np.zeros(documents.num_words, dtype=np.bool_)
    is_wanted[words] = True
    entries = np.flatnonzero(is_wanted[documents.words])
    order = np.argsort(documents.words[entries], kind="stable")
    entries = entries[order]
    rows = np.searchsorted(documents.starts, entries, side="right") - 1
    bounds = np.searchsorted(documents.words[entries], words)
    return dict(zip(words.tolist(), np.split(rows, bounds[1:]), strict=True))


def _together(holders: Sequence[Ids]) -> Ids:
    rows = np.unique(np.concatenate(holders))
    present_ND = np.zeros((len(holders), len(rows)), dtype=np.float32)
    for word, held in enumerate(holders):
        present_ND[word, np.searchsorted(rows, held)] = 1
    return (present_ND @ present_ND.T).astype(np.int64)


def npmi(meetings: Meetings, *, of_strangers: float = -1.0) -> Floats:
    """Return the mean normalised pointwise mutual information of a topic's pairs of words, shape (K).

    log(p(v, w) / (p(v) p(w))) / -log p(v, w), where p is the share of documents that hold a word,
    or both; 1 for words that only come together. Without documents it is not a number.

    Args:
        meetings: Of the words of each topic.
        of_strangers: What words count that never meet: -1, which is the limit, or as in the tool of
            Lau et al. (2014), by which most papers report, 0.
    """
    num_topics, num_words, _ = meetings.together_KNN.shape
    if not meetings.num_documents:
        return np.full(num_topics, np.nan)
    if num_words < 2:
        return np.ones(num_topics)
    shares_KNN = meetings.together_KNN / meetings.num_documents
    first, second = np.triu_indices(num_words, 1)
    both = shares_KNN[:, first, second]
    apart = shares_KNN[:, first, first] * shares_KNN[:, second, second]
    met = (both > 0) & (both < 1)
    values = np.where(both > 0, 1.0, of_strangers)
    values[met] = np.log(both[met] / apart[met]) / -np.log(both[met])
    mean_K: Floats = values.mean(axis=1)
    return mean_K
