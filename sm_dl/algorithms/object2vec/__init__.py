"""Object2Vec: vectors for objects of any kind, learnt from labelled pairs of them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sm_dl.algorithms.object2vec.hyperparameters import Object2VecHyperparameters
from sm_dl.content_types import JSON, JSON_LINES
from sm_dl.contract.algorithm import Algorithm
from sm_dl.contract.channels import Channel
from sm_dl.contract.metrics import Metric
from sm_dl.contract.placement import Placement

if TYPE_CHECKING:
    from sm_dl.contract.codec import Predictor
    from sm_dl.job.job import Job

_FORMATS = (JSON_LINES, JSON)
_DISTRIBUTIONS = ("FullyReplicated", "ShardedByS3Key")
_WHERE = {"train": " epoch={epoch},", "validation": " epoch={epoch},", "test": ""}


def fit(job: "Job[Object2VecHyperparameters]") -> None:
    """Train on a checked job; see `training.fit`."""
    from sm_dl.algorithms.object2vec import training  # noqa: PLC0415 - keeps `describe` free of torch

    training.fit(job)


def load(folder: Path) -> "Predictor[Any, Any]":
    """Return the predictor of a model directory; see `artifact.load`."""
    from sm_dl.algorithms.object2vec import artifact  # noqa: PLC0415 - keeps `describe` free of torch

    return artifact.load(folder)


def _metrics() -> tuple[Metric, ...]:
    return tuple(
        Metric(
            f"{channel}:{name}",
            f"#quality_metric: host={{host}},{where} {channel} {name} <{kind}>={{value}}",
            minimize=kind == "loss",
            is_objective=channel != "train" and name != "perplexity",
        )
        for channel, where in _WHERE.items()
        for name, kind in (
            ("accuracy", "score"),
            ("cross_entropy", "loss"),
            ("perplexity", "loss"),
            ("mean_squared_error", "loss"),
        )
    )


ALGORITHM = Algorithm(
    name="object2vec",
    summary="Learns vectors of objects (words, texts, users, items) from labelled pairs of them.",
    paper="AWS developer guide, How Object2Vec Works; encoders after Conneau et al., 2017, arXiv:1705.02364",
    hyperparameters=Object2VecHyperparameters,
    channels=(
        Channel(
            "train",
            "Labelled pairs of token sequences, one JSON object a line, shuffled.",
            _FORMATS,
            required=True,
            distributions=_DISTRIBUTIONS,
        ),
        Channel(
            "validation",
            "Pairs whose loss early stopping watches instead of the training loss.",
            _FORMATS,
            distributions=_DISTRIBUTIONS,
        ),
        Channel(
            "test",
            "Pairs that are scored once, at the end.",
            _FORMATS,
            distributions=_DISTRIBUTIONS,
        ),
        Channel(
            "auxiliary",
            "Files that hyperparameters name: pretrained token vectors, vocabularies.",
            (JSON, "text/plain", "application/octet-stream"),
        ),
    ),
    metrics=(
        *_metrics(),
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
        hosts="one",
        inference="CPU; a GPU such as ml.p3.2xlarge for deep encoders",
        note="Start with one CPU machine and pooled_embedding; GPUs pay for hcnn and bilstm.",
    ),
    fit=fit,
    load=load,
)
