"""What a topic model's artifact holds: everything `predictor.py` needs, and nothing of the job.

`projection.weight` in `weights.safetensors` has a row for each word and a column for each topic;
`topics.json` beside it has the topics' top words and measures, for people and programs alike.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sm_dl.algorithms.ntm.network import ACTIVATIONS, NetworkShape, NTMNetwork
from sm_dl.algorithms.ntm.predictor import NTMPredictor
from sm_dl.artifact.metadata import Metadata, read_metadata, write_metadata
from sm_dl.artifact.weights import read_weights, write_weights
from sm_dl.errors import UserError

MAX_SIZE = 1_000_000
"""Of vocabulary and layers, as hyperparameters have it."""


def write_artifact(
    folder: Path, network: NTMNetwork, hyperparameters: Mapping[str, object]
) -> None:
    """Write everything inference needs into a model directory."""
    shape = network.shape
    write_weights(folder, network)
    facts = {
        "hyperparameters": dict(hyperparameters),
        "feature_dim": shape.num_words,
        "num_topics": shape.num_topics,
        "encoder_layers": list(shape.layers),
        "encoder_layers_activation": shape.activation,
        "batch_norm": shape.has_batch_norm,
    }
    write_metadata(folder, Metadata("ntm", facts))


def _check(shape: NetworkShape) -> None:
    """Refuse facts that no training run writes.

    Raises:
        ValueError: One of them is out of its range.
    """
    sizes = (shape.num_words, shape.num_topics, *shape.layers)
    if not shape.layers or not all(1 <= size <= MAX_SIZE for size in sizes):
        raise ValueError("a size is out of range")
    if shape.activation not in ACTIVATIONS:
        raise ValueError(f"no activation {shape.activation!r}")


def load(folder: Path) -> NTMPredictor:
    """Return the predictor of a model directory.

    Raises:
        UserError: The directory holds no whole topic model.
    """
    facts: Mapping[str, Any] = read_metadata(folder).facts
    try:
        shape = NetworkShape(
            num_words=int(facts["feature_dim"]),
            num_topics=int(facts["num_topics"]),
            layers=tuple(int(size) for size in facts["encoder_layers"]),
            activation=str(facts["encoder_layers_activation"]),
            has_batch_norm=bool(facts["batch_norm"]),
        )
        _check(shape)
        network = NTMNetwork(shape)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(
            f"{folder}: model.json does not describe a topic model ({type(error).__name__}: {error})."
        ) from None
    read_weights(folder, network)
    return NTMPredictor(network)
