#!/usr/bin/env python3
"""The coherence of a topic model's run as papers report it, beside its perplexity.

python scripts/benchmarks/ntm_coherence.py runs/ntm --data data/20news_clean

NPMI as the tool of Lau et al. (2014, github.com/jhlau/topic_interpretability) has it and the figures
published for these documents are made (repository YongfeiYan/Neural-Document-Modeling,
scripts/topic_coherence.sh): a window is a whole document, of the training and the test part alike;
words that never meet count 0; the mean of the 5 and of the 10 top words, then over topics.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from sm_dl.algorithms.ntm.coherence import meetings_of, npmi
from sm_dl.algorithms.ntm.data import read_documents
from sm_dl.algorithms.ntm.documents import joined
from sm_dl.job.job import ChannelSource, Hosts

PUBLISHED_SIZES = (5, 10)


def main() -> None:
    """Print a line for each run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("runs", nargs="+", type=Path, help="output folders of sm_dl.train")
    parser.add_argument("--data", type=Path, required=True, help="folder of the channels")
    wanted = parser.parse_args()
    words = (wanted.data / "auxiliary" / "vocab.txt").read_text().split("\n")
    ids = {word: number for number, word in enumerate(words)}
    parts = {
        name: read_documents(ChannelSource(name, wanted.data / name), len(ids) - 1, hosts=Hosts())
        for name in ("train", "validation", "test")
    }
    every = joined(list(parts.values()))
    for run in wanted.runs:
        topics = json.loads((run / "model" / "topics.json").read_text())["topics"]
        top_KN = np.array([[ids[word] for word in topic["words"]] for topic in topics])
        figures = {
            name: np.mean(
                [
                    npmi(meetings_of(top_KN[:, :size], documents), of_strangers=0).mean()
                    for size in PUBLISHED_SIZES
                ]
            )
            for name, documents in (("all documents", every), ("the test documents", parts["test"]))
        }
        scores = json.loads((run / "output" / "report" / "report.json").read_text())["scores"]
        print(
            f"{run}: test perplexity {scores['test perplexity']:.1f}, "
            + "".join(f"NPMI in {name} {figure:.3f}, " for name, figure in figures.items())
            + f"NPMI of topics.json {scores['topic coherence NPMI']:.3f}, "
            f"topic uniqueness {scores['topic uniqueness']:.2f}"
        )


if __name__ == "__main__":
    main()
