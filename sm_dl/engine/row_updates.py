"""MXNet's optimizers for tables of embeddings: a step reaches the rows that a batch touches, and no others.

A table gets its gradient as a sparse tensor of rows (`torch.nn.Embedding` with `sparse=True`). State,
decay and update of the rule then cost what a batch holds, not what the table holds. That is MXNet's
`lazy_update` of `row_sparse` gradients (python/mxnet/optimizer.py, 1.3.0), for all of its rules; the
service's containers warn of it in their logs.
"""

# ruff: noqa: SLF001 - the parts of a sparse tensor and DDP's list have no public names

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from sm_dl.engine.gathering import num_processes, rows_of_all
from sm_dl.engine.optim import MXNetOptimizer, Tensors
from sm_dl.nn.rows import ranked

NUMBERS_AT_ONCE = 1 << 16
"""Of a piece of a table: with gradient and two states 1 MiB, what a core's second cache holds."""


class RowOptimizer(MXNetOptimizer):
    """One of MXNet's rules: lazy for weights with sparse gradients, plain for all others.

    As in MXNet, adam's corrections of the moments' start count the updates of the whole tensor.
    """

    def _update(self, weights: Tensors, group: dict[str, Any]) -> None:
        """Take touched rows out, apply the rule to them as to weights of their own, put them back."""
        dense = [one for one in weights if one.grad is not None and not one.grad.is_sparse]
        pieces = [
            _pieces(one, one.grad) for one in weights if one.grad is not None and one.grad.is_sparse
        ]
        for together in zip_longest(*pieces) if pieces else [()]:
            parts = [self._taken_out(piece) for piece in together if piece is not None]
            if dense or parts:
                super()._update([*dense, *(part.values for part in parts)], group)
            for part in parts:
                self._put_back(part)
            dense = []

    def _taken_out(self, piece: "_Rows") -> "_Rows":
        """Return rows of a weight, which have their gradient and their state like any weight."""
        whole, rows, gradient = piece
        own = _copied(whole, rows)
        own.grad = gradient
        states = self.state[whole].items()
        self.state[own] = {name: _copied(state, rows) for name, state in states}
        return _Rows(whole, rows, own)

    def _put_back(self, part: "_Rows") -> None:
        whole, rows, own = part
        _write(whole, rows, own)
        states = self.state[whole]
        for name, state in self.state.pop(own).items():
            if name not in states:
                states[name] = torch.zeros_like(whole)
            _write(states[name], rows, state)


def _copied(whole: Tensor, rows: Tensor) -> Tensor:
    """Return rows of a tensor. NumPy copies these a fifth faster than torch, and a few in half the time."""
    if whole.device.type != "cpu":
        return whole.index_select(0, rows)
    # rows that were looked up exist: nothing is there to be clipped, or to be checked
    return torch.from_numpy(whole.detach().numpy().take(rows.numpy(), 0, mode="clip"))


def _write(whole: Tensor, rows: Tensor, values: Tensor) -> None:
    """Put rows of a tensor back."""
    if whole.device.type != "cpu":
        whole.index_copy_(0, rows, values)
    else:
        whole.detach().numpy()[rows.numpy()] = values.numpy()


class _Rows(NamedTuple):
    """Some rows of a weight, and their values or gradients."""

    whole: Tensor
    rows: Tensor
    values: Tensor


def _pieces(weight: Tensor, gradient: Tensor) -> Iterator[_Rows]:
    """Yield the touched rows of a weight, as many at once as the processor's cache holds."""
    rows, values = distinct_rows(gradient)
    if num_processes() > 1:  # the mean over all processes, as of dense weights
        rows, values = summed(rows_of_all(rows), rows_of_all(values))
        values = values.div_(num_processes())
    at_once = (
        max(NUMBERS_AT_ONCE // max(values[:1].numel(), 1), 1)
        if weight.device.type == "cpu"
        else len(rows)
    )
    if 0 < len(rows) <= at_once:
        yield _Rows(weight, rows, values)
        return
    for first in range(0, len(rows), max(at_once, 1)):
        piece = slice(first, first + at_once)
        yield _Rows(weight, rows[piece], values[piece])


def distinct_rows(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distinct rows of a sparse gradient, and the sum of each one's values.

    A network that looks each row up once gives them so already, though torch does not know it.
    """
    rows, values = gradient._indices()[0], gradient._values()
    is_rising = bool((rows[1:] > rows[:-1]).all())
    return (rows, values) if is_rising else summed(rows, values)


def summed(rows: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Return distinct rows, sorted, and the sum of the values that each had."""
    if not len(rows):
        return rows, values
    distinct, order, starts = ranked(rows)
    # a bag of embeddings sums neighbours as no other operation does
    return distinct, torch.nn.functional.embedding_bag(order, values, starts, mode="sum")


def leave_out_of_ddp(module: nn.Module, names: list[str]) -> None:
    """Keep DistributedDataParallel from the tables of a module that `RowOptimizer` exchanges itself.

    It would send whole tables around; NCCL sends no sparse tensor at all.
    """
    ignore: Any = DistributedDataParallel._set_params_and_buffers_to_ignore_for_model
    ignore(module, names)


def keep_rows_sparse(module: nn.Module) -> None:
    """Keep DistributedDataParallel from the sparse tables of a module: `RowOptimizer` exchanges rows."""
    leave_out_of_ddp(
        module,
        [
            f"{name}.weight"
            for name, part in module.named_modules()
            if isinstance(part, nn.Embedding) and part.sparse
        ],
    )
