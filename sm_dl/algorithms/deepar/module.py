"""The training step of DeepAR for Lightning: loss, gradient, optimizer."""

import math
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor

from sm_dl.algorithms.deepar.hyperparameters import DeepARHyperparameters
from sm_dl.algorithms.deepar.network import DeepARNetwork
from sm_dl.algorithms.deepar.windows import Windows

GRADIENT_NORM = 10.0
"""Longest gradient of a step. Source: GluonTS's trainer; the service's own is not public."""

ADAM_BETAS = (0.9, 0.99)
"""The second is shorter than usual (0.999): small data sets train for a few hundred updates."""


def step_size_share(done: float) -> float:
    """Return the share of the learning rate in use when a share `done` of the epochs is over.

    All of it for the first half, then half a cosine down to zero: the last updates settle.
    """
    return 1.0 if done < 0.5 else 0.5 * (1 + math.cos(math.pi * (2 * done - 1)))


class DeepARModule(LightningModule):
    """Minimises the mean loss per observed point with Adam."""

    def __init__(self, network: DeepARNetwork, hyperparameters: DeepARHyperparameters) -> None:
        """Wrap a network to be trained."""
        super().__init__()
        self.network = network
        self.num_context = hyperparameters.context_length
        self.learning_rate = hyperparameters.learning_rate
        self.num_epochs = hyperparameters.epochs

    def loss_sums(self, batch: Windows) -> tuple[Tensor, Tensor]:
        """Return the summed loss over observed points and their number, both scalars."""
        return self.network.loss(batch, self.num_context)

    def training_step(self, batch: Windows, batch_idx: int) -> dict[str, Any]:
        """Return the batch's loss, a scalar, and what the epoch's mean is made of."""
        total, count = self.loss_sums(batch)
        world_count = self.trainer.strategy.reduce(count.clone(), reduce_op="sum")
        # gradients are averaged over ranks: weigh each rank by its share of the observed points
        loss = total * self.trainer.world_size / world_count.clamp_min(1.0)
        return {
            "loss": loss,
            "total": total.detach(),
            "count": count.detach(),
            "records": batch.cat_BC.shape[0],
        }

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return Adam, all weights in one fused update, and its step size by epoch."""
        optimizer = torch.optim.Adam(
            self.parameters(), lr=self.learning_rate, betas=ADAM_BETAS, fused=True
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda epoch: step_size_share(epoch / self.num_epochs)
        )
        return [optimizer], [schedule]

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Shorten a gradient that is longer than `GRADIENT_NORM`."""
        torch.nn.utils.clip_grad_norm_(self.parameters(), GRADIENT_NORM)

    def transfer_batch_to_device(
        self,
        batch: Any,  # noqa: ANN401 - Lightning's signature
        device: torch.device,
        dataloader_idx: int,
    ) -> Any:  # noqa: ANN401
        """Return the batch: its windows were cut on the device that needs them."""
        return batch
