"""The lines the service prints while Object2Vec trains (spec sections 1.7 and 5)."""

import logging
import math
from collections.abc import Mapping

from sm_dl.algorithms.object2vec.module import ACCURACY
from sm_dl.contract.metrics import MetricLog
from sm_dl.engine.losses import LOSS, Running
from sm_dl.engine.narration import EpochSummary
from sm_dl.engine.stopping import PatienceWindow

logger = logging.getLogger(__name__)

LARGEST_EXPONENT = 700
"""Of what a float can hold."""


class EarlyStopping(PatienceWindow):
    """The rule that the topic model has too, in Object2Vec's own words."""

    def _compare(self, window: list[float], value: float) -> None:
        self.words.append(f"patience losses: {window}")
        if min(window) - value >= self._tolerance:
            self._num_bad = 0
            return
        self._num_bad += 1
        self.words.append(f"Bad epoch: loss has not improved (enough). Bad count:{self._num_bad}")

    def words_at_end(self, epoch: int) -> list[str]:
        """Return the lines about an epoch that ends training."""
        return [
            f"Early stopping criterion met! Stopping training at epoch: {epoch}",
            "Early stop condition met. Stopping training.",
        ]

    def last_words(self) -> str:
        """Return the line about the model that is left; epochs count from 0."""
        return f"Best model based on epoch {self._best_epoch}. Best loss: {self._best_loss}"


class Object2VecNarrator:
    """Says at each epoch's end its metrics, what early stopping thinks, progress and speed."""

    def __init__(self, log: MetricLog, selection: EarlyStopping) -> None:
        """Remember where metric lines go, and who judges epochs."""
        self._log, self._selection = log, selection

    def batch_ends(self, epoch: int, batch: int, running: Running) -> None:
        """Say nothing: the service does not."""

    def epoch_ends(self, summary: EpochSummary) -> None:
        """Print the lines of an epoch."""
        say_metrics(self._log, "train", summary.train, epoch=summary.epoch)
        if summary.validation:
            say_metrics(self._log, "validation", summary.validation, epoch=summary.epoch)
        lines = self._selection.words
        if self._selection.is_over(summary.epoch):
            lines = [*lines, *self._selection.words_at_end(summary.epoch)]
        for line in lines:
            logger.info("%s", line)
        self._log.say("train:progress", 100.0 * (summary.epoch + 1) / summary.num_epochs)
        self._log.say("train:throughput", summary.records_per_second)


def named(means: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics that the means of a pass come to, by the service's names."""
    if ACCURACY not in means:
        return {"mean_squared_error": means[LOSS]}
    loss = means[LOSS]
    perplexity = math.exp(loss) if loss < LARGEST_EXPONENT else math.inf
    return {"accuracy": means[ACCURACY], "cross_entropy": loss, "perplexity": perplexity}


def say_metrics(log: MetricLog, channel: str, means: Mapping[str, float], **where: object) -> None:
    """Print the metrics of a channel."""
    for name, value in named(means).items():
        log.say(f"{channel}:{name}", value, **where)
