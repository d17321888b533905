"""Rows of a table that a batch looks up several times: which they are, and what belongs to each.

Shape letters in this file: N = look-ups, U = different rows, B = sequences, V = rows of the table,
E = their width.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import embedding, embedding_bag


class Ranked(NamedTuple):
    """Look-ups sorted by row."""

    rows_U: Tensor
    """The different rows, rising."""
    order_N: Tensor
    """Which look-up stands where: those of a row side by side, in the order they had."""
    starts_U: Tensor
    """Where in that order each row begins."""


def ranked(rows_N: Tensor) -> Ranked:
    """Sort look-ups by the row they ask for."""
    sorted_N, order_N = rows_N.sort(stable=True)
    rows_U, counts_U = torch.unique_consecutive(sorted_N, return_counts=True)
    return Ranked(rows_U, order_N, counts_U.cumsum(0) - counts_U)


class _MeanOfRows(torch.autograd.Function):
    """The mean of the rows of each sequence; its gradient holds each row once.

    torch's own gives a sparse gradient with a row for each look-up, many times as large where
    tokens occur as often as those of a language do.
    """

    @staticmethod
    def forward(ctx: Any, table_VE: Tensor, rows_N: Tensor, lengths_B: Tensor) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(rows_N, lengths_B)
        ctx.shape = table_VE.shape
        return embedding_bag(rows_N, table_VE, _starts(lengths_B), mode="mean")

    @staticmethod
    def backward(ctx: Any, gradient_BE: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        rows_N, lengths_B = ctx.saved_tensors
        rows_U, order_N, starts_U = ranked(rows_N)
        numbers_B = torch.arange(len(lengths_B), device=lengths_B.device)
        sequence_N = numbers_B.repeat_interleave(lengths_B)[order_N]
        sums_UE = embedding_bag(
            sequence_N, gradient_BE / lengths_B.unsqueeze(1), starts_U, mode="sum"
        )
        return _of_rows(rows_U, sums_UE, ctx.shape), None, None


class _Rows(torch.autograd.Function):
    """Rows of a table; its gradient holds each of them once, however often it was asked for."""

    @staticmethod
    def forward(ctx: Any, table_VE: Tensor, rows_N: Tensor) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(rows_N)
        ctx.shape = table_VE.shape
        return table_VE.index_select(0, rows_N)

    @staticmethod
    def backward(ctx: Any, gradient_NE: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        rows_U, order_N, starts_U = ranked(*ctx.saved_tensors)
        sums_UE = embedding_bag(order_N, gradient_NE, starts_U, mode="sum")
        return _of_rows(rows_U, sums_UE, ctx.shape), None


def rows_of(table_VE: Tensor, rows_N: Tensor, *, is_sparse: bool) -> Tensor:
    """Return rows of a table, shape (N, E).

    Args:
        table_VE: Vectors, shape (V, E).
        rows_N: Which of them, int64.
        is_sparse: Whether the gradient of the table is to hold only the rows asked for.
    """
    if is_sparse:
        vectors_NE: Tensor = _Rows.apply(table_VE, rows_N)
        return vectors_NE
    return embedding(rows_N, table_VE)


def mean_of_rows(table_VE: Tensor, rows_N: Tensor, lengths_B: Tensor, *, is_sparse: bool) -> Tensor:
    """Return the mean of the rows of each sequence, shape (B, E).

    Args:
        table_VE: Vectors, shape (V, E).
        rows_N: Which of them, all sequences one behind the other, int64.
        lengths_B: Rows of each sequence, at least 1.
        is_sparse: Whether the gradient of the table is to hold only the rows asked for.
    """
    if is_sparse:
        mean_BE: Tensor = _MeanOfRows.apply(table_VE, rows_N, lengths_B)
        return mean_BE
    return embedding_bag(rows_N, table_VE, _starts(lengths_B), mode="mean")


def _of_rows(rows_U: Tensor, values_UE: Tensor, shape: torch.Size) -> Tensor:
    """Return a sparse gradient."""
    return torch.sparse_coo_tensor(rows_U.unsqueeze(0), values_UE, shape, check_invariants=False)


def _starts(lengths_B: Tensor) -> Tensor:
    return lengths_B.cumsum(0) - lengths_B
