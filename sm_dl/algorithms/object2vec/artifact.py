"""What an Object2Vec artifact holds: everything `predictor.py` needs, and nothing of the job.

The tensors of each encoder have names of their own (`tables.0.`, `encoders.0.`, …), so that one
encoder can be taken out of the file alone.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sm_dl.algorithms.object2vec.hyperparameters import COMPARATORS
from sm_dl.algorithms.object2vec.network import ACTIVATIONS, NetworkShape, Object2VecNetwork
from sm_dl.algorithms.object2vec.predictor import Object2VecPredictor
from sm_dl.algorithms.object2vec.sides import DEFAULT_LAYERS, Side
from sm_dl.algorithms.object2vec.words import Words, words_from_json, write_words
from sm_dl.artifact.metadata import Metadata, read_metadata, write_metadata
from sm_dl.artifact.weights import read_weights, write_weights
from sm_dl.errors import UserError

LARGEST = 3_000_000
"""No size of a model is above it: damaged facts must not fill the memory."""


def write_artifact(
    folder: Path, predictor: Object2VecPredictor, hyperparameters: Mapping[str, object]
) -> None:
    """Write everything inference needs into a model directory."""
    shape = predictor.network.shape
    write_weights(folder, predictor.network)
    for number, words in enumerate(predictor.words):
        if words is not None:
            write_words(folder / _words_file(number), words)
    facts = {
        "hyperparameters": dict(hyperparameters),
        "sides": [asdict(side) for side in shape.sides],
        "tied_token_embedding_weight": shape.is_tied,
        "comparators": list(shape.comparators),
        "mlp_layers": shape.mlp_layers,
        "mlp_dim": shape.mlp_dim,
        "mlp_activation": shape.mlp_activation,
        "num_outputs": shape.num_outputs,
        "has_words": [words is not None for words in predictor.words],
    }
    write_metadata(folder, Metadata("object2vec", facts))


def load(folder: Path) -> Object2VecPredictor:
    """Return the predictor of a model directory.

    Raises:
        UserError: The directory holds no whole Object2Vec model.
    """
    facts: Mapping[str, Any] = read_metadata(folder).facts
    try:
        side0, side1 = (_side(values) for values in facts["sides"])
        shape = NetworkShape(
            sides=(side0, side1),
            is_tied=bool(facts["tied_token_embedding_weight"]),
            comparators=tuple(str(name) for name in facts["comparators"]),
            mlp_layers=int(facts["mlp_layers"]),
            mlp_dim=int(facts["mlp_dim"]),
            mlp_activation=str(facts["mlp_activation"]),
            num_outputs=int(facts["num_outputs"]),
        )
        has_words0, has_words1 = (bool(has_words) for has_words in facts["has_words"])
        _check(shape)
        network = Object2VecNetwork(shape)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(
            f"{folder}: model.json does not describe an Object2Vec model ({type(error).__name__}: {error})."
        ) from None
    read_weights(folder, network)
    words = (
        _read_words(folder, 0, side0) if has_words0 else None,
        _read_words(folder, 1, side1) if has_words1 else None,
    )
    return Object2VecPredictor(network, words)


def _side(values: Mapping[str, Any]) -> Side:
    return Side(
        field="in1" if values["field"] == "in1" else "in0",
        network=values["network"],
        vocab_size=int(values["vocab_size"]),
        max_seq_len=int(values["max_seq_len"]),
        token_dim=int(values["token_dim"]),
        layers=int(values["layers"]),
        filter_width=int(values["filter_width"]),
        dim=int(values["dim"]),
    )


def _check(shape: NetworkShape) -> None:
    """Refuse facts that no training run writes.

    Raises:
        ValueError: One of them is out of its range.
    """
    sizes = [shape.mlp_dim, shape.num_outputs]
    for side in shape.sides:
        if side.network not in DEFAULT_LAYERS:
            raise ValueError(f"network {side.network!r} is unknown")
        sizes += [side.vocab_size, side.max_seq_len, side.token_dim, side.dim, side.filter_width]
        if side.layers not in range(5) or (side.layers == 0) != (
            side.network == "pooled_embedding"
        ):
            raise ValueError("a number of layers is out of range")
    if min(sizes) < 1 or max(sizes) > LARGEST or not 0 <= shape.mlp_layers <= 10:
        raise ValueError("a size is out of range")
    if shape.sides[0].dim != shape.sides[1].dim:
        raise ValueError("the encoders have different widths")
    if not shape.comparators or not set(shape.comparators) <= set(COMPARATORS):
        raise ValueError("comparators are unknown")
    if shape.mlp_activation not in ACTIVATIONS:
        raise ValueError(f"mlp_activation {shape.mlp_activation!r} is unknown")


def _words_file(number: int) -> str:
    return f"vocabulary{number}.json"


def _read_words(folder: Path, number: int, side: Side) -> Words:
    path = folder / _words_file(number)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); expected the model folder of a finished job."
        ) from None
    return words_from_json(content, str(path), side)
