"""The training step of image classification for Lightning: loss, accuracy, optimizer.

Shape letters in this file: B = images, K = classes.
"""

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.nn import functional

from sm_dl.algorithms.image_classification.data import Batch
from sm_dl.algorithms.image_classification.hyperparameters import ImageClassificationHyperparameters
from sm_dl.algorithms.image_classification.narration import ACCURACY, TOP_K
from sm_dl.algorithms.image_classification.network import ResNetClassifier
from sm_dl.engine.losses import StepLoss
from sm_dl.engine.optim import mxnet_optimizer


class ImageClassificationModule(LightningModule):
    """Minimises the mean cross-entropy of an image with the service's optimizers."""

    positive_weight_K: Tensor | None
    needs_observations = True

    def __init__(
        self,
        network: ResNetClassifier,
        hyperparameters: ImageClassificationHyperparameters,
        positive_weight_K: Tensor | None = None,
    ) -> None:
        """Wrap a network to be trained.

        Args:
            network: What is trained.
            hyperparameters: Of the job.
            positive_weight_K: How much a mark counts against its absence, for several labels an
                image; see `positive_weights`.
        """
        super().__init__()
        self.network = network
        self.settings = hyperparameters
        self.register_buffer("positive_weight_K", positive_weight_K, persistent=False)

    def training_step(self, batch: Batch, batch_idx: int) -> StepLoss:
        """Return the loss of the batch, summed over images, and how many were right."""
        logits_BK = self.network(batch.images_BCHW).float()
        loss_B, figures = (
            self._multi_label(logits_BK, batch.labels)
            if self.settings.multi_label
            else self._multi_class(logits_BK, batch.labels)
        )
        weight_B = batch.weight_B
        return StepLoss(
            total=(loss_B * weight_B).sum(),
            count=weight_B.sum(),
            records=len(loss_B),
            figures={name: (right_B * weight_B).sum() for name, right_B in figures.items()},
        )

    def validation_step(self, batch: Batch, batch_idx: int) -> StepLoss:
        """Return the same; the best epoch is chosen by its accuracy."""
        return self.training_step(batch, batch_idx)

    def _multi_class(self, logits_BK: Tensor, labels_B: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return softmax cross-entropy, and whether the true class is the first, or in the first k."""
        loss_B = functional.cross_entropy(logits_BK, labels_B, reduction="none")
        figures = {ACCURACY: (logits_BK.argmax(1) == labels_B).float()}
        if self.settings.top_k is not None:
            first_BK = logits_BK.topk(self.settings.top_k, dim=1).indices
            is_among_B = (first_BK == labels_B[:, None]).any(1)
            figures[f"{TOP_K}{self.settings.top_k}"] = is_among_B.float()
        return loss_B, figures

    def _multi_label(self, logits_BK: Tensor, marks_BK: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return binary cross-entropy and accuracy (threshold 0.5), each averaged over classes."""
        loss_BK = functional.binary_cross_entropy_with_logits(
            logits_BK, marks_BK, pos_weight=self.positive_weight_K, reduction="none"
        )
        is_right_BK = (logits_BK > 0) == (marks_BK > 0.5)
        return loss_BK.mean(1), {ACCURACY: is_right_BK.float().mean(1)}

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return the optimizer, and its step size by epoch."""
        settings = self.settings
        optimizer = mxnet_optimizer(
            settings.optimizer,
            self,
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            momentum=settings.momentum,
            beta_1=settings.beta_1,
            beta_2=settings.beta_2,
            gamma=settings.gamma,
            epsilon=settings.eps,
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self.rate_factor)
        return [optimizer], [schedule]

    def rate_factor(self, epochs_done: int) -> float:
        """Return what the learning rate is multiplied by when so many epochs are over.

        Differs from the service: it turns epochs into updates by `num_training_samples`, so a wrong
        number moves its steps.
        """
        num_steps = sum(epochs_done >= epoch for epoch in self.settings.scheduled_epochs)
        return float(self.settings.lr_scheduler_factor**num_steps)


def positive_weights(positives_K: Tensor, num_images: int) -> Tensor:
    """Return how much a mark of each class counts, (images without it) / (images with it).

    The service's own formula is not public.
    """
    return (num_images - positives_K) / positives_K.clamp_min(1)
