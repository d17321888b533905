"""How well a model's scores of pairs agree with the labels of a channel, beside word overlap.

Prints Pearson's and Spearman's correlation of the model that a job left, and of the share of words
that two sides have in common (Jaccard), which needs no training.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sm_dl.algorithms.object2vec.artifact import load
from sm_dl.algorithms.object2vec.data import Pairs, read_channel
from sm_dl.algorithms.object2vec.records import Rules
from sm_dl.algorithms.object2vec.scoring import pearson
from sm_dl.job.job import ChannelSource

Numbers = npt.NDArray[np.float64]


def ranks(values: Numbers) -> Numbers:
    """Return the rank of each value; equal ones share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    means: Numbers = np.cumsum(counts) - (counts - 1) / 2
    return means[place]


def overlaps(pairs: Pairs) -> Numbers:
    """Return the words in common of each pair, as a share of all its words."""
    found = []
    for row in range(len(pairs)):
        one, two = set(pairs.in0[row].tolist()), set(pairs.in1[row].tolist())
        found.append(len(one & two) / len(one | two))
    return np.array(found)


def main() -> None:
    """Print one line of figures for each channel."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", type=Path, required=True, help="folder of a model of scores")
    parser.add_argument("--channels", type=Path, required=True, help="what a prepare script wrote")
    parser.add_argument("--names", nargs="+", default=["validation", "test"])
    options = parser.parse_args()
    predictor = load(options.model)
    rules = Rules(predictor.network.shape.sides, num_classes=None)
    for name in options.names:
        pairs = read_channel(ChannelSource(name, options.channels / name), rules)
        scores = predictor.scores(pairs.in0, pairs.in1)[:, 0].astype(np.float64)
        for kind, answers in (("model", scores), ("word overlap", overlaps(pairs))):
            figures = {
                "channel": name,
                "of": kind,
                "pearson": round(pearson(answers, pairs.labels), 4),
                "spearman": round(pearson(ranks(answers), ranks(pairs.labels)), 4),
            }
            print(json.dumps(figures))


if __name__ == "__main__":
    main()
