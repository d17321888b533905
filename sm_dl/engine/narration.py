"""Who tells the log how training goes: an algorithm's own lines, since the service's differ in each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from sm_dl.engine.losses import Running


@dataclass(frozen=True)
class EpochSummary:
    """What one epoch came to."""

    epoch: int
    """Counted from 0."""
    num_epochs: int
    """Those of the whole job."""
    batches: int
    records: int
    seconds: float
    """In this process; an epoch that was gone on with counts from there."""
    records_per_second: float
    train: Mapping[str, float]
    """Means over the epoch: `loss` and the module's figures."""
    validation: Mapping[str, float]
    """The same of the validation channel; empty without one."""
    is_kept: bool
    """Whether the model would now hold this epoch's weights."""
    ends_early: bool = False
    """Whether training is over with this epoch, before all are done."""


class Narrator(Protocol):
    """Prints an algorithm's lines. Called in the main process only, between two batches."""

    def batch_ends(self, epoch: int, batch: int, running: Running) -> None:
        """Tell of a batch where a line is due; to read `running` is to wait for a GPU."""
        ...

    def epoch_ends(self, summary: EpochSummary) -> None:
        """Tell of an epoch."""
        ...
