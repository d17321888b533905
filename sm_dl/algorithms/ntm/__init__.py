"""NTM: a neural topic model of bags of words, trained as a variational auto-encoder."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sm_dl.algorithms.ntm.hyperparameters import NTMHyperparameters
from sm_dl.content_types import CSV, PLAIN_TEXT, RECORDIO_PROTOBUF
from sm_dl.contract.algorithm import Algorithm
from sm_dl.contract.channels import Channel
from sm_dl.contract.metrics import Metric
from sm_dl.contract.placement import Placement

if TYPE_CHECKING:
    from sm_dl.contract.codec import Predictor
    from sm_dl.job.job import Job

_FORMATS = (RECORDIO_PROTOBUF, CSV)
_MODES = ("File", "FastFile", "Pipe")


def fit(job: "Job[NTMHyperparameters]") -> None:
    """Train on a checked job; see `training.fit`."""
    from sm_dl.algorithms.ntm import training  # noqa: PLC0415 - keeps `describe` free of torch

    training.fit(job)


def load(folder: Path) -> "Predictor[Any, Any]":
    """Return the predictor of a model directory; see `artifact.load`."""
    from sm_dl.algorithms.ntm import artifact  # noqa: PLC0415 - keeps `describe` free of torch

    return artifact.load(folder)


ALGORITHM = Algorithm(
    name="ntm",
    summary="Finds topics in documents, from their word counts, without any labels.",
    paper="Miao, Yu, Blunsom: Neural Variational Inference for Text Processing, 2016, arXiv:1511.06038",
    hyperparameters=NTMHyperparameters,
    channels=(
        Channel(
            "train",
            "Documents to learn from, as word counts.",
            _FORMATS,
            required=True,
            modes=_MODES,
            distributions=("FullyReplicated", "ShardedByS3Key"),
            may_be_empty=True,
        ),
        Channel(
            "validation",
            "Documents whose loss early stopping watches, in place of the training loss.",
            _FORMATS,
            modes=_MODES,
        ),
        Channel(
            "test",
            "Documents whose loss is told of the finished model.",
            _FORMATS,
            modes=_MODES,
        ),
        Channel(
            "auxiliary",
            "The words behind the ids: vocab.txt, a word a line. Beside it vectors.txt, not the service's: "
            "a word and its numbers a line, for the coherence WETC.",
            (PLAIN_TEXT,),
            modes=("File", "FastFile"),
        ),
    ),
    metrics=(
        Metric(
            "validation:total_loss",
            "#quality_metric: host={host}, epoch={epoch}, validation total_loss <loss>={value}",
            minimize=True,
            is_objective=True,
        ),
        Metric(
            "train:total_loss",
            "#quality_metric: host={host}, epoch={epoch}, train total_loss <loss>={value}",
            minimize=True,
        ),
        Metric(
            "test:total_loss",
            "#quality_metric: host={host}, test total_loss <loss>={value}",
            minimize=True,
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
        note="A CPU machine serves and mostly trains as well; a GPU pays for large vocabularies and many topics.",
        shares_pipes=False,
    ),
    fit=fit,
    load=load,
)
