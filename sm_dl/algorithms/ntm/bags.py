"""A batch of bags of words, and its product with a matrix: only words that occur are touched.

Shape letters in this file: B = documents, V = vocabulary, H = columns of the matrix, W = entries: a
word of a document and how often it occurs there.
"""

from typing import Any, NamedTuple

import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn import functional

SUM = 0
"""Of torch's modes of a bag."""


class ByWord(NamedTuple):
    """The entries of a batch in the order of their words, and of documents within a word.

    Words, documents and first entries are integers of 32 or 64 bits, all of the same size.
    """

    rows_W: Tensor
    """Document of each entry."""
    counts_W: Tensor
    """How often the word occurs there, float32."""
    starts_V: Tensor
    """First entry of each word, and behind the last one the number of entries."""

    def to(self, device: torch.device) -> "ByWord":
        """Return them on a device."""
        return ByWord._make(tensor.to(device) for tensor in self)


class Bags(NamedTuple):
    """Some documents. Entries of one document stand together; each word stands there once.

    Words, documents and first entries are integers of 32 or 64 bits, all of the same size.
    """

    words_W: Tensor
    """Word of each entry."""
    counts_W: Tensor
    """How often it occurs, float32."""
    starts_B: Tensor
    """First entry of each document, and behind the last one the number of entries."""
    lengths_B: Tensor
    """Words of each document, every occurrence counted; float32."""
    shares_B: Tensor
    """1 / length, and 0 of documents without words; float32."""
    entries: ByWord | None = None
    """The same by word, where a gradient will ask for it."""

    @property
    def num_documents(self) -> int:
        """Return B."""
        return len(self.lengths_B)

    def rows_W(self) -> Tensor:  # noqa: N802 - a shape letter
        """Return the document of each entry."""
        starts_B = self.starts_B
        numbers = torch.arange(self.num_documents, dtype=starts_B.dtype, device=starts_B.device)
        return torch.repeat_interleave(numbers, starts_B.diff(), output_size=len(self.words_W))

    def to(self, device: torch.device) -> "Bags":
        """Return the batch on a device."""
        return Bags._make(None if part is None else part.to(device) for part in self)


def by_word(bags: Bags, num_words: int) -> ByWord:
    """Return the entries of a batch by word, which gradients of matrices with a row a word ask for."""
    if bags.entries is not None:
        return bags.entries
    if bags.words_W.device.type != "cpu":
        return sorted_by_word(bags, num_words)
    matrix = csr_array(
        (bags.counts_W.numpy(), bags.words_W.numpy(), bags.starts_B.numpy()),
        shape=(bags.num_documents, num_words),
    ).tocsc()
    return ByWord(*map(torch.from_numpy, (matrix.indices, matrix.data, matrix.indptr)))


def sorted_by_word(bags: Bags, num_words: int) -> ByWord:
    """Return the same on whatever device."""
    order_W = torch.argsort(bags.words_W, stable=True)
    times_V = torch.bincount(bags.words_W, minlength=num_words)
    return ByWord(
        bags.rows_W().index_select(0, order_W),
        bags.counts_W.index_select(0, order_W),
        functional.pad(torch.cumsum(times_V, 0, dtype=bags.starts_B.dtype), (1, 0)),
    )


def bag_product(
    bags: Bags, matrix_VH: Tensor, bias_H: Tensor, entries: ByWord | None = None
) -> Tensor:
    """Return counts times matrix plus bias, shape (B, H); time and memory grow with the entries alone.

    The gradient of the matrix is dense: H numbers for each word of the vocabulary.

    Args:
        bags: The counts.
        matrix_VH: float32.
        bias_H: float32.
        entries: The same by word, where they are known already; only a gradient needs them.
    """
    product: Tensor = _BagProduct.apply(matrix_VH, bias_H, bags, entries)
    return product


class _BagProduct(torch.autograd.Function):
    """Documents times words one way, words times documents the other."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's own
        matrix_VH: Tensor,
        bias_H: Tensor,
        bags: Bags,
        entries: ByWord | None,
    ) -> Tensor:
        ctx.bags, ctx.entries, ctx.num_words = bags, entries, len(matrix_VH)
        return sums_over_words(bags, matrix_VH).add_(bias_H)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:  # noqa: ANN401
        (gradient_BH,) = gradients
        entries = ctx.entries or by_word(ctx.bags, ctx.num_words)
        by_matrix_VH = sums_over_documents(entries, gradient_BH.contiguous())
        return by_matrix_VH, gradient_BH.sum(0), None, None


def sums_over_words(bags: Bags, matrix_VH: Tensor) -> Tensor:
    """Return counts times matrix, shape (B, H)."""
    return _sums_of_rows(matrix_VH, bags.words_W, bags.counts_W, bags.starts_B)


def sums_over_documents(entries: ByWord, matrix_BH: Tensor) -> Tensor:
    """Return transposed counts times matrix, shape (V, H)."""
    return _sums_of_rows(matrix_BH, entries.rows_W, entries.counts_W, entries.starts_V)


def _sums_of_rows(matrix: Tensor, rows_W: Tensor, factors_W: Tensor, starts: Tensor) -> Tensor:
    """Return for each run of entries the sum of the rows they name, each times its factor."""
    # what torch.nn.functional calls after checks that take as long as a small bag
    sums: Tensor = torch.embedding_bag(
        matrix.detach(),
        rows_W,
        starts,
        mode=SUM,
        per_sample_weights=factors_W,
        include_last_offset=True,
    )[0]
    return sums
