"""The lines the service prints while IP Insights trains."""

import logging

from sm_dl.algorithms.ip_insights.module import ACCURACY, AUC
from sm_dl.contract.metrics import MetricLog
from sm_dl.engine.losses import LOSS, Running
from sm_dl.engine.narration import EpochSummary

logger = logging.getLogger(__name__)

ACCURACY_METRIC = "train:binary_classification_accuracy"
CROSS_ENTROPY_METRIC = "train:binary_classification_cross_entropy"


class IPInsightsNarrator:
    """Says running means every so many batches, and at each epoch's end its own and the AUC."""

    def __init__(self, log: MetricLog, batches_per_line: int) -> None:
        """Remember where metric lines go, and how often running means are due."""
        self._log = log
        self._batches_per_line = batches_per_line

    def batch_ends(self, epoch: int, batch: int, running: Running) -> None:
        """Print speed and running means at batch 0 and at every so many."""
        if batch % self._batches_per_line:
            return
        means = running.means()
        logger.info(
            "Epoch[%d] Batch [%d]\tSpeed: %.2f samples/sec\tbinary_classification_accuracy=%.6f"
            "\tbinary_classification_cross_entropy=%.6f",
            epoch, batch, running.records_per_second, means[ACCURACY], means[LOSS],
        )  # fmt: skip
        self._log.say(ACCURACY_METRIC, means[ACCURACY], epoch=epoch, batch=batch)
        self._log.say(CROSS_ENTROPY_METRIC, means[LOSS], epoch=epoch, batch=batch)

    def epoch_ends(self, summary: EpochSummary) -> None:
        """Print the lines of an epoch."""
        accuracy, loss = summary.train[ACCURACY], summary.train[LOSS]
        logger.info("Epoch[%d] Train-binary_classification_accuracy=%.6f", summary.epoch, accuracy)
        logger.info("Epoch[%d] Train-binary_classification_cross_entropy=%.6f", summary.epoch, loss)
        logger.info("Epoch[%d] Time cost=%.3f", summary.epoch, summary.seconds)
        self._log.say(f"{ACCURACY_METRIC}:epoch", accuracy, epoch=summary.epoch)
        self._log.say(f"{CROSS_ENTROPY_METRIC}:epoch", loss, epoch=summary.epoch)
        if summary.validation:
            self._log.say(
                "validation:discriminator_auc", summary.validation[AUC], epoch=summary.epoch
            )
        self._log.say("train:progress", 100.0 * (summary.epoch + 1) / summary.num_epochs)
        self._log.say("train:throughput", summary.records_per_second)
