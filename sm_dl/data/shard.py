"""Who reads what: by host, rank and worker, from (seed, epoch, position) alone.

The records of an epoch have one global order, whoever reads them: `record_at` says which record
stands at a position, `batches_of` which positions a reader takes. Nothing is remembered between
two calls, so a run may go on at any position and with another number of ranks or workers.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from sm_dl.errors import UserError

logger = logging.getLogger(__name__)

T = TypeVar("T")
IntArray = npt.NDArray[np.int64]
WordArray = npt.NDArray[np.uint64]
NUM_ROUNDS = 6
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""2^64 divided by the golden ratio: the step of SplitMix64."""


@dataclass(frozen=True)
class Reader:
    """One of the processes that share an epoch out among them."""

    rank: int = 0
    world_size: int = 1
    worker: int = 0
    """Data-loading process of this rank; batch i of a rank comes from worker i % num_workers."""
    num_workers: int = 1


def share_of_host(objects: Sequence[T], host: int, num_hosts: int) -> list[T]:
    """Return the objects that one host reads of a `ShardedByS3Key` channel; perhaps none.

    Args:
        objects: All objects of the channel, in the order of their keys.
        host: Position of the host in the sorted list of hosts.
        num_hosts: How many there are.
    """
    return list(objects[host::num_hosts])


def tell_of_empty_share(channel: str, host: str, num_hosts: int) -> None:
    """Warn that a host brings nothing to the training of all."""
    logger.warning(
        "channel %s: the share of host %s holds no records; it trains with those of the other %d. "
        "Bring as many files as hosts, or FullyReplicated, to make use of it.",
        channel, host, num_hosts - 1,
    )  # fmt: skip


def refuse_empty_shares(channel: str, num_records: Sequence[int]) -> None:
    """Refuse shares of hosts that are all empty; each knows its own only, until they have met.

    Raises:
        UserError: No host has a record.
    """
    if not any(num_records):
        raise UserError(
            f"channel {channel}: expected records in the share of at least one host; "
            f"got none in those of all {len(num_records)}. Bring files that hold some."
        )


def batches_of(reader: Reader, start: int, stop: int, batch_size: int) -> Iterator[IntArray]:
    """Yield the positions of each batch that a reader takes from [start, stop).

    Step k of all ranks together covers the next `batch_size * world_size` positions, so another
    number of ranks at the same global batch sees the same steps. Ranks take the same number of
    batches, of sizes that differ by at most one; at the end of an epoch one may be empty.

    Args:
        reader: Who asks.
        start: First position not yet seen; 0 at the beginning of an epoch.
        stop: One behind the last position, the number of records.
        batch_size: Records of a batch of one rank.
    """
    step = batch_size * reader.world_size
    first = start + reader.worker * step
    for begin in range(first, stop, step * reader.num_workers):
        yield np.arange(begin + reader.rank, min(begin + step, stop), reader.world_size)


def is_taken(reader: Reader, position: int, start: int, batch_size: int) -> bool:
    """Return whether the reader takes one position of a stream; the same rule as `batches_of`."""
    step, within = divmod(position - start, batch_size * reader.world_size)
    return within % reader.world_size == reader.rank and step % reader.num_workers == reader.worker


def record_at(positions: IntArray, num_records: int, seed: int, epoch: int) -> IntArray:
    """Return the records that stand at some positions of an epoch's shuffled order.

    Each record stands at exactly one position. The order is computed where it is asked for: a
    shuffled list of 100 million records would take 800 MB in every process, and NumPy does not
    promise that its next version shuffles alike. A Feistel network (Luby and Rackoff, 1988) of
    keyed rounds permutes a power of two; what falls beyond the last record is permuted again
    until it does not ("cycle walking").
    """
    num_bits = max(2, (num_records - 1).bit_length())
    sequence = np.random.SeedSequence((seed, epoch))
    keys = sequence.generate_state(NUM_ROUNDS, np.uint64).astype(np.uint64)
    records = _permuted(positions.astype(np.uint64), keys, num_bits)
    while (outside := records >= num_records).any():
        records[outside] = _permuted(records[outside], keys, num_bits)
    return records.astype(np.int64)


def uniform_at(
    positions: IntArray, num_draws: int, seed: int, epoch: int
) -> npt.NDArray[np.float64]:
    """Return `num_draws` numbers in [0, 1) for each position of an epoch: (positions, draws).

    They are those of SplitMix64 (Steele et al., 2014) at the place of the position in its stream,
    so a record's draws do not depend on who reads it, nor on what was read before it.
    """
    key = np.random.SeedSequence((seed, epoch, num_draws)).generate_state(1, np.uint64)
    draws = np.arange(1, num_draws + 1, dtype=np.uint64)
    counters: WordArray = positions.astype(np.uint64)[:, None] * np.uint64(num_draws) + draws
    words = mixed(key + counters * GOLDEN)
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _permuted(words: WordArray, keys: WordArray, num_bits: int) -> WordArray:
    """Return a permutation of the words of `num_bits` bits, halves of them mixed in turn."""
    low_bits = num_bits // 2
    widths = np.array([num_bits - low_bits, low_bits], np.uint64)
    masks = (np.uint64(1) << widths) - np.uint64(1)
    left, right = words >> widths[1], words & masks[1]
    for number, key in enumerate(keys):  # an even number: the halves end where they began
        left, right = right, left ^ (mixed(right ^ key) & masks[number % 2])
    permuted: WordArray = left << widths[1] | right
    return permuted


def mixed(words: WordArray) -> WordArray:
    """Return well-mixed bits of each word: the finalizer of SplitMix64 (Steele et al., 2014)."""
    words = (words ^ words >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ words >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return words ^ words >> np.uint64(31)
