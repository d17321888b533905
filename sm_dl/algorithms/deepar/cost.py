"""What a request costs to answer, and how much one request may cost.

A server takes a model that computes for longer than `Settings.predict_s` for a stuck one, and gives
up after three of them: a request that is valid but too large must be refused before it is computed.
Costs are counted in multiply-adds. What is no product (activations, noise, inputs put side by side)
is counted as so many of them as take as long.

Measured on one virtual core of an AMD EPYC with AVX-512, 2026-11-30: 22e9 multiply-adds a second
where its sibling is idle, 12e9 where it is busy. At 22e9 the time is 0.65 to 1.5 times what the count
says, from 1 layer of 1 cell (0.14 us a draw) to 2 layers of 1000 (530 us).
"""

import bisect
from dataclasses import dataclass

from sm_dl.algorithms.deepar.network import NetworkShape
from sm_dl.errors import UserError
from sm_dl.serving.settings import Settings

PER_CELL = 128
"""The activations of one cell in one step."""
PER_DRAW = 2_500
"""Noise and the output of one step."""
PER_INPUT = 256
"""One input of one step, gathered from a series."""
PER_SECOND = {"cpu": 12.5e9}
"""On one modest core."""
PER_SECOND_ELSEWHERE = 1e12
"""A quarter of what a T4 multiplies at its best; reckoned, not measured."""
SHARE_OF_TIME = 1 / 3
"""Of what a server allows: on 60 s a request may take 20, so that machines may be slower than ours."""


@dataclass(frozen=True)
class Costs:
    """What series and paths of one network cost.

    With 60 s allowed on a CPU a request may cost 250e9: a million draws (series * steps * samples) of
    3 layers of 100 cells, 7 million of the default network, which is 139 and 998 series with 100
    samples of 72 steps. 500 such series take the large network 32 s on an idle core and 58 s on a busy
    one: too near to the limit to be let in. (The service reckons with 300 to 1000 ms a series.)
    Networks of one layer of up to 30 cells meet the limit of `codec.MAX_DRAWS` first.
    """

    shape: NetworkShape
    context_length: int
    budget: float
    """Multiply-adds that one request may cost."""

    @classmethod
    def on(cls, device_type: str, shape: NetworkShape, context_length: int) -> "Costs":
        """Return the costs of a network, and a budget by what the server of this process allows."""
        seconds = Settings.from_environment().predict_s * SHARE_OF_TIME
        per_second = PER_SECOND.get(device_type, PER_SECOND_ELSEWHERE)
        return cls(shape, context_length, seconds * per_second)

    def of_series(self, num_steps: int) -> float:
        """Return what one series costs before a path is drawn: its context, its inputs ahead."""
        shape = self.shape
        known = shape.num_inputs * (4 * shape.num_cells + PER_INPUT)
        return (self.context_length + num_steps) * known + self.context_length * self._of_layers()

    def of_path(self, num_steps: int) -> float:
        """Return what one path costs: lags that reach into the forecast are inputs of its own."""
        inside = bisect.bisect_right(self.shape.lags, num_steps - 1)
        step = self._of_layers() + inside * 4 * self.shape.num_cells + PER_DRAW
        return num_steps * step

    def of(self, num_series: int, num_samples: int, num_steps: int) -> float:
        """Return what a request costs."""
        return num_series * (self.of_series(num_steps) + num_samples * self.of_path(num_steps))

    def check(self, num_series: int, num_samples: int, num_steps: int) -> None:
        """Refuse a request that costs too much. One path of one series never does.

        Raises:
            UserError: It does; the sentence says how many series, or samples, would not.
        """
        wanted = f"num_samples={num_samples} and prediction_length={num_steps}"
        most_series = int(self.budget // self.of(1, num_samples, num_steps))
        if num_series <= most_series:
            return
        network = f"a network of {self.shape.num_layers} layers of {self.shape.num_cells} cells"
        if most_series:
            raise UserError(
                f"request: expected at most {most_series} series with {wanted}, for {network}; got "
                f"{num_series}. Send fewer series at once, or lower num_samples or prediction_length."
            )
        left = self.budget - self.of_series(num_steps)
        most_samples = max(1, int(left // self.of_path(num_steps)))
        if (num_series, num_samples) > (1, most_samples):
            raise UserError(
                f"request: expected at most one series with num_samples={most_samples} and "
                f"prediction_length={num_steps}, for {network}; got {num_series} with {wanted}. "
                "Lower num_samples or prediction_length, and send one series at once."
            )

    def _of_layers(self) -> int:
        """Return what a step costs in all layers, without the inputs of the first."""
        layers, cells = self.shape.num_layers, self.shape.num_cells
        products = 4 * cells * cells * (2 * layers - 1)
        return products + PER_CELL * cells * layers
