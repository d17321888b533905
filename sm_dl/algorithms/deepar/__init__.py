"""DeepAR: probabilistic forecasting with one recurrent network over many series."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sm_dl.algorithms.deepar.hyperparameters import DeepARHyperparameters
from sm_dl.content_types import JSON, JSON_LINES, PARQUET
from sm_dl.contract.algorithm import Algorithm
from sm_dl.contract.channels import Channel
from sm_dl.contract.metrics import Metric
from sm_dl.contract.placement import Placement

if TYPE_CHECKING:
    from sm_dl.contract.codec import Predictor
    from sm_dl.job.job import Job

_FORMATS = (JSON_LINES, JSON, PARQUET)
_DISTRIBUTIONS = ("FullyReplicated", "ShardedByS3Key")


def fit(job: "Job[DeepARHyperparameters]") -> None:
    """Train on a checked job; see `training.fit`."""
    from sm_dl.algorithms.deepar import training  # noqa: PLC0415 - keeps `describe` free of torch

    training.fit(job)


def load(folder: Path) -> "Predictor[Any, Any]":
    """Return the predictor of a model directory; see `artifact.load`."""
    from sm_dl.algorithms.deepar import artifact  # noqa: PLC0415 - keeps `describe` free of torch

    return artifact.load(folder)


ALGORITHM = Algorithm(
    name="deepar",
    summary="Forecasts many related time series with one recurrent network, as sample paths.",
    paper="Salinas, Flunkert, Gasthaus, Januschowski: DeepAR, 2020, arXiv:1704.04110",
    hyperparameters=DeepARHyperparameters,
    channels=(
        Channel(
            "train",
            "Series to learn from, whole.",
            _FORMATS,
            required=True,
            distributions=_DISTRIBUTIONS,
        ),
        Channel(
            "validation",
            "Series whose last window early stopping watches instead of the training loss. Not the "
            "service's.",
            _FORMATS,
        ),
        Channel(
            "test",
            "Series to score: the last prediction_length points of each are forecast.",
            _FORMATS,
        ),
    ),
    metrics=(
        Metric(
            "test:RMSE",
            "#quality_metric: host={host}, test RMSE <loss>={value}",
            minimize=True,
            is_objective=True,
        ),
        Metric(
            "test:mean_wQuantileLoss",
            "#quality_metric: host={host}, test mean_wQuantileLoss <loss>={value}",
            minimize=True,
            is_objective=True,
        ),
        Metric(
            "train:final_loss",
            "#quality_metric: host={host}, train final_loss <loss>={value}",
            minimize=True,
            is_objective=True,
        ),
        Metric(
            "train:loss",
            "#quality_metric: host={host}, epoch={epoch}, train loss <loss>={value}",
            minimize=True,
        ),
        Metric(
            "validation:loss",
            "#quality_metric: host={host}, epoch={epoch}, validation loss <loss>={value}",
            minimize=True,
        ),
        Metric(
            "train:loss:batch",
            "#quality_metric: host={host}, epoch={epoch}, batch={batch} train loss <loss>={value}",
        ),
        Metric(
            "train:progress",
            "#progress_metric: host={host}, completed {value} %",
            tail=" of epochs",
        ),
        Metric(
            "train:throughput",
            "#throughput_metric: host={host}, train throughput={value} records/second",
        ),
    ),
    placement=Placement(
        cpu=True,
        gpu=True,
        hosts="many",
        note="Start with one CPU machine; GPUs and several machines pay for large models and batches above 512.",
    ),
    fit=fit,
    load=load,
)
