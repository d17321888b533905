"""Series held once as flat arrays, and whole batches of windows cut from them by one gather.

No Python runs per window: a batch is two index vectors (which series, where its forecast
starts), and everything the network reads follows from them by tensor operations on the device
that holds the arrays.

Shape letters in this file: N = series, B = windows of a batch, S = steps of a window with the
reach of its lags (reach + context + prediction), T = context + prediction, C = categories,
D = dynamic features, F = calendar features.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sm_dl.algorithms.deepar.calendar import Calendar, Frequency
from sm_dl.algorithms.deepar.schema import Schema
from sm_dl.algorithms.deepar.series import Series


class Windows(NamedTuple):
    """A batch of windows, step first, as the network reads it."""

    target_SB: Tensor
    """Unscaled; 0 where unobserved."""
    observed_SB: Tensor
    """1 where the target is known, else 0: at gaps, before the series and after it."""
    gap_SB: Tensor
    """1 where a value inside the series is missing, else 0."""
    calendar_TBF: Tensor
    age_TB: Tensor
    """log10(2 + steps since the series began)."""
    cat_BC: Tensor
    dynamic_TBD: Tensor

    @property
    def num_steps(self) -> int:
        """Return T."""
        return len(self.age_TB)

    @property
    def num_windows(self) -> int:
        """Return B."""
        return len(self.cat_BC)


@dataclass(frozen=True)
class WindowShape:
    """How far a window reaches, in steps."""

    reach: int
    """The longest lag."""
    context: int
    prediction: int

    @property
    def num_steps(self) -> int:
        """Return T."""
        return self.context + self.prediction


class SeriesPanel:
    """Many series in flat arrays, ready for windows to be cut."""

    def __init__(
        self,
        series: Sequence[Series],
        frequency: Frequency,
        *,
        num_cat: int,
        num_dynamic: int,
        horizon: int = 0,
        feature_means: Sequence[float] = (),
        feature_deviations: Sequence[float] = (),
    ) -> None:
        """Lay the series end to end.

        Args:
            series: At least one; each with `num_cat` categories and `num_dynamic` features.
            frequency: Their step.
            num_cat: C, 0 when categories are not used.
            num_dynamic: D, 0 when features are not used.
            horizon: Unknown steps to append to each series, whose features are known.
            feature_means: Taken off each feature; empty for none.
            feature_deviations: What each feature is divided by; empty for none.
        """
        lengths = np.array([len(one) + horizon for one in series], dtype=np.int64)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        target = np.full(offsets[-1], np.nan, dtype=np.float32)
        dynamic = np.zeros((offsets[-1], num_dynamic), dtype=np.float32)
        for one, offset, length in zip(series, offsets, lengths, strict=False):
            target[offset : offset + len(one)] = one.target_T
            if num_dynamic and one.dynamic_DT is not None:
                features_TD = one.dynamic_DT[:, :length].T
                if feature_means:
                    features_TD = (features_TD - feature_means) / feature_deviations
                dynamic[offset : offset + length] = features_TD
        starts = np.array([one.start for one in series], dtype=np.int64)
        last = int((starts + (lengths - 1) * frequency.step).max())
        self.frequency = frequency
        self.calendar = Calendar(frequency, int(starts.min()), last)
        self.lengths = lengths
        self.offset_N = torch.from_numpy(offsets[:-1].copy())
        self.length_N = torch.from_numpy(lengths)
        self.start_N = torch.from_numpy(starts)
        self.target = torch.from_numpy(target)
        self.dynamic = torch.from_numpy(dynamic)
        cats = [(one.cat_C or ())[:num_cat] for one in series]
        self.cat_NC = torch.tensor(cats, dtype=torch.int64).reshape(len(series), num_cat)

    def __len__(self) -> int:
        """Return N."""
        return len(self.lengths)

    def to(self, device: torch.device) -> "SeriesPanel":
        """Move the arrays to the device that cuts windows, and return self."""
        for name in ("offset_N", "length_N", "start_N", "target", "dynamic", "cat_NC"):
            setattr(self, name, getattr(self, name).to(device))
        self.calendar.to(device)
        return self

    def cut(self, series_B: Tensor, forecast_start_B: Tensor, shape: WindowShape) -> Windows:
        """Return the windows whose forecasts start at given steps of given series.

        A window may begin before its series and end after it; what lies outside is unobserved.

        Args:
            series_B: Which series, int64.
            forecast_start_B: First step of the prediction range, counted from the series' first.
            shape: Reach, context and prediction.
        """
        device = self.target.device
        series_B, forecast_start_B = series_B.to(device), forecast_start_B.to(device)
        first_B = forecast_start_B - shape.context - shape.reach
        step_SB = first_B + torch.arange(shape.reach + shape.num_steps, device=device).unsqueeze(1)
        inside_SB = (step_SB >= 0) & (step_SB < self.length_N[series_B])
        flat_SB = (step_SB + self.offset_N[series_B]).clamp_(0, len(self.target) - 1)
        raw_SB = self.target[flat_SB]
        missing_SB = raw_SB.isnan()
        observed_SB = inside_SB & ~missing_SB

        step_TB = step_SB[shape.reach :]
        if self.dynamic.shape[1]:
            inside_TB1 = inside_SB[shape.reach :].unsqueeze(-1)
            dynamic_TBD = self.dynamic[flat_SB[shape.reach :]] * inside_TB1
        else:
            dynamic_TBD = self.dynamic.new_zeros(*step_TB.shape, 0)
        return Windows(
            target_SB=torch.where(observed_SB, raw_SB, 0.0),
            observed_SB=observed_SB.to(raw_SB.dtype),
            gap_SB=(inside_SB & missing_SB).to(raw_SB.dtype),
            calendar_TBF=self.calendar.features(
                self.start_N[series_B]
                + step_TB.clamp_min(0).minimum(self.length_N[series_B] - 1) * self.frequency.step
            ),
            age_TB=torch.log10(step_TB.clamp_min(0) + 2.0),
            cat_BC=self.cat_NC[series_B],
            dynamic_TBD=dynamic_TBD,
        )


def panel_of(series: Sequence[Series], schema: Schema, *, horizon: int = 0) -> SeriesPanel:
    """Return series that fit a schema, ready for windows to be cut.

    Args:
        series: At least one.
        schema: What the model's series have in common.
        horizon: Unknown steps to append to each series, whose features are known.
    """
    return SeriesPanel(
        series,
        schema.frequency,
        num_cat=len(schema.cardinality),
        num_dynamic=schema.num_dynamic,
        horizon=horizon,
        feature_means=schema.feature_means,
        feature_deviations=schema.feature_deviations,
    )
