#!/usr/bin/env python3
"""NTM beside topmost's ProdLDA: same topics, vocabulary, batch and encoder, in turns on one core.

    pip install --no-deps --target /tmp/peer topmost==1.0.2
    taskset -c 0 python scripts/benchmarks/ntm_versus.py --topmost /tmp/peer
    taskset -c 0 python scripts/benchmarks/ntm_versus.py --curve           # ours alone, by vocabulary

The documents are drawn: 110 words each by a Zipf law over the vocabulary, about 95 different ones.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

NUM_TOPICS, NUM_UNITS, RATE, EPOCHS = 50, 200, 0.002, 3
WORDS_PER_DOCUMENT = 110
ROUNDS = 3
Numbers = npt.NDArray[Any]


def corpus(num_documents: int, num_words: int) -> tuple[Numbers, Numbers, Numbers]:
    """Return document, word and count of each entry, sorted."""
    random = np.random.default_rng(0)
    likely = 1 / np.arange(10, num_words + 10)
    drawn = random.choice(
        num_words, size=num_documents * WORDS_PER_DOCUMENT, p=likely / likely.sum()
    )
    rows = np.repeat(np.arange(num_documents), WORDS_PER_DOCUMENT)
    places, counts = np.unique(rows * num_words + drawn, return_counts=True)
    return places // num_words, places % num_words, counts.astype(np.float32)


def speeds_of(script: str, *arguments: object) -> list[dict[str, float]]:
    """Return the speed of each timed epoch of one run."""
    path = Path(__file__).with_name(script)
    run = subprocess.run(
        [sys.executable, path, *map(str, arguments)],
        capture_output=True, text=True, check=True,
        env=os.environ | {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")},
    )  # fmt: skip
    return [json.loads(line) for line in run.stdout.splitlines() if line.startswith('{"')]


def main() -> None:
    """Print medians and their ratio, or the curve."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--topmost", type=Path)
    parser.add_argument("--curve", action="store_true")
    parser.add_argument("--words", type=int, default=5000)
    parser.add_argument("--documents", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=200)
    parser.add_argument("--precision", help="of ours; without it: what `precision: auto` takes")
    options = parser.parse_args()
    precision = ("--precision", options.precision) if options.precision else ()
    if options.curve:
        for num_words, num_documents in ((2000, 6000), (50_000, 1000), (500_000, 400)):
            size = ("--words", num_words, "--documents", num_documents, "--batch", options.batch)
            found = speeds_of("ntm_ours.py", *size, *precision, "--optimizer", "adadelta")
            cpu = statistics.median(one["cpu"] for one in found)
            print(f"{num_words:7d} words: {cpu:9.0f} documents/s of CPU, {1e6 / cpu:8.1f} us each")
        return
    size = (
        "--words", options.words, "--documents", options.documents, "--batch", options.batch,
    )  # fmt: skip
    ours: list[dict[str, float]] = []
    theirs: list[dict[str, float]] = []
    for _ in range(ROUNDS):
        theirs += speeds_of("ntm_topmost_peer.py", "--topmost", options.topmost, *size)
        ours += speeds_of("ntm_ours.py", *size, *precision)
    for clock in ("cpu", "wall"):
        one, other = (statistics.median(run[clock] for run in runs) for runs in (ours, theirs))
        print(f"{clock}: {one:.0f} against {other:.0f} documents/s, {one / other:.2f} times")


if __name__ == "__main__":
    main()
