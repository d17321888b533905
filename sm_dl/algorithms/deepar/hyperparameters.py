"""The 16 hyperparameters of DeepAR, under the service's names and with its ranges."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from sm_dl.contract.hyperparameters import FloatList, Hyperparameters, hyperparameter, json_list

LIKELIHOODS = ("gaussian", "beta", "negative-binomial", "student-T", "deterministic-L1")
FREQUENCY = re.compile(r"\s*([1-9]\d*)?(M|D|W|H|min)\s*")
MAX_LAG = 100_000
"""Further back than any season: a longer window would fill the memory."""
MAX_LAYERS = 1000
"""More than anybody trains: building a million takes hours."""
MAX_MULTIPLE = 10_000_000
"""Minutes in 19 years: a longer step than that is a slip, and would overflow a calendar."""


def _likelihood(value: object) -> object:
    """Compare without regard to case: the service ships `student-t` and documents `student-T`."""
    by_lower = {name.lower(): name for name in LIKELIHOODS}
    return by_lower.get(value.strip().lower(), value) if isinstance(value, str) else value


def _frequency(value: str) -> str:
    match = FREQUENCY.fullmatch(value)
    if match is None or int(match[1] or 1) > MAX_MULTIPLE:
        raise ValueError("no such step")
    return value.strip()


def _quantiles(levels: tuple[float, ...]) -> tuple[float, ...]:
    if not levels or any(not 0 < level < 1 for level in levels):
        raise ValueError("a level lies outside (0, 1)")
    return levels


def _rising(lags: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted({1, *lags}))


Lag = Annotated[int, Field(ge=1, le=MAX_LAG)]
PositiveInt = Annotated[int, Field(ge=1)]
Likelihood = Annotated[
    Literal["gaussian", "beta", "negative-binomial", "student-T", "deterministic-L1"],
    BeforeValidator(_likelihood),
]


class DeepARHyperparameters(Hyperparameters):
    """What one DeepAR job can be told (AWS developer guide; spec section 4)."""

    context_length: int = hyperparameter(ge=1, tune=(1, 200))
    """Points the network is unrolled over before the forecast starts; about `prediction_length`
    is a good start. Lags reach further back on their own."""
    epochs: int = hyperparameter(ge=1, tune=(1, 1000))
    """Upper bound on epochs. An epoch visits each series about once, and at least ten batches."""
    prediction_length: int = hyperparameter(ge=1)
    """Forecast horizon, in steps of `time_freq`. A request may ask for fewer steps, not for more."""
    time_freq: Annotated[str, AfterValidator(_frequency)] = hyperparameter(
        expected="an optional positive integer and one of M, W, D, H, min, such as H or 5min"
    )
    """Step of all series: month, week, day, hour or minute, optionally multiplied."""
    cardinality: Annotated[
        Literal["auto", "ignore"] | Annotated[tuple[PositiveInt, ...], Field(min_length=1)],
        BeforeValidator(lambda value: value if value in ("auto", "ignore") else json_list(value)),
    ] = hyperparameter(
        default="auto",
        expected="auto, ignore, or a JSON list of positive integers such as [2, 3]",
        empty="ignore",
    )
    """Number of categories of each `cat` component. `auto` reads it from the data, `ignore` or an
    empty string drops `cat`, an explicit list is checked against the data."""
    dropout_rate: float = hyperparameter(default=0.1, ge=0, le=1, tune=(0.0, 0.2))
    """Zoneout rate of the recurrent state. Typical below 0.2."""
    early_stopping_patience: int | None = hyperparameter(default=None, ge=1)
    """Stop after this many epochs in a row without a lower training loss and keep the best epoch.
    Absent: train all epochs and keep the last."""
    embedding_dimension: int = hyperparameter(default=10, ge=1, tune=(1, 50))
    """Width of the learned embedding of each categorical feature."""
    learning_rate: float = hyperparameter(default=0.001, gt=0, le=1, tune=(1e-5, 1e-1))
    """Step size of Adam. Typical 1e-4 to 1e-1."""
    likelihood: Likelihood = hyperparameter(default="student-T")
    """Noise model of the target, which decides the values a forecast can take. gaussian: real;
    beta: in [0, 1]; negative-binomial: counts; student-T: real with bursts; deterministic-L1: a
    point forecast without uncertainty. Compared without regard to case."""
    mini_batch_size: int = hyperparameter(default=128, ge=1, tune=(32, 1028))
    """Windows per update, over all processes of the job together."""
    num_cells: int = hyperparameter(default=40, ge=1, tune=(30, 200))
    """Width of each recurrent layer."""
    num_dynamic_feat: Literal["auto", "ignore"] | PositiveInt = hyperparameter(
        default="auto", expected="auto, ignore, or a positive integer", empty="ignore"
    )
    """Number of `dynamic_feat` series. `auto` reads it from the data, `ignore` or an empty string
    drops them, an explicit number is checked against the data."""
    num_eval_samples: int = hyperparameter(default=100, ge=1)
    """Sample paths per series when the `test` channel is scored. Does not touch the model."""
    num_layers: int = hyperparameter(default=2, ge=1, le=MAX_LAYERS, tune=(1, 8))
    """Recurrent layers."""
    test_quantiles: Annotated[FloatList, AfterValidator(_quantiles)] = hyperparameter(
        default=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
        expected="a JSON list of numbers above 0 and below 1, such as [0.1, 0.5, 0.9]",
    )
    """Quantile levels scored on the `test` channel."""
    lags: Annotated[tuple[Lag, ...], BeforeValidator(json_list), AfterValidator(_rising)] | None = (
        hyperparameter(
            default=None,
            expected=f"a JSON list of integers from 1 to {MAX_LAG}, such as [1, 24, 168]",
            extra=True,
        )
    )
    """Steps back whose values the network sees; 1 is always among them. Absent: those usual for
    `time_freq` that the training series are long enough for."""
