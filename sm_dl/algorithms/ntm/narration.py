"""The lines the service prints while a topic model trains (spec sections 1.6 and 5)."""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass

from sm_dl.contract.metrics import MetricLog
from sm_dl.engine.losses import LOSS, Running
from sm_dl.engine.narration import EpochSummary
from sm_dl.engine.stopping import PatienceWindow

logger = logging.getLogger(__name__)

LARGEST_EXPONENT = 700
"""Of what a float can hold; a loss above it has no perplexity."""


@dataclass(frozen=True)
class Sizes:
    """How many documents there are to tell of."""

    batch: int
    """Documents of a batch of all machines."""
    validation: int = 0
    """Documents of the validation channel."""


class NTMNarrator:
    """Says at each epoch's end the terms of the loss, what early stopping thinks, and the speed."""

    def __init__(self, log: MetricLog, selection: PatienceWindow, sizes: Sizes) -> None:
        """Remember where metric lines go, who judges epochs, and how many documents there are."""
        self._log, self._selection, self._sizes = log, selection, sizes

    def batch_ends(self, epoch: int, batch: int, running: Running) -> None:
        """Say nothing: the service does not."""

    def epoch_ends(self, summary: EpochSummary) -> None:
        """Print the block of an epoch; epochs count from 1 there."""
        epoch = summary.epoch + 1
        logger.info(
            "# Finished training epoch %d on %d examples from %d batches, each of size %d.",
            epoch, summary.records, summary.batches, self._sizes.batch,
        )  # fmt: skip
        logger.info("Metrics for Training:")
        log_terms(summary.train)
        self._log.say("train:total_loss", summary.train[LOSS], epoch=epoch)
        if summary.validation:
            count = self._sizes.validation
            log_scoring(count, math.ceil(count / self._sizes.batch), self._sizes.batch)
            log_terms(summary.validation)
            logger.info("#validation_score (%d): %s", epoch, summary.validation[LOSS])
            self._log.say("validation:total_loss", summary.validation[LOSS], epoch=epoch)
        for line in self._selection.words:
            logger.info("%s", line)
        if self._selection.is_over(summary.epoch):
            logger.info("#progress_metric: host=%s, completed 100 %% epochs", self._log.host)
        else:
            self._log.say("train:progress", 100.0 * epoch / summary.num_epochs)
        self._log.say("train:throughput", summary.records_per_second)


def log_scoring(num_documents: int, num_batches: int, batch_size: int) -> None:
    """Print the head of the block about documents that were scored."""
    logger.info(
        "Finished scoring on %d examples from %d batches, each of size %d.",
        num_documents, num_batches, batch_size,
    )  # fmt: skip
    logger.info("Metrics for Inference:")


def log_terms(means: Mapping[str, float]) -> None:
    """Print the terms of a loss, and the perplexity that it bounds."""
    names = {"total": LOSS, "kld": "kld", "recons": "recons", "logppx": LOSS}
    for name, figure in names.items():
        logger.info("Loss (name: value) %s: %s", name, means[figure])
    logger.info("Perplexity: %s", perplexity(means[LOSS]))


def perplexity(total: float) -> float:
    """Return exp(total), the bound on the perplexity per word."""
    return math.exp(total) if total < LARGEST_EXPONENT else math.inf
