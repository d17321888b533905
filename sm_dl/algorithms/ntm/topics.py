"""What the topics are about and how good they are: top words, uniqueness, coherence (spec 1.9).

Shape letters in this file: V = vocabulary, K = topics, N = top words of a topic, E = numbers of a
word's vector, D = documents.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import orjson
import torch
from torch import Tensor

from sm_dl.algorithms.ntm.documents import Documents
from sm_dl.algorithms.ntm.vocabulary import Vocabulary

logger = logging.getLogger(__name__)

NUM_TOP_WORDS = 20
"""The service prints so many; uniqueness and WETC are of all of them."""
NUM_COHERENT_WORDS = 10
"""NPMI is of so many, as usual (Lau et al., 2014)."""

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Topic:
    """One topic by its top words."""

    words: Sequence[str]
    """By falling weight; ids where no vocabulary is known."""
    scores: Sequence[float]
    """Of each: softmax of the topic's weights over the vocabulary, without the bias, which has how usual
    words are in all topics."""
    tu: float
    """Topic uniqueness."""
    npmi: float
    """Coherence by the training documents."""
    wetc: float | None
    """Coherence by word vectors; None without vectors."""


@dataclass(frozen=True)
class Topics:
    """All topics of a model, with the means of their measures."""

    topics: Sequence[Topic]
    tu: float
    npmi: float
    wetc: float | None
    has_words: bool
    """Whether words are known, or ids stand for them."""

    def json_bytes(self) -> bytes:
        """Return the content of `topics.json`."""
        return orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2)


@torch.no_grad()
def topics_of(projection_VK: Tensor, documents: Documents, vocabulary: Vocabulary | None) -> Topics:
    """Return the topics of a model.

    Args:
        projection_VK: Weight of each word in each topic.
        documents: Those to count in which words occur together.
        vocabulary: What the ids mean, and the words' vectors.
    """
    weights_VK = projection_VK.float().cpu()
    num_shown = min(NUM_TOP_WORDS, len(weights_VK))
    best = torch.topk(weights_VK, num_shown, dim=0)
    top_KN: Ids = best.indices.t().numpy()
    scores_KN = torch.exp(best.values - torch.logsumexp(weights_VK, 0)).t().tolist()
    tu_K = topic_uniqueness(top_KN)
    npmi_K = npmi(top_KN[:, :NUM_COHERENT_WORDS], documents)
    vectors = vocabulary.vectors if vocabulary else None
    wetc_K = None if vectors is None else wetc(vectors[top_KN])
    topics = [
        Topic(
            words=[vocabulary.words[word] if vocabulary else str(word) for word in words],
            scores=scores,
            tu=float(tu_K[topic]),
            npmi=float(npmi_K[topic]),
            wetc=None if wetc_K is None else float(wetc_K[topic]),
        )
        for topic, (words, scores) in enumerate(zip(top_KN.tolist(), scores_KN, strict=True))
    ]
    mean_wetc = None if wetc_K is None else float(wetc_K.mean())
    return Topics(
        topics, float(tu_K.mean()), float(npmi_K.mean()), mean_wetc, vocabulary is not None
    )


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


def npmi(top_KN: Ids, documents: Documents, *, of_strangers: float = -1.0) -> Floats:
    """Return the mean normalised pointwise mutual information of a topic's pairs of words, shape (K).

    log(p(v, w) / (p(v) p(w))) / -log p(v, w), where p is the share of documents that hold a word,
    or both; 1 for words that only come together.

    Args:
        top_KN: Words of each topic.
        documents: Those to count in; without any the answer is not a number.
        of_strangers: What words count that never meet: -1, which is the limit, or as in the tool of
            Lau et al. (2014), by which most papers report, 0.
    """
    if not len(documents):  # the first host's share of them may be empty
        return np.full(len(top_KN), np.nan)
    postings = _postings(np.unique(top_KN), documents)
    return np.array(
        [
            _npmi([postings[word] for word in words], len(documents), of_strangers)
            for words in top_KN
        ]
    )


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


def _npmi(holders: Sequence[Ids], num_documents: int, of_strangers: float) -> float:
    if len(holders) < 2:
        return 1.0
    rows = np.unique(np.concatenate(holders))
    present_ND = np.zeros((len(holders), len(rows)), dtype=np.float32)
    for word, held in enumerate(holders):
        present_ND[word, np.searchsorted(rows, held)] = 1
    together_NN = (present_ND @ present_ND.T).astype(np.float64) / num_documents
    single_N = np.diag(together_NN)
    first, second = np.triu_indices(len(holders), 1)
    both, apart = together_NN[first, second], single_N[first] * single_N[second]
    met = (both > 0) & (both < 1)
    values = np.where(both > 0, 1.0, of_strangers)
    values[met] = np.log(both[met] / apart[met]) / -np.log(both[met])
    return float(values.mean())


def log_topics(found: Topics) -> None:
    """Print the topics as the service does, and their coherence in the training documents."""
    heading = f"wetc {found.wetc:.2f}" if found.wetc is not None else ""
    logger.info(
        "Topics from epoch:final (num_topics:%d) [%s, tu %.2f]:",
        len(found.topics), heading, found.tu,
    )  # fmt: skip
    for topic in found.topics:
        words = " ".join(topic.words)
        if topic.wetc is not None:
            logger.info("[wetc %.2f, tu %.2f] %s", topic.wetc, topic.tu, words)
        elif found.has_words:
            logger.info("[tu %.2f] %s", topic.tu, words)
        else:
            logger.info("%s", words)
    logger.info(
        "Topic coherence: NPMI %.3f, the mean over topics of the %d top words in the training documents",
        found.npmi, NUM_COHERENT_WORDS,
    )  # fmt: skip
