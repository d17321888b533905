"""IP Insights: which IPv4 addresses an account, a host or a user normally uses."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sm_dl.algorithms.ip_insights.hyperparameters import IPInsightsHyperparameters
from sm_dl.content_types import CSV
from sm_dl.contract.algorithm import Algorithm
from sm_dl.contract.channels import Channel
from sm_dl.contract.metrics import Metric
from sm_dl.contract.placement import Placement

if TYPE_CHECKING:
    from sm_dl.contract.codec import Predictor
    from sm_dl.job.job import Job

_OF_EPOCH = "#quality_metric: host={host}, epoch={epoch},"


def fit(job: "Job[IPInsightsHyperparameters]") -> None:
    """Train on a checked job; see `training.fit`."""
    from sm_dl.algorithms.ip_insights import training  # noqa: PLC0415 - keeps `describe` free of torch

    training.fit(job)


def load(folder: Path) -> "Predictor[Any, Any]":
    """Return the predictor of a model directory; see `artifact.load`."""
    from sm_dl.algorithms.ip_insights import artifact  # noqa: PLC0415 - keeps `describe` free of torch

    return artifact.load(folder)


ALGORITHM = Algorithm(
    name="ip_insights",
    summary="Scores how well an IPv4 address fits an entity such as a user; low scores are suspicious.",
    paper="Amazon SageMaker Developer Guide: How IP Insights Works, 2023, since no paper describes it",
    hyperparameters=IPInsightsHyperparameters,
    channels=(
        Channel(
            "train",
            "CSV files of observed pairs, one a line and without a header: entity, IPv4 address.",
            (CSV,),
            required=True,
            distributions=("FullyReplicated", "ShardedByS3Key"),
            may_be_empty=True,
        ),
        Channel(
            "validation",
            "Observed pairs that are scored against random addresses after each epoch.",
            (CSV,),
        ),
        Channel(
            "test",
            "Observed pairs that are scored like validation, once, at the end.",
            (CSV,),
        ),
    ),
    metrics=(
        Metric(
            "validation:discriminator_auc",
            f"{_OF_EPOCH} validation discriminator_auc <score>={{value}}",
            minimize=False,
            is_objective=True,
        ),
        Metric(
            "test:discriminator_auc",
            "#quality_metric: host={host}, test discriminator_auc <score>={value}",
            minimize=False,
        ),
        *(
            Metric(
                f"train:binary_classification_{name}{suffix}",
                f"{where} train binary_classification_{name} <{kind}>={{value}}",
                minimize=kind == "loss",
            )
            for name, kind in (("cross_entropy", "loss"), ("accuracy", "score"))
            for suffix, where in (("", f"{_OF_EPOCH} batch={{batch}}"), (":epoch", _OF_EPOCH))
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
        note="GPUs pay for large batches; many CPU machines for very large data. Inference: CPU.",
    ),
    fit=fit,
    load=load,
)
