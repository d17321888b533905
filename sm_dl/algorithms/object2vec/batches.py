"""Batches of pairs: those an epoch trains on, and those of a channel that is scored.

Batches are addressed by (seed, epoch, position): each rank gathers its own share of the same batch
out of flat arrays, which lie on its device.

Shape letters in this file: B = pairs, N = tokens.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sm_dl.algorithms.object2vec.data import Pairs
from sm_dl.algorithms.object2vec.encoders import Sequences
from sm_dl.algorithms.object2vec.epochs import Epoch, by_length, draw_epoch
from sm_dl.algorithms.object2vec.hyperparameters import Object2VecHyperparameters
from sm_dl.algorithms.object2vec.ragged import Ragged
from sm_dl.engine.place import CPU, Place

TOKENS_AHEAD = 1 << 20
"""Of a side, at most: 8 MiB. Batches of few tokens are gathered together, since each costs as many calls."""


class PairBatch(NamedTuple):
    """One rank's part of a batch."""

    in0: Sequences
    in1: Sequences
    label_B: Tensor
    """Class numbers or scores, float32."""
    weight_B: Tensor
    """1, or 0 for a pair that only keeps an idle rank busy; float32."""
    records: int
    """Pairs of weight 1."""


class RaggedTensors:
    """Flat rows of tokens on a device."""

    def __init__(self, rows: Ragged) -> None:
        """Start on the CPU, where nothing is copied."""
        self.tokens = torch.from_numpy(rows.tokens_N)
        self.offsets = torch.from_numpy(rows.offsets)
        lengths = rows.lengths
        self.common_length = int(lengths[0]) if (lengths == lengths[0]).all() else None

    def to(self, device: torch.device) -> None:
        """Move them."""
        self.tokens, self.offsets = self.tokens.to(device), self.offsets.to(device)

    def take(self, rows_B: Tensor) -> Sequences:
        """Return some rows, in the order given."""
        if self.common_length is not None:  # a user and an item are a token each
            tokens_N = self.tokens.view(-1, self.common_length)[rows_B].view(-1)
            return Sequences(tokens_N.long(), torch.full_like(rows_B, self.common_length))
        starts_B = self.offsets[rows_B]
        lengths_B = self.offsets[rows_B + 1] - starts_B
        ends_B = lengths_B.cumsum(0)
        shifts_N = (starts_B - ends_B + lengths_B).repeat_interleave(lengths_B)
        places_N = shifts_N + torch.arange(len(shifts_N), device=shifts_N.device)
        return Sequences(self.tokens[places_N].long(), lengths_B)


class _Gatherer:
    """Gathers the batches of an epoch."""

    def __init__(self, pairs: Pairs, batch_size: int) -> None:
        self.pairs = pairs
        self.batch_size = batch_size
        self._sides = (RaggedTensors(pairs.in0), RaggedTensors(pairs.in1))
        longest = max(int(rows.lengths.max(initial=1)) for rows in (pairs.in0, pairs.in1))
        self._num_ahead = max(TOKENS_AHEAD // (batch_size * longest), 1)

    def _gather(self, epoch: Epoch, place: Place) -> Iterator[PairBatch]:
        """Yield this rank's part of each batch, on the rank's device."""
        for side in self._sides:
            side.to(place.device)
        firsts = range(place.first_record, len(epoch.labels), self.batch_size)
        for number in range(0, len(firsts), self._num_ahead):
            yield from self._batches(epoch, firsts[number : number + self._num_ahead], place)

    def _batches(self, epoch: Epoch, firsts: range, place: Place) -> Iterator[PairBatch]:
        """Yield this rank's part of the batches that begin at some pairs, all gathered at once."""
        numbers_P = np.arange(len(epoch.labels))
        mine = [
            numbers_P[first : first + self.batch_size][place.rank :: place.world_size]
            for first in firsts
        ]
        counts = [max(len(numbers), 1) for numbers in mine]
        # fewer pairs than ranks: all take part in the step, some with nothing to say
        chosen = np.concatenate(
            [
                numbers if len(numbers) else [first]
                for numbers, first in zip(mine, firsts, strict=True)
            ]
        )
        in0, in1 = (
            side.take(torch.from_numpy(rows[chosen]).to(place.device)).split(counts)
            for side, rows in zip(self._sides, (epoch.rows0, epoch.rows1), strict=True)
        )
        labels = torch.from_numpy(epoch.labels[chosen].astype(np.float32)).to(place.device)
        for one, two, label_B, numbers in zip(
            in0, in1, torch.split(labels, counts), mine, strict=True
        ):
            weight_B = torch.full_like(label_B, bool(len(numbers)))
            yield PairBatch(one, two, label_B, weight_B, len(numbers))


class EpochBatches(_Gatherer):
    """The pairs of an epoch, with the negatives drawn for it, in random order."""

    def __init__(self, pairs: Pairs, hyperparameters: Object2VecHyperparameters) -> None:
        """Remember the pairs, and how an epoch is made of them."""
        super().__init__(pairs, hyperparameters.mini_batch_size)
        self.hyperparameters = hyperparameters

    def __call__(self, place: Place) -> Iterator[PairBatch]:
        """Yield this rank's part of each batch of an epoch."""
        given = self.hyperparameters
        epoch = draw_epoch(
            self.pairs,
            rate=given.negative_sampling_rate,
            bucket_width=given.bucket_width,
            batch_size=self.batch_size,
            seed=given.seed,
            epoch=place.epoch,
        )
        return self._gather(epoch, place)


class AllPairs(_Gatherer):
    """Every pair of a channel once, those of similar lengths together.

    Differs from the service, which fills the last batch up with repeated pairs and so scores some
    twice (spec section 1.6).
    """

    def __call__(self, place: Place) -> Iterator[PairBatch]:
        """Yield this rank's part of each batch, the same in every epoch."""
        return self._gather(by_length(self.pairs), place)

    def whole(self) -> Iterator[PairBatch]:
        """Yield all batches, for one process, in the order of the pairs."""
        rows = np.arange(len(self.pairs))
        return self._gather(Epoch(rows, rows, self.pairs.labels), Place(0, device=CPU))
