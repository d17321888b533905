"""Small networks and channels for the tests of Object2Vec."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from sm_dl.algorithms.object2vec.hyperparameters import Object2VecHyperparameters
from sm_dl.algorithms.object2vec.network import NetworkShape, Object2VecNetwork
from sm_dl.algorithms.object2vec.ragged import Ragged
from sm_dl.algorithms.object2vec.records import Rules
from sm_dl.algorithms.object2vec.sides import DEFAULT_LAYERS, Side, sides_of
from sm_dl.job.job import ChannelSource

VOCABULARY, LENGTH = 50, 12


def hyperparameters_of(**given) -> Object2VecHyperparameters:
    small = {
        "enc0_max_seq_len": LENGTH,
        "enc0_vocab_size": VOCABULARY,
        "enc0_network": "pooled_embedding",
        "enc0_token_embedding_dim": 8,
        "enc_dim": 8,
        "mlp_dim": 8,
    }
    return Object2VecHyperparameters.parse({**small, **given})


def rules_of(**given) -> Rules:
    hyperparameters = hyperparameters_of(**given)
    return Rules.of(hyperparameters, sides_of(hyperparameters))


def side_of(network: str = "pooled_embedding", field: str = "in0", **changes) -> Side:
    values = {
        "field": field,
        "network": network,
        "vocab_size": VOCABULARY,
        "max_seq_len": LENGTH,
        "token_dim": 8,
        "layers": DEFAULT_LAYERS[network],
        "filter_width": 3,
        "dim": 8,
    }
    return Side(**{**values, **changes})


def network_of(network: str = "pooled_embedding", *, seed: int = 0, **changes) -> Object2VecNetwork:
    values = {
        "sides": (side_of(network), side_of(network, "in1")),
        "is_tied": False,
        "comparators": ("hadamard", "concat", "abs_diff"),
        "mlp_layers": 1,
        "mlp_dim": 8,
        "mlp_activation": "tanh",
        "num_outputs": 3,
    }
    torch.manual_seed(seed)
    return Object2VecNetwork(NetworkShape(**{**values, **changes}))


def random_rows(count: int, seed: int = 0, longest: int = LENGTH) -> Ragged:
    random = np.random.default_rng(seed)
    return Ragged.of(
        [
            random.integers(0, VOCABULARY, random.integers(1, longest + 1)).tolist()
            for _ in range(count)
        ]
    )


@pytest.fixture
def channel(tmp_path):
    """Return a maker of channels of one file from records or lines."""

    def make(*records, name: str = "train", file: str = "pairs.jsonl") -> ChannelSource:
        folder = Path(tmp_path) / name
        folder.mkdir(exist_ok=True)
        lines = [one if isinstance(one, str) else json.dumps(one) for one in records]
        (folder / file).write_text("".join(line + "\n" for line in lines))
        return ChannelSource(name, folder)

    return make
