"""What updates are made with: a module's optimizer and schedule, and the gradients of its weights."""

from collections.abc import Iterable
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor


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


def size_of_gradients(weights: Iterable[Tensor]) -> Tensor:
    """Return a number that is finite if all gradients are: their length, or on a CPU their sum.

    A sum takes less than half the time. Of sparse gradients without repeated rows added up.
    """
    gradients = [one.grad for one in weights if one.grad is not None]
    gradients = [one._values() if one.is_sparse else one for one in gradients]  # noqa: SLF001
    if all(one.device.type == "cpu" for one in gradients):
        return torch.stack([one.sum(dtype=torch.float32) for one in gradients]).sum().abs()
    # what torch.nn.utils.get_total_norm does, which sorts tensors by device and type first
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))  # noqa: SLF001
    return norm
