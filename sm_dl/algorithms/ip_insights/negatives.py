"""Pairs that nobody observed: the same entity with a random address, or with another example's.

Both follow from (seed, epoch, position) alone, so that a resumed run and any number of processes
see the same ones. Random addresses are uniform over all of 0.0.0.0 to 255.255.255.255, and real
pairs are not excluded from either kind (spec section 1.2).

Shape letters in this file: B = observed pairs of a part of a batch, R and S = random and shuffled
negatives of each.
"""

import numpy as np
import numpy.typing as npt

from sm_dl.algorithms.ip_insights.addresses import Addresses
from sm_dl.data.shard import WordArray as Words
from sm_dl.data.shard import mixed

Positions = npt.NDArray[np.int64]

GOLDEN_GAMMA = np.uint64(0x9E3779B97F4A7C15)
"""The increment of SplitMix64 (Steele, Lea and Flood, 2014): number n of a stream is mix(key + n * it)."""
SHUFFLES = np.uint64(0x53687566666C6573)
"""Parts the stream that shuffles from the one of random addresses."""


def key_of(*where: int) -> np.uint64:
    """Return the key of a stream of random words: (seed, epoch, ...)."""
    return np.uint64(np.random.SeedSequence(where).generate_state(1, np.uint64)[0])


def random_addresses(position_B: Positions, rate: int, key: np.uint64) -> Addresses:
    """Return uniform addresses, shape (B, R), for the pairs at some positions of an epoch."""
    number_BR = position_B[:, None] * rate + np.arange(rate)
    return (_words(number_BR.astype(np.uint64), key) >> np.uint64(32)).astype(np.uint32)


def shuffled_partners(num_pairs: int, rate: int, key: np.uint64, number: np.uint64) -> Positions:
    """Return whose address each pair is given, shape (B, S): other examples of the same part.

    The pairs stand in random order, so that a shift of all of them is a shuffle. The shifts differ
    from each other and from 0 as long as there are enough examples; one that is alone gets itself.

    Args:
        num_pairs: B.
        rate: S.
        key: Of the epoch.
        number: Of the part, among those of the epoch.
    """
    shifts_S = np.zeros(rate, np.int64)
    if num_pairs > 1 and rate:
        (own,) = _words(np.array([number]), key ^ SHUFFLES)
        words = _words(np.arange(num_pairs - 1, dtype=np.uint64), own)
        shifts_S = 1 + np.resize(np.argsort(words, kind="stable"), rate)
    partners: Positions = (np.arange(num_pairs)[:, None] + shifts_S) % max(num_pairs, 1)
    return partners


def _words(numbers: Words, key: np.uint64) -> Words:
    """Return well-mixed words, one for each number, of the stream of a key (SplitMix64)."""
    return mixed(key + (numbers + np.uint64(1)) * GOLDEN_GAMMA)
