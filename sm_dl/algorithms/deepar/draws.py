"""Who draws which columns of a sweep: paths of several requests side by side, each as if alone.

A request gets the same paths alone and beside others, bit for bit on one machine with one or two
threads, for three reasons: it is cut into portions as if it were alone, its noise comes from its
own generator, and no number of a column depends on how many columns there are. The last needs
care, see `MIN_COLUMNS` and `VECTOR`.

Shape letters in this file: B = series, N = paths, X = anything.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

PATHS_AT_ONCE = {"cpu": 4096}
"""Paths of one sweep: on a CPU their gates should stay in the second-level cache."""
PATHS_AT_ONCE_ELSEWHERE = 1 << 18
MIN_COLUMNS = 8
"""Products of fewer columns take kernels of their own, with other last digits: series and paths
are repeated up to it, so that a request alone computes as it does beside others."""
VECTOR = 32
"""Numbers that torch's loops take at once; a sigmoid of those that are left has other last digits."""


def paths_at_once(device: torch.device) -> int:
    """Return how many paths one sweep may have."""
    return PATHS_AT_ONCE.get(device.type, PATHS_AT_ONCE_ELSEWHERE)


@dataclass(frozen=True)
class Draw:
    """Paths that one client wants of some series in a row."""

    num_series: int
    num_samples: int
    """Paths per series."""
    generator: torch.Generator | None = None
    """Of the windows' device; the same state gives the same paths, whoever else draws."""


@dataclass(frozen=True)
class Portion:
    """The part of a draw that belongs to one sweep."""

    draw_index: int
    draw: Draw
    series: range

    @property
    def num_paths(self) -> int:
        """Return how many columns it takes."""
        return len(self.series) * self.draw.num_samples


def sweeps(draws: Sequence[Draw], max_paths: int) -> Iterator[list[Portion]]:
    """Yield the portions of each sweep: draws in order, each cut as if it were alone."""
    sweep: list[Portion] = []
    room = max_paths
    first = 0
    for index, draw in enumerate(draws):
        series_at_once = max(1, max_paths // draw.num_samples)
        end = first + draw.num_series
        for begin in range(first, end, series_at_once):
            portion = Portion(index, draw, range(begin, min(begin + series_at_once, end)))
            if sweep and portion.num_paths > room:
                yield sweep
                sweep, room = [], max_paths
            sweep.append(portion)
            room -= portion.num_paths
        first = end
    if sweep:
        yield sweep


@dataclass(frozen=True)
class Run:
    """Neighbouring series with the same number of paths."""

    series: slice
    num_samples: int


def runs_of(sweep: Sequence[Portion], num_cells: int) -> list[Run]:
    """Return how often each series is repeated, and the first once more to fill up the columns."""
    runs: list[Run] = []
    for portion in sweep:
        series, num_samples = portion.series, portion.draw.num_samples
        first = series.start
        if runs and runs[-1].num_samples == num_samples:
            first = runs.pop().series.start
        runs.append(Run(slice(first, series.stop), num_samples))
    num_paths = sum(one.num_paths for one in sweep)
    whole = VECTOR // math.gcd(VECTOR, num_cells)  # so that a gate's block is whole vectors
    missing = -num_paths % whole
    if num_paths + missing < MIN_COLUMNS:
        missing = MIN_COLUMNS - num_paths
    first = sweep[0].series.start
    return [*runs, Run(slice(first, first + 1), missing)] if missing else runs


def spread(columns_XB: Tensor, runs: Sequence[Run]) -> Tensor:
    """Return a column for each path, shape (X, N), from one for each series."""
    parts = [columns_XB[:, run.series].repeat_interleave(run.num_samples, dim=1) for run in runs]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def noises_of(sweep: Sequence[Portion]) -> list[tuple[torch.Generator | None, slice]]:
    """Return which generator gives the noise of which paths: neighbours share a call if they can."""
    noises: list[tuple[torch.Generator | None, slice]] = []
    first = 0
    for portion in sweep:
        end = first + portion.num_paths
        generator = portion.draw.generator
        if noises and noises[-1][0] is generator:
            noises[-1] = (generator, slice(noises[-1][1].start, end))
        else:
            noises.append((generator, slice(first, end)))
        first = end
    return noises
