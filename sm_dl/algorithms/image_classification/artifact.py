"""What an image classification artifact holds: weights, and the facts that answers need."""

import logging
from collections.abc import Mapping
from pathlib import Path

from sm_dl.algorithms.image_classification.facts import ModelFacts
from sm_dl.algorithms.image_classification.network import ResNetClassifier
from sm_dl.algorithms.image_classification.predictor import ImageClassificationPredictor
from sm_dl.artifact.metadata import Metadata, read_metadata, write_metadata
from sm_dl.artifact.weights import not_finite, read_weights, write_tensors, write_weights
from sm_dl.errors import UserError
from sm_dl.files import free_bytes, renamed_when_done

logger = logging.getLogger(__name__)

ALGORITHM_NAME = "image_classification"


def write_artifact(
    folder: Path,
    network: ResNetClassifier,
    facts: ModelFacts,
    *,
    hyperparameters: Mapping[str, object],
    training: Mapping[str, object],
) -> None:
    """Write everything inference needs into a model directory.

    Args:
        folder: The model directory.
        network: With the weights that training leaves.
        facts: What they are the weights of.
        hyperparameters: Of the job, for the reader's eye.
        training: The same: which epoch it is, and how good.
    """
    write_weights(folder, network)
    values = {
        **facts.as_json(),
        "hyperparameters": dict(hyperparameters),
        "training": dict(training),
    }
    write_metadata(folder, Metadata(ALGORITHM_NAME, values))


def write_snapshot(folder: Path, network: ResNetClassifier, epochs_done: int) -> Path | None:
    """Write the weights of one epoch beside the model, under the service's name.

    Returns:
        The path. None where there is no such file, which the log says and the job outlives: the disk
        is full, or a weight is not finite.
    """
    path = folder / f"image-classification-{epochs_done:04d}.safetensors"
    state = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    lost = not_finite(state)
    if lost is not None:
        logger.error("%s: is not written: %s holds a value that is not finite.", path, lost)
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with renamed_when_done(path) as temporary:
            write_tensors(temporary, state)
    except OSError as error:
        logger.warning(
            "%s: cannot be written (%s): %d bytes needed, %s free. Training goes on, the next try is at "
            "the next of these epochs; make room, or raise checkpoint_frequency: each of the files stays.",
            path, error.strerror, sum(one.nbytes for one in state.values()), free_bytes(folder),
        )  # fmt: skip
        return None
    return path


def read_facts(folder: Path) -> ModelFacts:
    """Return the facts of a model directory.

    Raises:
        UserError: The directory holds no image classifier.
    """
    metadata = read_metadata(folder)
    if metadata.algorithm != ALGORITHM_NAME:
        raise UserError(
            f"{folder}: expected a model of {ALGORITHM_NAME}; got one of {metadata.algorithm}."
        )
    try:
        return ModelFacts.from_json(metadata.facts)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{folder}: model.json does not describe an image classifier "
            f"({type(error).__name__}: {error})."
        ) from None


def load(folder: Path) -> ImageClassificationPredictor:
    """Return the predictor of a model directory.

    Raises:
        UserError: The directory holds no whole model.
    """
    facts = read_facts(folder)
    network = ResNetClassifier(facts.network_shape, facts.num_classes)
    read_weights(folder, network)
    return ImageClassificationPredictor(network, facts)
