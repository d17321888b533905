"""The loss of a step and of an epoch, with the other figures that are summed beside it."""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import torch
from torch import Tensor

from sm_dl.errors import AlgorithmError

LOSS = "loss"
"""The name of the mean of `StepLoss.total` among the figures."""
NUM_OWN = 3
"""Loss, count and records stand before the figures in a vector of sums."""


class StepLoss(TypedDict):
    """What a module's `training_step` and `validation_step` return for one rank's part of a batch."""

    total: Tensor
    """Summed loss, a scalar."""
    count: Tensor
    """What to divide by: the points, records or boxes the sum is over, a scalar."""
    records: int
    """Records of this part, for the speed and the place in the epoch."""
    figures: NotRequired[Mapping[str, Tensor]]
    """More sums over the same count, scalars: correct answers, the terms of a loss. The same names
    in every step."""


def sums_of(loss: StepLoss) -> Tensor:
    """Return loss, count, records and figures of a step as one vector of float64."""
    total = loss["total"].detach()
    figures = [figure.detach() for figure in loss.get("figures", {}).values()]
    if total.device.type == "cpu":  # nothing is waited for, and numbers are put together sooner
        numbers = [float(total), float(loss["count"]), loss["records"], *map(float, figures)]
        return torch.tensor(numbers, dtype=torch.float64)
    parts = [total, loss["count"].detach(), total.new_tensor(loss["records"]), *figures]
    return torch.stack([part.double() for part in parts])


class Sums:
    """Adds the sums of steps, over all processes, and gives their means."""

    def __init__(self) -> None:
        """Start at nothing."""
        self._names: tuple[str, ...] = ()
        self._sums = [0.0] * NUM_OWN

    def add(self, sums: Sequence[float], names: tuple[str, ...]) -> None:
        """Add the numbers of what `sums_of` returned, and the names of its figures."""
        if len(self._sums) != len(sums):  # the first step says which figures there are
            self._sums = [0.0] * len(sums)
        self._names = names
        self._sums = [one + more for one, more in zip(self._sums, sums, strict=True)]

    @property
    def records(self) -> int:
        """Return how many records all processes have seen."""
        return int(self._sums[2])

    @property
    def has_observed(self) -> bool:
        """Return whether there was anything to take a mean of."""
        return self._sums[1] > 0

    def mean(self, name: str = LOSS) -> float:
        """Return the mean of a figure; NaN while nothing was observed."""
        return self.means().get(name, math.nan)

    def means(self) -> dict[str, float]:
        """Return the mean of each figure, the loss first; NaN while nothing was observed."""
        total, count, _, *figures = self._sums
        named = {LOSS: total, **dict(zip(self._names, figures, strict=True))}
        return {name: value / count if count > 0 else math.nan for name, value in named.items()}

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {"names": list(self._names), "sums": self._sums}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what a checkpoint kept."""
        self._names = tuple(state["names"])
        self._sums = list(state["sums"])


class Running(Sums):
    """The sums of the epoch under way, and its clock."""

    def __init__(self) -> None:
        """Start at nothing, now."""
        super().__init__()
        self.start_clock()

    def start_clock(self) -> None:
        """Start the clock, also of an epoch that is gone on with."""
        self._started = time.perf_counter()
        self._records_before = self.records

    @property
    def seconds(self) -> float:
        """Return how long this process has been in the epoch."""
        return time.perf_counter() - self._started

    @property
    def records_per_second(self) -> float:
        """Return the speed of the whole job in this epoch."""
        return (self.records - self._records_before) / max(self.seconds, 1e-9)


class History:
    """The mean of each figure in each finished epoch; NaN in those that did not have it."""

    def __init__(self) -> None:
        """Start before the first epoch."""
        self.train: dict[str, list[float]] = {LOSS: []}
        self.validation: dict[str, list[float]] = {}

    @property
    def losses(self) -> list[float]:
        """Return the training losses."""
        return self.train[LOSS]

    def add(self, train: Mapping[str, float], validation: Mapping[str, float]) -> None:
        """Add the means of one more epoch."""
        num_before = len(self.losses)
        for curves, means in ((self.train, train), (self.validation, validation)):
            for name in {**curves, **means}:
                curve = curves.setdefault(name, [math.nan] * num_before)
                curve.append(means.get(name, math.nan))

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {"train": self.train, "validation": self.validation}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what a checkpoint kept."""
        self.train = {name: list(curve) for name, curve in state["train"].items()}
        self.validation = {name: list(curve) for name, curve in state["validation"].items()}


class DivergedError(AlgorithmError):
    """A loss or a gradient is no number; `fit` adds what becomes of the model."""


def finite(number: float, epoch: int, batch: int | None = None, *, what: str = "loss") -> float:
    """Return a loss, or the length of a gradient, that is a number.

    Raises:
        DivergedError: It is none. The weights may have come to no numbers an update earlier.
    """
    if math.isfinite(number):
        return number
    where = f"epoch {epoch}" if batch is None else f"epoch {epoch}, batch {batch}"
    raise DivergedError(f"{where}: the {what} is {number}")
