"""Which documents a batch of an epoch holds, addressed by (seed, epoch, position).

`mini_batch_size` is per machine: its processes share the documents of a batch, and several machines
bring as many each. With whole copies of the channel all machines draw from one shuffled order; with
`ShardedByS3Key` each has documents of its own, shuffles them for itself, and goes without where
others still have some, so that each document is seen once and all make the same number of updates.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from sm_dl.algorithms.ntm.bags import Bags
from sm_dl.algorithms.ntm.documents import Documents
from sm_dl.algorithms.ntm.shelf import Shelf
from sm_dl.data.shard import record_at, refuse_empty_shares
from sm_dl.engine.gathering import numbers_of_all
from sm_dl.engine.place import Place


class EpochBatches:
    """The documents that an epoch draws, shuffled."""

    def __init__(
        self,
        documents: Documents,
        *,
        batch_size: int,
        sub_sample: float,
        seed: int,
        num_hosts: int,
        is_sharded: bool,
    ) -> None:
        """Remember the documents and how they are drawn.

        Args:
            documents: This machine's.
            batch_size: Documents of a batch, per machine.
            sub_sample: Share of the documents that an epoch draws.
            seed: Of the job.
            num_hosts: Machines of the job.
            is_sharded: Whether each machine has documents of its own.
        """
        self._shelf = Shelf(documents)
        self._batch_size, self._sub_sample, self._seed = batch_size, sub_sample, seed
        self._num_hosts = num_hosts
        self._is_sharded = is_sharded and num_hosts > 1
        self._counts: list[int] | None = None

    def __call__(self, place: Place) -> Iterator[Bags]:
        """Yield this rank's part of each batch of an epoch; a part may hold no document."""
        self._shelf.to(place.device)
        if self._counts is None:
            own = self._shelf.num_documents
            per_host = place.world_size // self._num_hosts
            self._counts = (
                numbers_of_all(own, place.device)[::per_host] if self._is_sharded else [own]
            )
            refuse_empty_shares("train", self._counts)
        drawn = [max(1, round(self._sub_sample * count)) if count else 0 for count in self._counts]
        yield from self._shelf.cuts(self._parts(place, drawn), is_sorted=True)

    def _parts(self, place: Place, drawn: list[int]) -> Iterator[Tensor]:
        """Yield the documents of this rank's part of each batch."""
        if not self._is_sharded:
            step = self._batch_size * self._num_hosts
            order = self._order(drawn[0], place.epoch, self._seed)
            for first in range(place.first_record, drawn[0], step):
                yield order[first + place.rank : first + step : place.world_size]
            return
        per_host = place.world_size // self._num_hosts
        host, local = divmod(place.rank, per_host)
        order = self._order(drawn[host], place.epoch, self._seed + host)
        for first in range(
            _begin(drawn, self._batch_size, place.first_record), max(drawn), self._batch_size
        ):
            yield order[first + local : first + self._batch_size : per_host]

    def _order(self, num_drawn: int, epoch: int, seed: int) -> Tensor:
        """Return the documents an epoch draws, in its order: 8 bytes for each, where it has many more."""
        positions = np.arange(num_drawn)
        return torch.from_numpy(record_at(positions, self._shelf.num_documents, seed, epoch))


def _begin(drawn: list[int], batch_size: int, num_seen: int) -> int:
    """Return the position at which machines go on that have seen so many documents together."""
    for first in range(0, max(drawn), batch_size):
        if sum(min(count, first) for count in drawn) >= num_seen:
            return first
    return max(drawn)


class AllBatches:
    """All documents in their order, the same in every epoch.

    Differs from the service, which leaves out the last documents when they fill no batch
    (spec 1.7), so that its validation loss is of a few documents less.
    """

    def __init__(self, documents: Documents, *, batch_size: int) -> None:
        """Remember the documents and how many make a batch."""
        self._shelf = Shelf(documents)
        self._batch_size = batch_size

    def __call__(self, place: Place) -> Iterator[Bags]:
        """Yield this rank's part of each batch."""
        self._shelf.to(place.device)
        count, size = self._shelf.num_documents, self._batch_size
        yield from self._shelf.cuts(
            (
                torch.arange(
                    min(first + place.rank, count), min(first + size, count), place.world_size
                )
                for first in range(0, count, size)
            ),
            is_sorted=False,
        )
