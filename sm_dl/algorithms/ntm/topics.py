"""What the topics are about and how good they are: top words, uniqueness, coherence (spec 1.9).

Shape letters in this file: V = vocabulary, K = topics, N = top words of a topic.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import orjson
import torch
from torch import Tensor

from sm_dl.algorithms.ntm.coherence import Ids, Meetings, npmi, topic_uniqueness, wetc
from sm_dl.algorithms.ntm.vocabulary import Vocabulary

logger = logging.getLogger(__name__)

NUM_TOP_WORDS = 20
"""The service prints so many; uniqueness and WETC are of all of them."""
NUM_COHERENT_WORDS = 10
"""NPMI is of so many, as usual (Lau et al., 2014)."""


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
def top_words(projection_VK: Tensor) -> tuple[Ids, Tensor]:
    """Return the words of each topic by falling weight, and their weights, both (K, N).

    Args:
        projection_VK: Weight of each word in each topic.
    """
    weights_VK = projection_VK.float().cpu()
    best = torch.topk(weights_VK, min(NUM_TOP_WORDS, len(weights_VK)), dim=0)
    return best.indices.t().numpy(), best.values.t()


@torch.no_grad()
def topics_of(projection_VK: Tensor, meetings: Meetings, vocabulary: Vocabulary | None) -> Topics:
    """Return the topics of a model.

    Args:
        projection_VK: Weight of each word in each topic.
        meetings: Of the first `NUM_COHERENT_WORDS` top words of each topic.
        vocabulary: What the ids mean, and the words' vectors.
    """
    top_KN, best_KN = top_words(projection_VK)
    norms_K1 = torch.logsumexp(projection_VK.float().cpu(), 0).unsqueeze(1)
    scores_KN = torch.exp(best_KN - norms_K1).tolist()
    tu_K = topic_uniqueness(top_KN)
    npmi_K = npmi(meetings)
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
