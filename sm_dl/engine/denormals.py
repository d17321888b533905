"""Numbers below 1e-38, which a processor computes many times slower than others, taken for zero."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def taken_for_zero() -> Iterator[None]:
    """Take such numbers for zero in this thread, and in those it starts, for a while.

    Adam's mean of a row that no longer occurs falls to such a number and stays one, and its update then
    takes two to three times as long; the gradient of a pair that is told apart for sure, sigmoid(-90), is
    one from the beginning. Threads that torch has started before go on as they were: enter this before
    its first operation on a large tensor. The state before cannot be asked for: at the end such numbers
    are numbers again in this thread, as torch has it.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
