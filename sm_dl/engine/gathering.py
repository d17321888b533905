"""What the processes of a job put together from parts of different length; alone, nothing happens."""

import torch
import torch.distributed as dist
from torch import Tensor


def num_processes() -> int:
    """Return how many processes train together; 1 before they have met."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def numbers_of_all(number: int, device: torch.device) -> list[int]:
    """Return one number of each process, by rank.

    Args:
        number: Of this process.
        device: The one it trains on, over which they talk.
    """
    if num_processes() == 1:
        return [number]
    own = torch.tensor([number], device=device)
    every = [torch.empty_like(own) for _ in range(num_processes())]
    dist.all_gather(every, own)
    return [int(one) for one in every]


def sum_of_all(own: Tensor) -> Tensor:
    """Return the sum over all processes, the same in each; all must call it together.

    Args:
        own: Numbers of this process, on the device it trains on; of one shape in all.
    """
    if num_processes() == 1:
        return own
    total = own.clone()
    dist.all_reduce(total)
    return total


def rows_of_all(own: Tensor) -> Tensor:
    """Return the rows of every process, one below the other by rank; all must call it together.

    Args:
        own: The rows of this process, perhaps none; they differ from the others' in number only.
    """
    if num_processes() == 1:
        return own
    lengths = numbers_of_all(len(own), own.device)
    padded = own.new_zeros(max(lengths), *own.shape[1:])
    padded[: len(own)] = own
    every = [torch.empty_like(padded) for _ in lengths]
    dist.all_gather(every, padded)
    return torch.cat([rows[:length] for rows, length in zip(every, lengths, strict=True)])
