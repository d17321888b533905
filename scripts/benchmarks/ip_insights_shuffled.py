#!/usr/bin/env python3
r"""Tell observed pairs from the same entities with shuffled addresses: a model, and the prefix rule.

Random addresses are easy to tell from real ones; an address of another entity is not. The rule to
beat: the longest prefix of 8, 16 or 24 bits shared with any address of the entity in training.

    python scripts/benchmarks/ip_insights_shuffled.py --model runs/irc/model \
        --train data/ubuntu_irc_joins/train --test data/ubuntu_irc_joins/test
"""

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sm_dl import registry
from sm_dl.algorithms.ip_insights.data import PairReader
from sm_dl.algorithms.ip_insights.metrics import area_under_curve
from sm_dl.data.source import channel_files
from sm_dl.job.job import ChannelSource

NUM_SHUFFLES = 5
PREFIXES = (24, 16, 8)
Words = npt.NDArray[np.uint64]
Addresses = npt.NDArray[np.uint32]


def read(folder: Path) -> tuple[Words, Addresses]:
    """Return hashes of entities, and addresses."""
    reader = PairReader()
    parts = [
        (pairs.hash_N, pairs.address_N)
        for file in channel_files(ChannelSource(folder.name, folder))
        for pairs in reader.read(file)
    ]
    hashes, addresses = zip(*parts, strict=True)
    return np.concatenate(hashes), np.concatenate(addresses)


class PrefixRule:
    """The length of the longest prefix that an address shares with those of its entity."""

    def __init__(self, hashes: Words, addresses: Addresses) -> None:
        """Remember every prefix of every entity."""
        self.known = {
            bits: set(
                zip(hashes.tolist(), (addresses >> np.uint32(32 - bits)).tolist(), strict=True)
            )
            for bits in PREFIXES
        }

    def scores(self, hashes: Words, addresses: Addresses) -> npt.NDArray[np.float64]:
        """Return 0, 8, 16 or 24 for each pair."""
        return np.array(
            [
                next((bits for bits in PREFIXES if (one, two >> 32 - bits) in self.known[bits]), 0)
                for one, two in zip(hashes.tolist(), addresses.tolist(), strict=True)
            ],
            dtype=np.float64,
        )


def main() -> None:
    """Print the AUC of both, mean and deviation over the shuffles."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", type=Path, required=True, nargs="+")
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    options = parser.parse_args()
    hashes, addresses = read(options.test)
    shuffled = [
        addresses[np.random.default_rng(seed).permutation(len(addresses))]
        for seed in range(NUM_SHUFFLES)
    ]
    judges = {"prefix rule": PrefixRule(*read(options.train)).scores}
    judges |= {str(path): registry.load(path).scores for path in options.model}  # type: ignore[attr-defined]
    for name, judge in judges.items():
        observed = judge(hashes, addresses)
        areas = [area_under_curve(observed, judge(hashes, one)) for one in shuffled]
        listed = " ".join(f"{area:.4f}" for area in areas)
        print(
            f"{name}: AUC {np.mean(areas):.4f} +- {np.std(areas):.4f} ({listed}), {len(hashes)} pairs"
        )


if __name__ == "__main__":
    main()
