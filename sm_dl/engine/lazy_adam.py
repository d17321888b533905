"""Adam that leaves the rows of a table alone which a batch does not touch.

A table of embeddings gets its gradient as a sparse tensor of rows (`torch.nn.functional.embedding`
with `sparse=True`). Moments, decay and update then reach those rows only: a step costs what a batch
holds, not what the table holds. That is MXNet's `lazy_update` (python/mxnet/optimizer.py, 1.3.0), of
which the service's containers warn in their logs; plain Adam would move every row at every step.
"""

# ruff: noqa: SLF001 - torch's fused update, its parts of sparse tensors and DDP's list have no public names

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from sm_dl.engine.gathering import num_processes, rows_of_all

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


class LazyAdam(torch.optim.Optimizer):
    """Adam with L2 decay in the gradient: lazy for sparse gradients, plain for all others.

    As in MXNet, the corrections of the moments' start count the updates of the whole tensor, those
    of a row not: a row's first update is the larger for it.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], *, lr: float, weight_decay: float = 0.0
    ) -> None:
        """Set up one group.

        Args:
            parameters: Weights; those with sparse gradients keep to them.
            lr: Step size.
            weight_decay: L2 coefficient, on touched rows and on all dense weights.
        """
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Make one update."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            given = [(one, one.grad) for one in group["params"] if one.grad is not None]
            self._step_densely([pair for pair in given if not pair[1].is_sparse], group)
            for weight, gradient in given:
                if gradient.is_sparse:
                    self._step_rows(weight, gradient, group)
        return loss

    def _state(self, weight: Tensor, step: Tensor | int) -> dict[str, Any]:
        state: dict[str, Any] = self.state[weight]
        if not state:
            state["step"] = step
            state["mean"], state["square"] = torch.zeros_like(weight), torch.zeros_like(weight)
        return state

    def _step_densely(self, given: list[tuple[Tensor, Tensor]], group: dict[str, Any]) -> None:
        if not given:
            return
        states = [self._state(weight, weight.new_zeros(())) for weight, _ in given]
        steps = [state["step"] for state in states]
        torch._foreach_add_(steps, 1)
        torch._fused_adam_(
            [weight for weight, _ in given],
            [gradient for _, gradient in given],
            [state["mean"] for state in states],
            [state["square"] for state in states],
            [],
            steps,
            lr=group["lr"],
            beta1=BETA_1,
            beta2=BETA_2,
            weight_decay=group["weight_decay"],
            eps=EPSILON,
            amsgrad=False,
            maximize=False,
        )

    def _step_rows(self, weight: Tensor, sparse: Tensor, group: dict[str, Any]) -> None:
        rows, gradient = rows_of(sparse)
        if num_processes() > 1:
            rows, gradient = _mean_of_processes(rows, gradient)
        state = self._state(weight, 0)
        state["step"] += 1
        count = state["step"]
        # rows are taken out, changed, and put back: adding to rows in place is slower
        own = weight.index_select(0, rows)
        if group["weight_decay"]:
            gradient = gradient.add(own, alpha=group["weight_decay"])
        mean = state["mean"].index_select(0, rows).lerp_(gradient, 1 - BETA_1)
        square = state["square"].index_select(0, rows).mul_(BETA_2)
        square.addcmul_(gradient, gradient, value=1 - BETA_2)
        state["mean"].index_copy_(0, rows, mean)
        state["square"].index_copy_(0, rows, square)
        scale = square.sqrt_().div_(math.sqrt(1 - BETA_2**count)).add_(EPSILON)
        weight.index_copy_(
            0, rows, own.addcdiv_(mean, scale, value=-group["lr"] / (1 - BETA_1**count))
        )


def rows_of(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distinct rows of a sparse gradient, and the sum of each one's values."""
    rows, values = gradient._indices()[0], gradient._values()
    if gradient.is_coalesced():
        return rows, values
    return summed(rows, values)


def summed(rows: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Return distinct rows, sorted, and the sum of the values that each had."""
    if rows.device.type != "cpu" or not len(rows):
        distinct, place = torch.unique(rows, return_inverse=True)
        sums = values.new_zeros(len(distinct), *values.shape[1:])
        return distinct, sums.index_add_(0, place, values)
    # a third of the time of the above: NumPy sorts integers with vector instructions, and a bag of
    # embeddings sums neighbours as no other operation does
    order = np.argsort(rows.numpy())
    ranked = rows.numpy()[order]
    starts = np.flatnonzero(np.diff(ranked, prepend=-1))
    sums = torch.nn.functional.embedding_bag(
        torch.from_numpy(order), values, torch.from_numpy(starts), mode="sum"
    )
    return torch.from_numpy(ranked[starts]), sums


def _mean_of_processes(rows: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the gradient of dense weights would be: the mean over all processes."""
    rows, gradient = summed(rows_of_all(rows), rows_of_all(gradient))
    return rows, gradient.div_(num_processes())


def leave_out_of_ddp(module: nn.Module, names: list[str]) -> None:
    """Keep DistributedDataParallel from the tables of a module that `LazyAdam` exchanges itself.

    It would send whole tables around; NCCL sends no sparse tensor at all.
    """
    ignore: Any = DistributedDataParallel._set_params_and_buffers_to_ignore_for_model
    ignore(module, names)
