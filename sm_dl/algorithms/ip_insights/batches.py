"""Batches of pairs: those an epoch draws in random order, and the fixed ones of a scored channel.

Everything follows from (seed, epoch, position): the order, the random addresses, the shuffles. Each
rank cuts its own share of the same batch. Where hosts hold different files (`ShardedByS3Key`), each
takes its part of an update from its own pairs, and one that has run out of them waits for the others.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from sm_dl.algorithms.ip_insights.data import Table
from sm_dl.algorithms.ip_insights.hashing import Words
from sm_dl.algorithms.ip_insights.hyperparameters import IPInsightsHyperparameters
from sm_dl.algorithms.ip_insights.negatives import key_of, random_addresses, shuffled_partners
from sm_dl.algorithms.ip_insights.network import PairBatch
from sm_dl.data.shard import record_at, refuse_empty_shares
from sm_dl.engine.gathering import numbers_of_all, rows_of_all
from sm_dl.engine.place import Place, address

PAIRS_AT_ONCE = 1 << 15
"""Pairs whose order and negatives are computed together: NumPy is slow at a few at a time."""
SCORED_AT_ONCE = 1 << 12
SCORING_SEED = 20180514
"""Of the random addresses that observed pairs are scored against: the same in every job, so that
figures can be compared. Source: spec section 5, which asks for a constant."""

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Sharing:
    """Which processes share one set of pairs out among them."""

    num_groups: int = 1
    """Hosts with pairs of their own, or 1: all have the same."""

    def of(self, place: Place) -> tuple[int, int, int]:
        """Return the group of a rank, its number within, and how many the group has."""
        size = place.world_size // self.num_groups
        return place.rank // size, place.rank % size, size


class EpochBatches:
    """The training pairs in the random order of an epoch, with their negatives."""

    def __init__(
        self,
        table: Table,
        hyperparameters: IPInsightsHyperparameters,
        sharing: Sharing | None = None,
    ) -> None:
        """Remember the pairs and how negatives are drawn for them."""
        self.table = table
        self.seed = hyperparameters.seed
        self.num_random = hyperparameters.random_negative_sampling_rate
        self.num_shuffled = hyperparameters.shuffled_negative_sampling_rate
        self.sharing = sharing or Sharing()
        self.pairs_per_batch = max(
            1, round(hyperparameters.positives_per_batch / self.sharing.num_groups)
        )
        self._num_pairs: list[int] | None = None

    def __call__(self, place: Place) -> Iterator[PairBatch]:
        """Yield this rank's part of each batch of an epoch."""
        group, rank, size = self.sharing.of(place)
        num_pairs, width = self._pairs_of_groups(place.device), self.pairs_per_batch
        seed = address(self.seed, group) if self.sharing.num_groups > 1 else self.seed
        key = key_of(seed, place.epoch)
        first, last = self._first_step(place, num_pairs), -(-max(num_pairs) // width)
        steps_at_once = max(1, PAIRS_AT_ONCE // width)
        for begin in range(first, last, steps_at_once):
            end = min(begin + steps_at_once, last)
            position_N = np.arange(begin * width, min(end * width, len(self.table)))
            drawn = self._drawn(position_N, seed, key, place)
            for step in range(begin, end):
                mine = slice((step - begin) * width + rank, (step - begin + 1) * width, size)
                number = np.uint64(step * size + rank)
                yield drawn.cut(mine, self.num_shuffled, key, number).to(place.device)

    def _drawn(self, position_N: Positions, seed: int, key: np.uint64, place: Place) -> "_Drawn":
        record_N = record_at(position_N, len(self.table), seed, place.epoch)
        return _Drawn(
            self.table.row_N[record_N].astype(np.int64),
            self.table.address_N[record_N].astype(np.int64),
            random_addresses(position_N, self.num_random, key).astype(np.int64),
        )

    def updates_per_epoch(self, device: torch.device) -> int:
        """Return the batches of an epoch, the same in all processes."""
        return -(-max(self._pairs_of_groups(device)) // self.pairs_per_batch)

    def entities_of_all(self, device: torch.device) -> Words:
        """Return the hashes of the entities of all groups, sorted."""
        own = self.table.entities
        if self.sharing.num_groups == 1:
            return own
        every = rows_of_all(torch.from_numpy(own.view(np.int64)).to(device)).cpu().numpy()
        return np.unique(every.view(np.uint64))

    def _pairs_of_groups(self, device: torch.device) -> list[int]:
        """Return how many pairs each group has; asked once, when the processes have met."""
        if self._num_pairs is None:
            every = numbers_of_all(len(self.table), device)
            size = len(every) // self.sharing.num_groups
            self._num_pairs = every[:: max(size, 1)][: self.sharing.num_groups]
            refuse_empty_shares("train", self._num_pairs)
        return self._num_pairs

    def _first_step(self, place: Place, num_pairs: list[int]) -> int:
        """Return the batch of an epoch that a run goes on with."""
        seen = place.first_record // (1 + self.num_random + self.num_shuffled)
        steps = np.arange(-(-max(num_pairs) // self.pairs_per_batch) + 1) * self.pairs_per_batch
        before = sum(np.minimum(steps, number) for number in num_pairs)
        return int(np.searchsorted(before, seen))


@dataclass(frozen=True)
class _Drawn:
    """Pairs in training order with their random addresses, all as int64."""

    row_N: Positions
    address_N: Positions
    random_NR: Positions

    def cut(self, mine: slice, num_shuffled: int, key: np.uint64, number: np.uint64) -> PairBatch:
        """Return one part of a batch."""
        address_A, place_B = np.unique(self.address_N[mine], return_inverse=True)
        partner_BS = shuffled_partners(len(place_B), num_shuffled, key, number)
        parts = (self.row_N[mine], address_A, place_B, partner_BS, self.random_NR[mine])
        return PairBatch(*map(torch.from_numpy, parts))


class ScoredPairs:
    """The pairs of a channel in their order, each against one random address, always the same."""

    def __init__(self, table: Table) -> None:
        """Remember the pairs."""
        self.table = table

    def __call__(self, place: Place) -> Iterator[PairBatch]:
        """Yield this rank's part of each batch, the same in every epoch."""
        key = key_of(SCORING_SEED)
        for first in range(0, len(self.table), SCORED_AT_ONCE * place.world_size):
            end = min(first + SCORED_AT_ONCE * place.world_size, len(self.table))
            position_B = np.arange(first + place.rank, end, place.world_size)
            drawn = _Drawn(
                self.table.row_N[position_B].astype(np.int64),
                self.table.address_N[position_B].astype(np.int64),
                random_addresses(position_B, 1, key).astype(np.int64),
            )
            yield drawn.cut(slice(None), 0, key, np.uint64(0)).to(place.device)
