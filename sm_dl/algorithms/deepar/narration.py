"""The lines the service prints while DeepAR trains."""

from sm_dl.contract.metrics import MetricLog
from sm_dl.engine.losses import LOSS, Running
from sm_dl.engine.narration import EpochSummary

BATCHES_PER_LINE = 5
"""The service prints a running loss at every fifth batch."""


class DeepARNarrator:
    """Says the running loss, and at each epoch's end its losses, the progress and the speed."""

    def __init__(self, log: MetricLog) -> None:
        """Remember where metric lines go."""
        self._log = log

    def batch_ends(self, epoch: int, batch: int, running: Running) -> None:
        """Print the running loss at every fifth batch, unless nothing was observed yet."""
        if batch % BATCHES_PER_LINE == 0 and (loss := running.mean()) == loss:
            self._log.say("train:loss:batch", loss, epoch=epoch, batch=batch)

    def epoch_ends(self, summary: EpochSummary) -> None:
        """Print the lines of an epoch."""
        self._log.say("train:loss", summary.train[LOSS], epoch=summary.epoch)
        self._log.say("train:progress", 100.0 * (summary.epoch + 1) / summary.num_epochs)
        self._log.say("train:throughput", summary.records_per_second)
        if summary.validation:
            self._log.say("validation:loss", summary.validation[LOSS], epoch=summary.epoch)
