"""Scores of a whole channel after training: how well real pairs stand out, and which do not."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
import torch

from sm_dl.algorithms.ip_insights.batches import ScoredPairs
from sm_dl.algorithms.ip_insights.data import PairReader, Table
from sm_dl.algorithms.ip_insights.metrics import (
    Distribution,
    Scores,
    area_under_curve,
    distribution,
    roc_curve,
)
from sm_dl.algorithms.ip_insights.network import IPInsightsNetwork
from sm_dl.content_types import CSV
from sm_dl.data.bad_records import BadRecords
from sm_dl.data.source import channel_files
from sm_dl.engine.place import Place
from sm_dl.files import write_atomically
from sm_dl.job import stop
from sm_dl.job.job import ChannelSource

logger = logging.getLogger(__name__)

NUM_SHOWN = 20
NUM_ROC_POINTS = 201
FILE_NAME = "scores.json"


@dataclass(frozen=True)
class Suspect:
    """An observed pair of a low score."""

    place: str
    """File and line."""
    entity: str
    address: str
    score: float


@dataclass(frozen=True)
class Scored:
    """What scoring a channel found."""

    channel: str
    num_pairs: int
    auc: float
    distribution: Distribution
    roc: tuple[list[float], list[float]]
    suspects: Sequence[Suspect]
    """The least likely pairs, the least first."""


@torch.inference_mode()
def score(
    network: IPInsightsNetwork, table: Table, source: ChannelSource, bad: BadRecords
) -> Scored:
    """Score the pairs of a channel, each against one random address.

    Args:
        network: Trained.
        table: The channel's pairs.
        source: Where their texts are read again, for the few that are shown.
        bad: What was left out when the table was read, and is again without a word.
    """
    network.eval()
    device = network.entities.device
    parts = []
    for batch in ScoredPairs(table)(Place(0, device=device)):
        stop.check("SIGTERM came after training; the model is written, not every pair is scored.")
        parts.append(network(batch).cpu().numpy())
    observed, generated = np.concatenate(parts).T
    lowest = np.argsort(observed, kind="stable")[:NUM_SHOWN]
    return Scored(
        source.name,
        len(table),
        area_under_curve(observed, generated),
        distribution(observed, generated),
        roc_curve(observed, generated, NUM_ROC_POINTS),
        _suspects(source, lowest, observed, bad),
    )


def _suspects(
    source: ChannelSource,
    lowest: "np.ndarray[tuple[int], np.dtype[np.intp]]",
    scores: Scores,
    bad: BadRecords,
) -> list[Suspect]:
    """Return the texts of some pairs: a table has none, so the channel is read again."""
    wanted = np.sort(lowest)
    found = {}
    first = 0
    reader = PairReader(bad)
    for file in channel_files(source, accepted=(CSV,)):
        for pairs in reader.read(file):
            here = wanted[
                np.searchsorted(wanted, first) : np.searchsorted(wanted, first + len(pairs))
            ]
            for index in here.tolist():
                found[index] = pairs.place_and_texts(index - first)
            first += len(pairs)
    return [
        Suspect(*found[index], score=float(scores[index]))
        for index in lowest.tolist()
        if index in found
    ]


def write_scores(scored: Sequence[Scored], folder: Path) -> None:
    """Write quantiles and histograms of scored channels, from which a threshold can be chosen."""
    document = {
        one.channel: {
            "pairs": one.num_pairs,
            "discriminator_auc": one.auc,
            "quantiles": {str(level): value for level, value in one.distribution.quantiles.items()},
            "histogram": {
                "edges": one.distribution.edges,
                "observed": one.distribution.observed,
                "generated": one.distribution.generated,
            },
        }
        for one in scored
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / FILE_NAME, orjson.dumps(document, option=orjson.OPT_INDENT_2))
