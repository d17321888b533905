"""Image classification: a residual network that gives each class a probability."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sm_dl.algorithms.image_classification.hyperparameters import ImageClassificationHyperparameters
from sm_dl.content_types import IMAGES, RECORDIO
from sm_dl.contract.algorithm import Algorithm
from sm_dl.contract.channels import Channel
from sm_dl.contract.metrics import Metric
from sm_dl.contract.placement import Placement

if TYPE_CHECKING:
    from sm_dl.contract.codec import Predictor
    from sm_dl.job.job import Job

MODEL = "application/x-sagemaker-model"
_FORMATS = (RECORDIO, *IMAGES)
_MODES = ("File", "FastFile", "Pipe")
_FILE_MODES = ("File", "FastFile")
"""Of what is read before training; a job may ask for FastFile for all its channels at once."""
_DISTRIBUTIONS = ("FullyReplicated", "ShardedByS3Key")


def fit(job: "Job[ImageClassificationHyperparameters]") -> None:
    """Train on a checked job; see `training.fit`."""
    from sm_dl.algorithms.image_classification import training  # noqa: PLC0415 - keeps `describe` free of torch

    training.fit(job)


def load(folder: Path) -> "Predictor[Any, Any]":
    """Return the predictor of a model directory; see `artifact.load`."""
    from sm_dl.algorithms.image_classification import artifact  # noqa: PLC0415 - keeps `describe` free of torch

    return artifact.load(folder)


ALGORITHM = Algorithm(
    name="image_classification",
    summary="Names what an image shows, with a residual network of 18 to 200 layers.",
    paper="He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, 2016, arXiv:1512.03385",
    hyperparameters=ImageClassificationHyperparameters,
    channels=(
        Channel(
            "train",
            "Images to learn from: one .rec file, or image files that train_lst names.",
            _FORMATS,
            required=True,
            modes=_MODES,
            distributions=_DISTRIBUTIONS,
        ),
        Channel(
            "validation",
            "Images to choose the best epoch by, in the same formats. Without it the last is kept. "
            "Read once an epoch and twice afterwards, for the scores of the model.",
            _FORMATS,
            modes=_MODES,
            distributions=_DISTRIBUTIONS,
        ),
        Channel(
            "train_lst",
            "One .lst file: index, label and path of each training image.",
            IMAGES,
            modes=_FILE_MODES,
        ),
        Channel("validation_lst", "The same of the validation images.", IMAGES, modes=_FILE_MODES),
        Channel(
            "model",
            "Model folder or model.tar.gz of an earlier job, to go on from.",
            (MODEL,),
            modes=_FILE_MODES,
        ),
    ),
    metrics=tuple(
        Metric(
            f"{channel}:accuracy{of_epoch}",  # the service has both names for one line
            f"Epoch[{{epoch}}] {channel.capitalize()}-accuracy={{value}}",
            minimize=False,
            is_objective=(channel, of_epoch) == ("validation", ""),
        )
        for channel in ("train", "validation")
        for of_epoch in ("", ":epoch")
    ),
    placement=Placement(
        cpu=False,
        gpu=True,
        hosts="many",
        inference="CPU or GPU",
        note="Small images and few classes train on a CPU too (instance_type: local); others need a GPU.",
    ),
    fit=fit,
    load=load,
)
