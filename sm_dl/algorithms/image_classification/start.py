"""What training starts from: fresh weights, ImageNet's, or those of an earlier job."""

import logging
from pathlib import Path

import torch

from sm_dl.algorithms.image_classification.artifact import read_facts
from sm_dl.algorithms.image_classification.facts import ModelFacts
from sm_dl.algorithms.image_classification.hyperparameters import ImageClassificationHyperparameters
from sm_dl.algorithms.image_classification.network import ResNetClassifier
from sm_dl.artifact.archive import model_folder
from sm_dl.artifact.weights import FILE_NAME, read_weights
from sm_dl.errors import UserError
from sm_dl.files import data_files
from sm_dl.job.job import ChannelSource, Job
from sm_dl.nn.pretrained import fit_state, imagenet_file, read_state
from sm_dl.nn.resnet import LARGE

logger = logging.getLogger(__name__)

ARCHIVE = "model.tar.gz"
OUTPUT_LAYER, INPUT_SCALE = "fc.", "bn_data."
PRETRAINED_SHAPE = (3, 224, 224)


def started_network(
    job: Job[ImageClassificationHyperparameters], facts: ModelFacts
) -> ResNetClassifier:
    """Return the network that training starts with; the seed decides its fresh weights.

    Raises:
        UserError: Weights that were asked for are absent, or those of another network.
    """
    torch.manual_seed(job.hyperparameters.seed)
    network = ResNetClassifier(facts.network_shape, facts.num_classes)
    if "model" in job.channels:
        if job.hyperparameters.use_pretrained_model:
            logger.warning("use_pretrained_model is ignored: the model channel is what counts.")
        _go_on_from(job.channels["model"], network, facts, job.hyperparameters)
    elif job.hyperparameters.use_pretrained_model:
        _start_pretrained(network, facts, job.resources.weights)
    return network


def _start_pretrained(network: ResNetClassifier, facts: ModelFacts, given: Path | None) -> None:
    """Load ImageNet's weights; a file that the job names may be of any size and depth."""
    is_published = facts.num_layers in LARGE and facts.image_shape == PRETRAINED_SHAPE
    if given is None and not is_published:
        raise UserError(
            "hyperparameter use_pretrained_model: expected num_layers of "
            f"{', '.join(map(str, LARGE))} and image_shape 3,224,224, which ImageNet's weights are "
            f"for; got num_layers={facts.num_layers} and image_shape="
            f"{','.join(map(str, facts.image_shape))}. Name other weights with resources.weights."
        )
    path = imagenet_file(f"resnet{facts.num_layers}", given)
    fit_state(
        network,
        read_state(path),
        place=str(path),
        kind=f"ResNet-{facts.num_layers} for images of {facts.image_shape[1]} pixels in height",
        new=[OUTPUT_LAYER],
        optional=[INPUT_SCALE],
    )
    logger.info("Starting from the weights of %s; the last layer is new.", path)


def _go_on_from(
    source: ChannelSource,
    network: ResNetClassifier,
    facts: ModelFacts,
    hyperparameters: ImageClassificationHyperparameters,
) -> None:
    """Load the weights of an earlier job (spec section 8).

    Raises:
        UserError: They are not there, not whole, or of another network.
    """
    try:
        _load_earlier(source, network, facts, hyperparameters)
    except UserError as error:
        place = f"channel {source.name}: "
        raise UserError(place + str(error).removeprefix(place)) from error
    logger.info("Starting from the model of an earlier job in %s", source.path)


def _load_earlier(
    source: ChannelSource,
    network: ResNetClassifier,
    facts: ModelFacts,
    hyperparameters: ImageClassificationHyperparameters,
) -> None:
    with model_folder(_archive_or_folder(source)) as folder:
        before = read_facts(folder)
        names = ["num_layers", "image_shape", "num_classes"]
        if hyperparameters.replace_output_layer:
            names.remove("num_classes")
        for name in names:
            theirs, ours = getattr(before, name), getattr(facts, name)
            if theirs != ours:
                hint = (
                    " Or set replace_output_layer to start the last layer anew."
                    if name == "num_classes"
                    else ""
                )
                raise UserError(
                    f"channel model: expected a model with {name}={_text(ours)}, as this job has; "
                    f"got {_text(theirs)}. Set {name} to that.{hint}"
                )
        if hyperparameters.replace_output_layer:
            fit_state(
                network,
                read_state(folder / FILE_NAME),
                place=f"channel model: {FILE_NAME}",
                kind=f"ResNet-{facts.num_layers}",
                new=[OUTPUT_LAYER],
            )
        else:
            read_weights(folder, network)


def _archive_or_folder(source: ChannelSource) -> Path:
    """Return the archive in a channel, or the channel's folder where it is a model folder itself."""
    path = source.path
    if path.is_file():
        return path
    archives = [file for file in data_files(path) if file.name.endswith(".tar.gz")]
    if len(archives) > 1:
        raise UserError(f"channel model: expected one {ARCHIVE}; got {len(archives)}.")
    return archives[0] if archives else path


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
