"""Where a process is in a run; every random choice follows from it, so a run can be resumed."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

CPU = torch.device("cpu")
HASH_START, HASH_FACTOR, HALF, BITS = 0x8B51F9DD, 0x58F38DED, 16, 0xFFFFFFFF
"""Of NumPy's SeedSequence, whose numbers its documentation promises never to change."""
BATCHES_AT_ONCE = 64


@dataclass(frozen=True)
class Place:
    """Which epoch, from which record on, which of how many ranks, on which device."""

    epoch: int
    first_record: int = 0
    """Records of this epoch that all ranks together have seen already."""
    rank: int = 0
    world_size: int = 1
    device: torch.device = CPU


def address(seed: int, *where: int) -> int:
    """Return a 64-bit seed for one place of a run: (seed, epoch, batch, rank)."""
    low, high, *_ = np.random.SeedSequence((seed, *where)).pool.tolist()
    return _hashed(high, HASH_START * HASH_FACTOR & BITS) << 32 | _hashed(low, HASH_START)


def address_of_batch(seed: int, epoch: int, batch: int, rank: int) -> int:
    """Return the address of one batch, from those of its neighbours, computed together.

    Between two training steps, which leave nothing of NumPy in the processor's caches, one takes
    six times as long.
    """
    group, place = divmod(batch, BATCHES_AT_ONCE)
    return _addresses(seed, epoch, group, rank)[place]


@lru_cache(maxsize=1)
def _addresses(seed: int, epoch: int, group: int, rank: int) -> list[int]:
    first = group * BATCHES_AT_ONCE
    return [address(seed, epoch, batch, rank) for batch in range(first, first + BATCHES_AT_ONCE)]


def _hashed(number: int, key: int) -> int:
    """Return one number of `generate_state`, which by itself takes four times as long as all else."""
    number = (number ^ key) * (key * HASH_FACTOR & BITS) & BITS
    return number ^ number >> HALF


def seed_torch(seed: int, device: torch.device) -> None:
    """Seed what draws random numbers on the CPU and on a device, as `torch.manual_seed` does.

    That one also notes the whole call stack, for a GPU that nobody has used yet, in every batch.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
