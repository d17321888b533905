"""What an image classification artifact holds: weights, and the facts that answers need."""

from collections.abc import Mapping
from pathlib import Path

from sm_dl.algorithms.image_classification.facts import ModelFacts
from sm_dl.algorithms.image_classification.network import ResNetClassifier
from sm_dl.algorithms.image_classification.predictor import ImageClassificationPredictor
from sm_dl.artifact.metadata import Metadata, read_metadata, write_metadata
from sm_dl.artifact.weights import read_weights, write_tensors, write_weights
from sm_dl.errors import PlatformError, UserError
from sm_dl.files import renamed_when_done

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


def write_snapshot(folder: Path, network: ResNetClassifier, epochs_done: int) -> Path:
    """Write the weights of one epoch beside the model, under the service's name; return the path."""
    path = folder / f"image-classification-{epochs_done:04d}.safetensors"
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    try:
        with renamed_when_done(path) as temporary:
            write_tensors(temporary, state)
    except OSError as error:
        raise PlatformError(
            f"{path}: cannot be written ({error.strerror}). Make room, or raise checkpoint_frequency: "
            "each of these files stays."
        ) from None
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
