"""The training step of the topic model for Lightning: loss, gradient, optimizer."""

import numpy as np
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor

from sm_dl.algorithms.ntm.bags import Bags
from sm_dl.algorithms.ntm.coherence import Meetings, meetings_of
from sm_dl.algorithms.ntm.documents import Documents
from sm_dl.algorithms.ntm.hyperparameters import NTMHyperparameters
from sm_dl.algorithms.ntm.network import NTMNetwork
from sm_dl.algorithms.ntm.topics import NUM_COHERENT_WORDS, top_words
from sm_dl.engine.gathering import num_processes, numbers_of_all, sum_of_all
from sm_dl.engine.losses import StepLoss
from sm_dl.engine.optim import mxnet_optimizer
from sm_dl.engine.place import address


class NTMModule(LightningModule):
    """Minimises the bound per word, summed over the documents of a batch (spec 1.2)."""

    objective = "sum"
    """Calibrated against the service's training log (spec 1.10): the mean learns far slower."""

    def __init__(
        self, network: NTMNetwork, hyperparameters: NTMHyperparameters, documents: Documents
    ) -> None:
        """Wrap a network to be trained.

        Args:
            network: With fresh weights.
            hyperparameters: Of the job.
            documents: Those of this machine to learn from; they are counted only.
        """
        super().__init__()
        self.network = network
        self.hyperparameters = hyperparameters
        self.meetings: Meetings
        """Of the topics' top words in the documents of all machines, once training is over."""
        self._documents = documents

    def on_fit_start(self) -> None:
        """Let the decoder start from how usual words are on all machines together."""
        own = self._documents
        counts_V = torch.from_numpy(np.bincount(own.words, own.counts, own.num_words)).float()
        everywhere_V = sum_of_all(counts_V.to(self.device))
        self.network.start_from(everywhere_V / num_processes())

    def on_fit_end(self) -> None:
        """Count how often the top words meet on all machines together."""
        weight_VK = self.network.projection.weight
        top_KN, _ = top_words(weight_VK)
        own = meetings_of(top_KN[:, :NUM_COHERENT_WORDS], self._documents)
        # processes of one machine count the same documents: shares of them stay what they are
        self.meetings = Meetings(
            sum_of_all(torch.from_numpy(own.together_KNN).to(self.device)).cpu().numpy(),
            sum(numbers_of_all(own.num_documents, self.device)),
        )

    def training_step(self, batch: Bags, batch_idx: int) -> StepLoss:
        """Return the loss of the batch, summed over its documents."""
        return self._loss(batch, torch.randn_like(self._noise_for(batch)))

    def validation_step(self, batch: Bags, batch_idx: int) -> StepLoss:
        """Return the same with noise of its own that is alike in every epoch, so that they compare.

        Differs from the service, whose validation loss is noisy: two runs over the same weights
        and documents printed 6.54412 and 6.54117 (spec 1.2).
        """
        noise = self._noise_for(batch)
        generator = torch.Generator(noise.device)
        generator.manual_seed(address(self.hyperparameters.seed, batch_idx))
        return self._loss(batch, noise.normal_(generator=generator))

    def _noise_for(self, batch: Bags) -> Tensor:
        return batch.lengths_B.new_empty(batch.num_documents, self.network.shape.num_topics)

    def _loss(self, batch: Bags, noise_BK: Tensor) -> StepLoss:
        terms = self.network.loss(batch, noise_BK)
        return StepLoss(
            total=terms.reconstruction + terms.divergence,
            count=torch.count_nonzero(batch.lengths_B),
            records=batch.num_documents,
            figures={"kld": terms.divergence, "recons": terms.reconstruction},
        )

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return the optimizer, in MXNet's meaning."""
        wanted = self.hyperparameters
        return mxnet_optimizer(
            wanted.optimizer,
            self,
            learning_rate=wanted.learning_rate,
            weight_decay=wanted.weight_decay,
            rescale=wanted.rescale_gradient,
            clip=float(wanted.clip_gradient),
        )
