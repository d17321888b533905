"""MXNet's optimizers for token tables: a step reaches the rows that a batch touches, and no others.

A table gets its gradient as a sparse tensor of rows (`torch.nn.Embedding` with `sparse=True`). State,
decay and update of the rule then cost what a batch holds, not what the table holds. That is MXNet's
`lazy_update` of `row_sparse` gradients (python/mxnet/optimizer.py, 1.3.0), for all of its rules.
"""

from typing import Any, NamedTuple

from torch import Tensor, nn

from sm_dl.engine.gathering import num_processes, rows_of_all
from sm_dl.engine.lazy_adam import leave_out_of_ddp, rows_of, summed
from sm_dl.engine.optim import MXNetOptimizer, Tensors


class RowOptimizer(MXNetOptimizer):
    """One of MXNet's rules: lazy for weights with sparse gradients, plain for all others.

    As in MXNet, adam's corrections of the moments' start count the updates of the whole tensor.
    """

    def _update(self, weights: Tensors, group: dict[str, Any]) -> None:
        """Take touched rows out, apply the rule to them as to weights of their own, put them back."""
        parts = [
            self._taken_out(one, one.grad) if one.grad is not None and one.grad.is_sparse else None
            for one in weights
        ]
        super()._update(
            [
                one if part is None else part.values
                for one, part in zip(weights, parts, strict=True)
            ],
            group,
        )
        for weight, part in zip(weights, parts, strict=True):
            if part is not None:
                self._put_back(weight, part)

    def _taken_out(self, weight: Tensor, gradient: Tensor) -> "_Rows":
        rows, values = distinct_rows(gradient)
        if num_processes() > 1:  # the mean over all processes, as of dense weights
            rows, values = summed(rows_of_all(rows), rows_of_all(values))
            values = values.div_(num_processes())
        part = weight.index_select(0, rows)
        part.grad = values
        whole = self.state[weight]
        self.state[part] = {name: state.index_select(0, rows) for name, state in whole.items()}
        return _Rows(rows, part)

    def _put_back(self, weight: Tensor, part: "_Rows") -> None:
        weight.index_copy_(0, part.rows, part.values)
        whole = self.state[weight]
        for name, state in self.state.pop(part.values).items():
            if name not in whole:
                whole[name] = weight.new_zeros(weight.shape)
            whole[name].index_copy_(0, part.rows, state)


class _Rows(NamedTuple):
    """Some rows of a table."""

    rows: Tensor
    values: Tensor


def distinct_rows(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distinct rows of a sparse gradient, and the sum of each one's values.

    A network that looks each row up once gives them so already, though torch does not know it.
    """
    rows, values = gradient._indices()[0], gradient._values()  # noqa: SLF001 - torch's own word
    is_rising = bool(rows.diff().min() > 0) if len(rows) > 1 else True
    return (rows, values) if is_rising else rows_of(gradient)


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
