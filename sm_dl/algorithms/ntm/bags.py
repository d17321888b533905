"""A batch of bags of words, and its product with a matrix: only words that occur are touched.

Shape letters in this file: B = documents, V = vocabulary, H = columns of the matrix, W = entries: a
word of a document and how often it occurs there.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


class Bags(NamedTuple):
    """Some documents. Entries of one document stand together; each word stands there once."""

    words_W: Tensor
    """Word of each entry, int64."""
    counts_W: Tensor
    """How often it occurs, float32."""
    rows_W: Tensor
    """Document of each entry, int64."""
    starts_B: Tensor
    """First entry of each document, and behind the last one the number of entries; int64."""
    lengths_B: Tensor
    """Words of each document, every occurrence counted; float32."""

    @property
    def num_documents(self) -> int:
        """Return B."""
        return len(self.lengths_B)

    def to(self, device: torch.device) -> "Bags":
        """Return the batch on a device."""
        return Bags(*(tensor.to(device) for tensor in self))


def bag_product(bags: Bags, matrix_VH: Tensor) -> Tensor:
    """Return counts times matrix, shape (B, H); time and memory grow with the entries alone.

    The gradient of the matrix is dense: H numbers for each word of the vocabulary. In mixed precision
    both are float32 all the same: a few rows are added up, which is bound by reading them.
    """
    with torch.autocast(matrix_VH.device.type, enabled=False):
        product: Tensor = _BagProduct.apply(matrix_VH.float(), bags)
    return product


class _BagProduct(torch.autograd.Function):
    """Documents times words one way, words times documents the other."""

    @staticmethod
    def forward(ctx: Any, matrix_VH: Tensor, bags: Bags) -> Tensor:  # noqa: ANN401 - torch's own
        ctx.bags, ctx.num_words = bags, len(matrix_VH)
        return _sums_of_rows(matrix_VH, bags.words_W, bags.counts_W, bags.starts_B)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        bags: Bags = ctx.bags
        (gradient_BH,) = gradients
        order_W = _order_by_word(bags.words_W, ctx.num_words)
        times_V = torch.bincount(bags.words_W, minlength=ctx.num_words)
        starts_V = functional.pad(torch.cumsum(times_V, 0), (1, 0))
        rows_W, counts_W = (
            bags.rows_W.index_select(0, order_W),
            bags.counts_W.index_select(0, order_W),
        )
        return _sums_of_rows(gradient_BH.contiguous(), rows_W, counts_W, starts_V), None


def _sums_of_rows(matrix: Tensor, rows_W: Tensor, factors_W: Tensor, starts: Tensor) -> Tensor:
    """Return for each run of entries the sum of the rows they name, each times its factor."""
    sums: Tensor = functional.embedding_bag(
        rows_W, matrix, starts, mode="sum", per_sample_weights=factors_W, include_last_offset=True
    )
    return sums


def _order_by_word(words_W: Tensor, num_words: int) -> Tensor:
    """Return the order in which the entries of each word stand together, by document."""
    if words_W.device.type == "cpu" and num_words <= 1 << 16:  # NumPy sorts 16 bits by digits
        words = words_W.numpy().astype(np.uint16)
        return torch.from_numpy(np.argsort(words, kind="stable"))
    return torch.argsort(words_W, stable=True)
