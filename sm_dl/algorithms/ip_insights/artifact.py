"""What an IP Insights artifact holds: everything `predictor.py` needs, and nothing of the job."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from sm_dl.algorithms.ip_insights.hashing import HASH_NAME, HASH_SEED, Words
from sm_dl.algorithms.ip_insights.hyperparameters import (
    MAX_LAYERS,
    MAX_VECTORS,
    MAX_WIDTH,
    MIN_WIDTH,
)
from sm_dl.algorithms.ip_insights.network import ENCODER_VERSION, IPInsightsNetwork, NetworkShape
from sm_dl.algorithms.ip_insights.predictor import IPInsightsPredictor
from sm_dl.artifact.metadata import Metadata, read_metadata, write_metadata
from sm_dl.artifact.weights import read_weights, write_weights
from sm_dl.errors import UserError


class _Stored(nn.Module):
    """The tensors of an artifact: the network's, and the hashes of the entities it was trained on."""

    def __init__(self, network: IPInsightsNetwork, entities: torch.Tensor) -> None:
        super().__init__()
        self.network = network
        self.known_entities: torch.Tensor
        self.register_buffer("known_entities", entities)


def write_artifact(
    folder: Path, predictor: IPInsightsPredictor, hyperparameters: Mapping[str, object]
) -> None:
    """Write everything inference needs into a model directory."""
    shape = predictor.network.shape
    known = torch.from_numpy(predictor.entities.view(np.int64))
    write_weights(folder, _Stored(predictor.network, known))
    facts = {
        "hyperparameters": dict(hyperparameters),
        "num_entity_vectors": shape.num_entity_vectors,
        "vector_dim": shape.vector_dim,
        "num_ip_encoder_layers": shape.num_layers,
        "encoder_version": ENCODER_VERSION,
        "entity_hash": HASH_NAME,
        "entity_hash_seed": HASH_SEED,
        "num_entities_seen": len(predictor.entities),
    }
    write_metadata(folder, Metadata("ip_insights", facts))


def load(folder: Path) -> IPInsightsPredictor:
    """Return the predictor of a model directory.

    Raises:
        UserError: The directory holds no whole IP Insights model, or one of another encoder.
    """
    facts: Mapping[str, Any] = read_metadata(folder).facts
    try:
        shape = NetworkShape(
            num_entity_vectors=int(facts["num_entity_vectors"]),
            vector_dim=int(facts["vector_dim"]),
            num_layers=int(facts["num_ip_encoder_layers"]),
        )
        num_seen = int(facts["num_entities_seen"])
        _check(facts, shape, num_seen)
        with torch.device("meta"):  # weights come from the file: nothing is drawn for them
            stored = _Stored(IPInsightsNetwork(shape), torch.empty(num_seen, dtype=torch.int64))
        stored.to_empty(device="cpu")
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(
            f"{folder}: model.json does not describe an IP Insights model "
            f"({type(error).__name__}: {error})."
        ) from None
    read_weights(folder, stored)
    entities: Words = stored.known_entities.numpy().view(np.uint64)
    return IPInsightsPredictor(stored.network, entities)


def _check(facts: Mapping[str, Any], shape: NetworkShape, num_seen: int) -> None:
    """Refuse facts that no training run of this version writes.

    Raises:
        ValueError: A size is out of its range, or the encoder or the hash is another one.
    """
    if not (
        1 <= shape.num_entity_vectors <= MAX_VECTORS
        and MIN_WIDTH <= shape.vector_dim <= MAX_WIDTH
        and 0 <= shape.num_layers <= MAX_LAYERS
        and num_seen >= 1
    ):
        raise ValueError("a size is out of range")
    for name, ours in (
        ("encoder_version", ENCODER_VERSION),
        ("entity_hash", HASH_NAME),
        ("entity_hash_seed", HASH_SEED),
    ):
        if facts[name] != ours:
            raise ValueError(f"{name} is {facts[name]!r}; this version knows {ours!r}")
