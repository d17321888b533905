"""MXNet's optimizers for token tables: a step reaches the rows that a batch touches, and no others.

A table gets its gradient as a sparse tensor of rows (`torch.nn.Embedding` with `sparse=True`). State,
decay and update of the rule then cost what a batch holds, not what the table holds. That is MXNet's
`lazy_update` of `row_sparse` gradients (python/mxnet/optimizer.py, 1.3.0), for all of its rules.
"""

from typing import Any

from torch import Tensor, nn

from sm_dl.engine.gathering import num_processes, rows_of_all
from sm_dl.engine.lazy_adam import leave_out_of_ddp, rows_of, summed
from sm_dl.engine.optim import MXNetOptimizer, Tensors


class RowOptimizer(MXNetOptimizer):
    """One of MXNet's rules: lazy for weights with sparse gradients, plain for all others.

    As in MXNet, adam's corrections of the moments' start count the updates of the whole tensor.
    """

    def _update(self, weights: Tensors, group: dict[str, Any]) -> None:
        dense = [one for one in weights if one.grad is not None and not one.grad.is_sparse]
        if dense:
            super()._update(dense, group)
        for weight in weights:
            if weight.grad is not None and weight.grad.is_sparse:
                self._update_rows(weight, weight.grad, group)

    def _update_rows(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        """Take the touched rows out, apply the rule to them as to a weight, and put them back."""
        rows, values = rows_of(gradient)
        if num_processes() > 1:  # the mean over all processes, as of dense weights
            rows, values = summed(rows_of_all(rows), rows_of_all(values))
            values = values.div_(num_processes())
        part = weight.index_select(0, rows)
        part.grad = values
        whole = self.state[weight]
        self.state[part] = {name: state.index_select(0, rows) for name, state in whole.items()}
        super()._update([part], group)
        weight.index_copy_(0, rows, part)
        for name, state in self.state.pop(part).items():
            if name not in whole:
                whole[name] = weight.new_zeros(weight.shape)
            whole[name].index_copy_(0, rows, state)


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
