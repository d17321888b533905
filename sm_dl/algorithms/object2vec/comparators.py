"""How the two encodings of a pair are put together (spec section 1.4), with one gradient for all ways.

Shape letters in this file: B = pairs, D = width of an encoding, X = width behind the comparator.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

WIDTH_FACTORS = {"hadamard": 1, "concat": 2, "abs_diff": 1}
"""By comparator: how many times the width of an encoding it has."""


def compared(one_BD: Tensor, two_BD: Tensor, comparators: Sequence[str]) -> Tensor:
    """Return encodings put together by each comparator in order, shape (B, X)."""
    joined_BX: Tensor = _Compared.apply(one_BD, two_BD, tuple(comparators))
    return joined_BX


class _Compared(torch.autograd.Function):
    """Product, both beside each other and absolute difference, side by side in one tensor.

    As separate operations these are a tenth of a small step: a node of the graph for each of them,
    for each slice of what they are joined to, and for each sum of their gradients.
    """

    @staticmethod
    def forward(ctx: Any, one_BD: Tensor, two_BD: Tensor, comparators: tuple[str, ...]) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(one_BD, two_BD)
        ctx.comparators = comparators
        batch, dim = one_BD.shape
        widths = _widths(comparators, dim)
        joined_BX = one_BD.new_empty(batch, sum(widths))
        for name, part in zip(comparators, joined_BX.split_with_sizes(widths, 1), strict=True):
            if name == "hadamard":
                torch.mul(one_BD, two_BD, out=part)
            elif name == "concat":
                torch.cat((one_BD, two_BD), 1, out=part)
            else:
                torch.sub(one_BD, two_BD, out=part).abs_()
        return joined_BX

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:  # noqa: ANN401
        one_BD, two_BD = ctx.saved_tensors
        parts = gradients[0].split_with_sizes(_widths(ctx.comparators, one_BD.shape[1]), 1)
        ones, twos = [], []
        for name, part in zip(ctx.comparators, parts, strict=True):
            if name == "hadamard":
                ones.append(part * two_BD)
                twos.append(part * one_BD)
            elif name == "concat":
                one, two = part.chunk(2, 1)
                ones.append(one)
                twos.append(two)
            else:  # 0 where both are equal, as torch has it
                towards_one = (one_BD - two_BD).sgn_().mul_(part)
                ones.append(towards_one)
                twos.append(-towards_one)
        return sum(ones[1:], ones[0]), sum(twos[1:], twos[0]), None


def _widths(comparators: Sequence[str], dim: int) -> list[int]:
    return [WIDTH_FACTORS[name] * dim for name in comparators]
