"""What updates are made with: a module's optimizer and schedule, and the gradients of its weights."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from sm_dl.engine.optim import STEP


def optimizer_of(module: LightningModule) -> tuple[Any, Any, bool]:
    """Return a module's one optimizer, its schedule, and whether that moves by update, not by epoch.

    Without a schedule the rate is constant. Lightning's forms are taken: an optimizer alone, one and
    its schedule by epoch, and a dictionary that names the schedule's interval, "step" or "epoch".
    """
    configured: Any = module.configure_optimizers()
    if isinstance(configured, torch.optim.Optimizer):
        constant = torch.optim.lr_scheduler.LambdaLR(configured, lambda _epoch: 1.0)
        return configured, constant, False
    if isinstance(configured, dict):
        schedule = configured["lr_scheduler"]
        return configured["optimizer"], schedule["scheduler"], schedule["interval"] == "step"
    (optimizer,), (schedule,) = configured
    return optimizer, schedule, False


def go_on(optimizer: Any, schedule: Any, state: Mapping[str, Any]) -> None:  # noqa: ANN401 - torch's own
    """Go on from a checkpoint's moments and counters with the settings of this job.

    Both restore what they were told by the job that wrote it: an added epoch would be trained at the
    rate at which that one ended.

    Args:
        optimizer: As the job has configured it.
        schedule: A `LambdaLR` over it.
        state: The checkpoint's `optimizer` and `scheduler`.
    """
    own = [
        {name: value for name, value in group.items() if name not in {"params", STEP}}
        for group in optimizer.param_groups
    ]
    rates = list(schedule.base_lrs)
    optimizer.load_state_dict(state["optimizer"])
    schedule.load_state_dict(state["scheduler"])
    schedule.base_lrs = rates
    for group, settings, rate, factor in zip(
        optimizer.param_groups, own, rates, schedule.lr_lambdas, strict=True
    ):
        group.update(settings | {"lr": rate * factor(schedule.last_epoch)})


def size_of_gradients(weights: Iterable[Tensor]) -> Tensor | float:
    """Return a number that is finite if all gradients are: their length, or on a CPU their sum.

    A sum takes less than half the time. Of sparse gradients without repeated rows added up.
    """
    gradients = [one.grad for one in weights if one.grad is not None]
    gradients = [one._values() if one.is_sparse else one for one in gradients]  # noqa: SLF001
    if all(one.device.type == "cpu" for one in gradients):
        return abs(sum(float(one.sum(dtype=torch.float32)) for one in gradients))
    # what torch.nn.utils.get_total_norm does, which sorts tensors by device and type first
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))  # noqa: SLF001
    return norm
