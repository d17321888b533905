"""A progress bar for people: epochs, loss, records per second, time left. On a terminal only."""

import logging
import sys
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from typing_extensions import override

from sm_dl.engine.callbacks import BATCHES_PER_LINE, EpochLoss

package_logger = logging.getLogger("sm_dl")


class Progress(Callback):
    """Shows a bar when stdout is a terminal; elsewhere the metric lines say the same."""

    def __init__(self, losses: EpochLoss) -> None:
        """Remember where the numbers come from."""
        self.losses = losses
        self.bar: RichProgress | None = None

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not (trainer.is_global_zero and sys.stdout.isatty()):
            return
        self.bar = RichProgress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("epochs · loss {task.fields[loss]} · {task.fields[speed]} records/s ·"),
            TimeRemainingColumn(),
            console=Console(),
        )
        self.task = self.bar.add_task(
            "", total=self.losses.num_epochs, completed=trainer.current_epoch, loss="-", speed="-"
        )
        self.bar.start()
        self.level = package_logger.level
        package_logger.setLevel(logging.WARNING)  # the bar says what the lines of an epoch would

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.bar is not None and batch_idx % BATCHES_PER_LINE == 0:  # a GPU is not waited for
            self.bar.update(
                self.task,
                loss=f"{float(self.losses.total / self.losses.count):.4g}",
                speed=f"{self.losses.records_per_second(trainer):,.0f}",
            )

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.bar is not None:
            self.bar.update(self.task, completed=trainer.current_epoch + 1)

    @override
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._stop()

    @override
    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            package_logger.setLevel(self.level)
            self.bar = None
