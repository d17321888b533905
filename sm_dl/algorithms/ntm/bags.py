"""A batch of bags of words, and its product with a matrix: only words that occur are touched.

Shape letters in this file: B = documents, V = vocabulary, H = columns of the matrix, W = entries: a
word of a document and how often it occurs there, U = different words of the batch.
"""

import warnings
from typing import Any, NamedTuple

import torch
from torch import Tensor


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
    it is float32 all the same: torch has no sparse product in bfloat16 on a processor.
    """
    with torch.autocast(matrix_VH.device.type, enabled=False):
        product: Tensor = _BagProduct.apply(matrix_VH.float(), bags)
    return product


class _BagProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrix_VH: Tensor, bags: Bags) -> Tensor:  # noqa: ANN401 - torch's own
        ctx.bags, ctx.num_words = bags, len(matrix_VH)
        size = (bags.num_documents, len(matrix_VH))
        return _csr(bags.starts_B, bags.words_W, bags.counts_W, size) @ matrix_VH

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        bags: Bags = ctx.bags
        (gradient_BH,) = gradients
        words_W, order_W = torch.sort(bags.words_W)
        present_U, times_U = torch.unique_consecutive(words_W, return_counts=True)
        ends_U = torch.cumsum(times_U, 0)
        starts_U = torch.cat([ends_U.new_zeros(1), ends_U])
        transposed = _csr(
            starts_U,
            bags.rows_W[order_W],
            bags.counts_W[order_W],
            (len(present_U), bags.num_documents),
        )
        dense_VH = gradient_BH.new_zeros(ctx.num_words, gradient_BH.shape[1])
        dense_VH[present_U] = transposed @ gradient_BH.contiguous()
        return dense_VH, None


def _csr(starts: Tensor, columns: Tensor, values: Tensor, size: tuple[int, int]) -> Tensor:
    """Return a sparse matrix by rows."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(starts, columns, values, size, check_invariants=False)
