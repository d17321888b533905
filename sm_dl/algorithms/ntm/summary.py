"""The page of a finished topic model job, as data for the report."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sm_dl.algorithms.ntm.documents import Documents
from sm_dl.algorithms.ntm.hyperparameters import NTMHyperparameters
from sm_dl.algorithms.ntm.narration import perplexity
from sm_dl.algorithms.ntm.network import NTMNetwork
from sm_dl.algorithms.ntm.scoring import Tested, topic_weights
from sm_dl.algorithms.ntm.topics import NUM_COHERENT_WORDS, Topics
from sm_dl.contract.figures import BarPanel, Bars, Lines, Report, Scatter, Table
from sm_dl.contract.page import page_of
from sm_dl.data.bad_records import BadRecords
from sm_dl.engine.fit import FitResult
from sm_dl.engine.losses import LOSS
from sm_dl.job.job import Job

MOST_PANELS = 60
SHOWN_WORDS = 10
"""Words of a panel; the table has all."""
MOST_POINTS = 1200
NUM_COLOURED = 6
"""Topics that have a colour on the map."""
REST = "other topics"
BATCH = 1024

Weights = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Outcome:
    """Everything a finished job has to tell of."""

    result: FitResult
    topics: Topics
    tested: Tested | None
    network: NTMNetwork
    documents: Mapping[str, Documents]
    """By channel."""
    bad: BadRecords


def report_of(job: Job[NTMHyperparameters], outcome: Outcome) -> Report:
    """Return the page of a finished job, as data."""
    wanted = job.hyperparameters
    result, topics = outcome.result, outcome.topics
    figures: list[Bars | Lines | Scatter | Table] = [_curves(result), _divergence(result)]
    names = ("test", "validation", "train")
    # a host whose share of the training documents is empty may have none to show
    for shown in [name for name in names if len(outcome.documents.get(name, ()))][:1]:
        documents = _some(outcome.documents[shown])
        weights_DK = topic_weights(outcome.network, documents, BATCH)
        figures.insert(0, _bars(topics, weights_DK))
        figures += [_map(topics, weights_DK, shown), _table(topics, weights_DK)]
    return page_of(
        job,
        title="Topic model",
        summary=(
            f"{wanted.num_topics} topics over {wanted.feature_dim:,} words, from "
            f"{len(outcome.documents['train']):,} documents. {len(result.losses)} epochs, "
            f"{wanted.optimizer}, encoder {', '.join(map(str, wanted.layers))}."
        ),
        scores=_scores(outcome),
        figures=figures,
        left_out=outcome.bad.reasons,
        num_left_out=outcome.bad.count,
    )


def _scores(outcome: Outcome) -> dict[str, float | None]:
    result, topics = outcome.result, outcome.topics
    scores: dict[str, float | None] = {}
    if outcome.tested is not None:
        scores["test:total_loss"] = outcome.tested.terms[LOSS]
        scores["test perplexity"] = outcome.tested.perplexity
    if result.validation:
        kept = result.validation[LOSS][result.kept_epoch]
        scores["validation:total_loss"] = kept
        scores["validation perplexity"] = perplexity(kept)
    scores["train:total_loss"] = result.final_loss
    scores["topic uniqueness"] = topics.tu
    scores["topic coherence NPMI"] = topics.npmi
    if topics.wetc is not None:
        scores["topic coherence WETC"] = topics.wetc
    return scores


def _some(documents: Documents) -> Documents:
    """Return so many documents as a map can show, evenly chosen."""
    count = min(MOST_POINTS, len(documents))
    return documents.take(np.linspace(0, len(documents) - 1, count).astype(np.int64))


def _by_share(weights_DK: Weights) -> list[int]:
    """Return the topics, those with the largest mean weight first."""
    return [int(topic) for topic in np.argsort(-weights_DK.mean(axis=0), kind="stable")]


def _bars(topics: Topics, weights_DK: Weights) -> Bars:
    order = _by_share(weights_DK)[:MOST_PANELS]
    share_K = weights_DK.mean(axis=0)
    panels = []
    for number in order:
        topic = topics.topics[number]
        measures = (
            f"share {100 * share_K[number]:.1f} % · NPMI {topic.npmi:.2f} · TU {topic.tu:.2f}"
        )
        if topic.wetc is not None:
            measures += f" · WETC {topic.wetc:.2f}"
        panels.append(
            BarPanel(
                f"Topic {number}",
                topic.words[:SHOWN_WORDS],
                topic.scores[:SHOWN_WORDS],
                measures,
            )
        )
    note = (
        "Words by the softmax of their weights in the topic, which leaves out how usual a word is anyhow; "
        "the topic with the largest mean weight first."
    )
    if len(topics.topics) > len(order):
        note += f" The first {len(order)} of {len(topics.topics)}."
    if not topics.has_words:
        note += " Bring vocab.txt in channel auxiliary to see words in place of ids."
    return Bars("Topics", panels, note)


def _curves(result: FitResult) -> Lines:
    curves = {"train total": result.losses}
    if result.validation:
        curves["validation total"] = result.validation[LOSS]
    return Lines(
        "Loss",
        "epoch",
        "nats per word",
        list(range(1, len(result.losses) + 1)),
        curves,
        note=f"exp(total) bounds the perplexity. The model holds the weights of epoch {result.kept_epoch + 1}.",
    )


def _divergence(result: FitResult) -> Lines:
    curves = {"train kld": result.train["kld"]}
    if result.validation:
        curves["validation kld"] = result.validation["kld"]
    return Lines(
        "What the topics tell of a document",
        "epoch",
        "nats per word",
        list(range(1, len(result.losses) + 1)),
        curves,
        note="The divergence of a document's code from the prior; near 0 the topics say nothing.",
    )


def _map(topics: Topics, weights_DK: Weights, channel: str) -> Scatter:
    """Return the two main directions in which the weights of documents differ (by PCA)."""
    centred_DK = weights_DK - weights_DK.mean(axis=0)
    _, strengths, directions = np.linalg.svd(centred_DK, full_matrices=False)
    plane_D2 = np.zeros((len(weights_DK), 2))
    plane_D2[:, : min(2, len(directions))] = centred_DK @ directions[:2].T
    total = max(float(np.square(strengths).sum()), 1e-30)
    shares = [100 * float(one) / total for one in np.square(strengths)[:2]] + [0.0, 0.0]
    largest_D = weights_DK.argmax(axis=1)
    counts = np.bincount(largest_D, minlength=weights_DK.shape[1])
    coloured = [
        int(one) for one in np.argsort(-counts, kind="stable")[:NUM_COLOURED] if counts[one]
    ]
    groups = {
        f"topic {number}: {' '.join(topics.topics[number].words[:3])}": plane_D2[
            largest_D == number
        ]
        .round(4)
        .tolist()
        for number in coloured
    }
    others = ~np.isin(largest_D, coloured)
    if others.any():
        groups[REST] = plane_D2[others].round(4).tolist()
    return Scatter(
        "Map of documents",
        f"first principal component ({shares[0]:.0f} % of the variance)",
        f"second principal component ({shares[1]:.0f} %)",
        groups,
        rest=REST,
        note=f"{len(weights_DK):,} documents of channel {channel} by their topic weights, "
        "coloured by the topic that is largest in them.",
    )


def _table(topics: Topics, weights_DK: Weights) -> Table:
    share_K = 100 * weights_DK.mean(axis=0)
    columns = ["topic", "share %", "NPMI", "TU", "top words"]
    has_vectors = topics.wetc is not None
    if has_vectors:
        columns.insert(4, "WETC")
    rows: list[list[str | float | int | None]] = []
    for number in _by_share(weights_DK):
        topic = topics.topics[number]
        measures: list[str | float | int | None] = [
            number, float(share_K[number]), topic.npmi, topic.tu,
        ]  # fmt: skip
        rows.append([*measures, *([topic.wetc] if has_vectors else []), " ".join(topic.words)])
    return Table(
        "All topics",
        columns,
        rows,
        note=f"NPMI, from -1 to 1, says how much the {NUM_COHERENT_WORDS} top words come together in the "
        "training documents; TU, from 1/K to 1, how far a topic's words are its own.",
    )
