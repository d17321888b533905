"""The training step of IP Insights for Lightning: loss, accuracy, AUC, optimizer."""

import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.nn import functional

from sm_dl.algorithms.ip_insights.hyperparameters import IPInsightsHyperparameters
from sm_dl.algorithms.ip_insights.metrics import area_under_curve
from sm_dl.algorithms.ip_insights.network import IPInsightsNetwork, PairBatch
from sm_dl.engine.gathering import rows_of_all
from sm_dl.engine.losses import StepLoss
from sm_dl.engine.optim import MXNetOptimizer, mxnet_optimizer
from sm_dl.engine.row_updates import RowOptimizer, leave_out_of_ddp

ACCURACY, AUC = "accuracy", "discriminator_auc"


class IPInsightsModule(LightningModule):
    """Minimises the binary cross entropy of observed against generated pairs with lazy Adam."""

    def __init__(
        self, network: IPInsightsNetwork, hyperparameters: IPInsightsHyperparameters
    ) -> None:
        """Wrap a network to be trained."""
        super().__init__()
        self.network = network
        self.learning_rate = hyperparameters.learning_rate
        self.weight_decay = hyperparameters.weight_decay
        self._scores: list[Tensor] = []
        leave_out_of_ddp(self, [f"network.{name}" for name in network.tables()])

    def training_step(self, batch: PairBatch, batch_idx: int) -> StepLoss:
        """Return the cross entropy of the batch and its correct answers, summed over all pairs."""
        return _step_loss(self.network(batch))

    def on_validation_epoch_start(self) -> None:
        """Forget the scores of the epoch before."""
        self._scores = []

    def validation_step(self, batch: PairBatch, batch_idx: int) -> StepLoss:
        """Return the same, and keep the scores: the area under a curve is no sum."""
        scores = self.network(batch)
        self._scores.append(scores)
        return _step_loss(scores)

    def validation_figures(self) -> dict[str, float]:
        """Return the AUC of observed pairs against random ones, over all processes together."""
        scores = rows_of_all(torch.cat(self._scores)).cpu().numpy()
        self._scores = []
        return {AUC: area_under_curve(scores[:, 0], scores[:, 1:].ravel())}

    def configure_optimizers(self) -> MXNetOptimizer:
        """Return Adam that is lazy about rows of tables."""
        return mxnet_optimizer(
            "adam",
            self,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            kind=RowOptimizer,
        )


def _step_loss(scores: Tensor) -> StepLoss:
    """Return the sums over scores of which the first column belongs to observed pairs.

    The binary cross entropy -[y ln p + (1-y) ln(1-p)] with p = sigmoid(s) is softplus(s) - y s.
    """
    with torch.no_grad():
        observed, generated = scores[:, 0] > 0, scores[:, 1:] <= 0
        correct = observed.sum() + generated.sum()
    return StepLoss(
        total=functional.softplus(scores).sum() - scores[:, 0].sum(),
        count=torch.tensor(scores.numel(), device=scores.device),
        records=scores.numel(),
        figures={ACCURACY: correct},
    )
