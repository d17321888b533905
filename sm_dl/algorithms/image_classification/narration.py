"""The lines the service prints while an image classifier trains."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from sm_dl.contract.metrics import MetricLog
from sm_dl.engine.losses import LOSS, Running
from sm_dl.engine.narration import EpochSummary

logger = logging.getLogger(__name__)

BATCHES_PER_LINE = 20
"""The service prints its speed at every twentieth batch."""
DIGITS = 6
"""Of an accuracy, after the point."""
ACCURACY = "accuracy"
TOP_K = "top_k_accuracy_"


class ImageClassificationNarrator:
    """Says speed and accuracy while an epoch runs, and its figures when it ends."""

    def __init__(
        self,
        log: MetricLog,
        write_snapshot: Callable[[int], Path | None],
        every: int | None,
        *,
        has_validation: bool,
    ) -> None:
        """Remember where metric lines go.

        Args:
            log: Prints the registered metrics.
            write_snapshot: Writes the weights after so many epochs; None where it could not.
            every: `checkpoint_frequency`; None keeps the best epoch alone.
            has_validation: Whether there is a best epoch; else the last one is kept.
        """
        self._log = log
        self._write_snapshot = write_snapshot
        self._every = every
        if every is None:
            kept = "best" if has_validation else "last"
            logger.info("checkpoint_frequency not set, will store the %s model", kept)

    def batch_ends(self, epoch: int, batch: int, running: Running) -> None:
        """Print speed and accuracy so far at every twentieth batch."""
        if batch == 0 or batch % BATCHES_PER_LINE:
            return
        speed = running.records_per_second
        figures = "".join(f"\t{name}={value:f}" for name, value in _shown(running.means()).items())
        logger.info("Epoch[%d] Batch [%d]\tSpeed: %.3f samples/sec%s", epoch, batch, speed, figures)

    def epoch_ends(self, summary: EpochSummary) -> None:
        """Print the lines of an epoch."""
        epoch = summary.epoch
        for name, value in _shown(summary.train).items():
            if name == ACCURACY:
                self._log.say("train:accuracy", round(value, DIGITS), epoch=epoch)
            else:
                logger.info("Epoch[%d] Train-%s=%f", epoch, name, value)
        logger.info("Epoch[%d] Train-loss=%f", epoch, summary.train[LOSS])
        logger.info("Epoch[%d] Time cost=%.3f", epoch, summary.seconds)
        for name, value in _shown(summary.validation).items():
            if name == ACCURACY:
                self._log.say("validation:accuracy", round(value, DIGITS), epoch=epoch)
            else:
                logger.info("Epoch[%d] Validation-%s=%f", epoch, name, value)
        if self._every is not None:
            is_due = (epoch + 1) % self._every == 0 or summary.ends_early
            path = self._write_snapshot(epoch + 1) if is_due else None
            if path is not None:
                logger.info('Saved checkpoint to "%s"', path)
        elif summary.is_kept and summary.validation:
            best = summary.validation[ACCURACY]
            logger.info("Storing the best model with validation accuracy: %f", best)


def _shown(means: Mapping[str, float]) -> dict[str, float]:
    """Return the figures that lines are made of: accuracies, not losses."""
    return {
        name: value for name, value in means.items() if name == ACCURACY or name.startswith(TOP_K)
    }
