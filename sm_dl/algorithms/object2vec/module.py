"""The training step of Object2Vec for Lightning: loss, accuracy, optimizer."""

from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.nn import functional

from sm_dl.algorithms.object2vec.batches import PairBatch
from sm_dl.algorithms.object2vec.hyperparameters import Object2VecHyperparameters
from sm_dl.algorithms.object2vec.network import Object2VecNetwork
from sm_dl.engine.losses import StepLoss
from sm_dl.engine.optim import MXNetOptimizer, mxnet_optimizer
from sm_dl.engine.row_updates import RowOptimizer, keep_rows_sparse

ACCURACY = "accuracy"
"""The figure beside cross-entropy: correct answers."""


class Object2VecModule(LightningModule):
    """Minimises the mean cross-entropy, or squared error, of pairs."""

    def __init__(
        self, network: Object2VecNetwork, hyperparameters: Object2VecHyperparameters
    ) -> None:
        """Wrap a network to be trained."""
        super().__init__()
        self.network = network
        self.given = hyperparameters
        keep_rows_sparse(self)

    def training_step(self, batch: PairBatch, batch_idx: int) -> StepLoss:
        """Return the loss of the batch, summed over pairs."""
        return step_loss(self.network(batch.in0, batch.in1), batch)

    def validation_step(self, batch: PairBatch, batch_idx: int) -> StepLoss:
        """Return the same; early stopping watches its mean."""
        return self.training_step(batch, batch_idx)

    def configure_optimizers(self) -> MXNetOptimizer:
        """Return the optimizer asked for, lazy about rows of sparse tables."""
        return mxnet_optimizer(
            self.given.optimizer,
            self,
            learning_rate=self.given.learning_rate,
            weight_decay=self.given.weight_decay,
            kind=RowOptimizer,
        )


def step_loss(outputs_BC: Tensor, batch: PairBatch) -> StepLoss:
    """Return the sums of a batch: cross-entropy and correct answers, or squared error."""
    count = batch.weight_B.sum()
    if outputs_BC.shape[1] == 1:
        total: Tensor = _SquaredError.apply(outputs_BC, batch.label_B, batch.weight_B)
        return StepLoss(total=total, count=count, records=batch.records)
    class_B = batch.label_B.long()
    loss_B = functional.cross_entropy(outputs_BC, class_B, reduction="none")
    with torch.no_grad():
        correct = (batch.weight_B * (outputs_BC.argmax(1) == class_B)).sum()
    return StepLoss(
        total=(batch.weight_B * loss_B).sum(),
        count=count,
        records=batch.records,
        figures={ACCURACY: correct},
    )


class _SquaredError(torch.autograd.Function):
    """The weighted sum of squared errors of scores; one node of the graph, not five."""

    @staticmethod
    def forward(ctx: Any, score_B1: Tensor, label_B: Tensor, weight_B: Tensor) -> Tensor:  # noqa: ANN401
        error_B = score_B1.squeeze(1) - label_B
        weighted_B = error_B * weight_B
        ctx.save_for_backward(weighted_B)
        return torch.dot(error_B, weighted_B)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        (weighted_B,) = ctx.saved_tensors
        return (weighted_B * (2 * gradients[0])).unsqueeze(1), None, None
