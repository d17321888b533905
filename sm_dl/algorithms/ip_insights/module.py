"""The training step of IP Insights for Lightning: loss, accuracy, AUC, optimizer."""

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.nn import functional

from sm_dl.algorithms.ip_insights.batches import EpochBatches
from sm_dl.algorithms.ip_insights.hashing import Words
from sm_dl.algorithms.ip_insights.hyperparameters import IPInsightsHyperparameters
from sm_dl.algorithms.ip_insights.metrics import area_under_curve
from sm_dl.algorithms.ip_insights.network import IPInsightsNetwork, PairBatch
from sm_dl.engine.gathering import rows_of_all
from sm_dl.engine.losses import StepLoss
from sm_dl.engine.optim import mxnet_optimizer
from sm_dl.engine.row_updates import RowOptimizer, leave_out_of_ddp

ACCURACY, AUC = "accuracy", "discriminator_auc"
DECAYING_SHARE = 0.5
"""Of all updates: over the last ones the rate falls to 0, evenly."""


class IPInsightsModule(LightningModule):
    """Minimises the binary cross entropy of observed against generated pairs with lazy Adam.

    Differs from the service: the rate is not constant. At 0.01, the tutorial's, Adam moves a
    weight by up to that in each update, and the scores of users with few events are noise: attacks
    from networks that share no bit with theirs pass.
    """

    def __init__(
        self,
        network: IPInsightsNetwork,
        hyperparameters: IPInsightsHyperparameters,
        batches: EpochBatches,
    ) -> None:
        """Wrap a network to be trained.

        Args:
            network: What is trained.
            hyperparameters: Of the job.
            batches: What it is trained with; asked once, when the processes have met.
        """
        super().__init__()
        self.network = network
        self.epochs = hyperparameters.epochs
        self._batches = batches
        self._num_updates = 1
        self.entities: Words
        """Hashes of the entities of all processes, sorted; known once they have met."""
        self.learning_rate = hyperparameters.learning_rate
        self.weight_decay = hyperparameters.weight_decay
        self._scores: list[Tensor] = []
        leave_out_of_ddp(self, [f"network.{name}" for name in network.tables()])

    def on_fit_start(self) -> None:
        """Learn how long the training is, and whom all processes have seen."""
        self._num_updates = max(1, self.epochs * self._batches.updates_per_epoch(self.device))
        self.entities = self._batches.entities_of_all(self.device)

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

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return Adam that is lazy about rows of tables, and its step size by update."""
        optimizer = mxnet_optimizer(
            "adam",
            self,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            kind=RowOptimizer,
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self.rate_factor)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def rate_factor(self, updates_done: int) -> float:
        """Return what the learning rate is multiplied by after so many updates."""
        share_left = max(0.0, 1 - updates_done / self._num_updates)
        return min(1.0, share_left / DECAYING_SHARE)


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
