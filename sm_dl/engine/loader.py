"""Batches addressed by (seed, epoch, position): the same however often a run is interrupted."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from lightning.pytorch import Trainer

Batch = TypeVar("Batch")
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Place:
    """Where a process is in the run: which epoch, which of how many ranks, on which device."""

    epoch: int
    rank: int = 0
    world_size: int = 1
    device: torch.device = CPU


def place_of(trainer: Trainer) -> Place:
    """Return where a trainer is.

    Not by `current_epoch`: Lightning asks for the first batch of a resumed run before that has
    moved on from the finished epoch.
    """
    progress: Any = trainer.fit_loop.epoch_progress.current
    return Place(
        int(progress.processed),
        trainer.global_rank,
        trainer.world_size,
        trainer.strategy.root_device,
    )


class EpochLoader(Generic[Batch]):
    """Gives Lightning the batches of whatever epoch the trainer is in.

    An epoch may have another number of batches than the one before.
    """

    def __init__(
        self, batches_of: Callable[[Place], Iterator[Batch]], place: Callable[[], Place]
    ) -> None:
        """Remember how the batches of an epoch are made, and how to ask where the trainer is."""
        self._batches_of = batches_of
        self._place = place

    def __iter__(self) -> Iterator[Batch]:
        """Yield this rank's batches of the current epoch."""
        return self._batches_of(self._place())


def address(seed: int, *where: int) -> int:
    """Return a 64-bit seed for one place of a run: (seed, epoch, batch, rank)."""
    low, high = np.random.SeedSequence((seed, *where)).generate_state(2)
    return int(high) << 32 | int(low)
