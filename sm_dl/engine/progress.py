"""A progress bar for people: epochs, loss, records per second, time left. On a terminal only."""

import logging
import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from sm_dl.engine.losses import Running

BATCHES_PER_LOOK = 5
package_logger = logging.getLogger("sm_dl")


class Progress:
    """Shows a bar when stdout is a terminal; elsewhere the metric lines say the same."""

    def __init__(self, num_epochs: int, *, is_shown: bool) -> None:
        """Remember how many epochs fill the bar, and whether this process shows one."""
        self._num_epochs = num_epochs
        self._batches = 0
        self._bar: RichProgress | None = None
        if is_shown and sys.stdout.isatty():
            self._bar = RichProgress(
                TextColumn("training"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("epochs · loss {task.fields[loss]} · {task.fields[speed]} records/s ·"),
                TimeRemainingColumn(),
                console=Console(),
            )

    def __enter__(self) -> Self:
        """Start the bar, and quieten the lines that would say the same."""
        if self._bar is not None:
            self._task = self._bar.add_task("", total=self._num_epochs, loss="-", speed="-")
            self._bar.start()
            self._level = package_logger.level
            package_logger.setLevel(logging.WARNING)
        return self

    def show(self, epoch: int, running: Running) -> None:
        """Move the bar after a batch; now and then only, since a GPU is not waited for."""
        if self._bar is not None:
            if self._batches % BATCHES_PER_LOOK == 0:
                self._bar.update(
                    self._task,
                    completed=epoch,
                    loss=f"{running.mean():.4g}",
                    speed=f"{running.records_per_second:,.0f}",
                )
            self._batches += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the bar away, full where training is over."""
        if self._bar is not None:
            if error is None:
                self._bar.update(self._task, completed=self._num_epochs)
            self._bar.stop()
            package_logger.setLevel(self._level)
