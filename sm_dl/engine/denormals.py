"""Numbers below 1e-38, which a processor computes many times slower than others, taken for zero."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def denormals_as_zero() -> Iterator[None]:
    """Take such numbers for zero in this thread, and in those it starts, for a while.

    The gradient of a pair that is told apart for sure, sigmoid(-90), is one of them; they bring
    nothing, and made whole epochs of IP Insights take four times as long. The state before cannot be
    asked for: at the end they are numbers again, as torch has it.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
