"""The training step of DeepAR for Lightning: loss, gradient, optimizer."""

import math

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler

from sm_dl.algorithms.deepar.hyperparameters import DeepARHyperparameters
from sm_dl.algorithms.deepar.network import DeepARNetwork
from sm_dl.algorithms.deepar.windows import Windows
from sm_dl.engine.losses import StepLoss

ADAM_BETAS = (0.9, 0.99)
"""The second is shorter than usual (0.999): small data sets train for a few hundred updates."""


def step_size_share(done: float) -> float:
    """Return the share of the learning rate in use when a share `done` of the epochs is over.

    All of it for the first half, then half a cosine down to zero: the last updates settle.
    """
    return 1.0 if done < 0.5 else 0.5 * (1 + math.cos(math.pi * (2 * done - 1)))


class DeepARModule(LightningModule):
    """Minimises the mean loss per observed point with Adam."""

    gradient_norm = 10.0
    """Longest gradient of a step. Source: GluonTS's trainer; the service's own is not public."""

    def __init__(self, network: DeepARNetwork, hyperparameters: DeepARHyperparameters) -> None:
        """Wrap a network to be trained."""
        super().__init__()
        self.network = network
        self.num_context = hyperparameters.context_length
        self.learning_rate = hyperparameters.learning_rate
        self.num_epochs = hyperparameters.epochs

    def training_step(self, batch: Windows, batch_idx: int) -> StepLoss:
        """Return the loss of the batch, summed over observed points."""
        total, count = self.network.loss(batch, self.num_context)
        return StepLoss(total=total, count=count, records=batch.num_windows)

    def validation_step(self, batch: Windows, batch_idx: int) -> StepLoss:
        """Return the same; early stopping watches its mean."""
        return self.training_step(batch, batch_idx)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return Adam, all weights in one fused update, and its step size by epoch."""
        optimizer = torch.optim.Adam(
            self.parameters(), lr=self.learning_rate, betas=ADAM_BETAS, fused=True
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda epoch: step_size_share(epoch / self.num_epochs)
        )
        return [optimizer], [schedule]
