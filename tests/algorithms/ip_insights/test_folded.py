"""Scores from tables made beforehand are those of the network."""

import numpy as np
import pytest
import torch

from sm_dl.algorithms.ip_insights.folded import FoldedNetwork
from sm_dl.algorithms.ip_insights.network import IPInsightsNetwork, NetworkShape
from sm_dl.algorithms.ip_insights.predictor import IPInsightsPredictor

NUM_ROWS = 101
EDGES = [0, 1, 0xFFFF, 0x10000, 0x0A000001, 0x0A0000FF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]


def network(vector_dim=8, num_layers=1) -> IPInsightsNetwork:
    torch.manual_seed(0)
    made = IPInsightsNetwork(NetworkShape(NUM_ROWS, vector_dim, num_layers)).eval()
    torch.nn.init.normal_(made.entities)
    for layer in made.encoder.layers:
        if isinstance(layer, torch.nn.Linear):
            torch.nn.init.normal_(layer.bias)
    return made


def pairs() -> tuple[torch.Tensor, torch.Tensor]:
    random = np.random.default_rng(0)
    address_N = torch.from_numpy(np.append(EDGES, random.integers(0, 1 << 32, 5000)))
    return torch.from_numpy(random.integers(0, NUM_ROWS, len(address_N))), address_N


@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("vector_dim", [4, 8, 40])
@torch.inference_mode()
def test_a_folded_network_scores_as_the_network_does(vector_dim, num_layers):
    whole, (row_N, address_N) = network(vector_dim, num_layers), pairs()
    expected_N = (whole.entity_vectors(row_N) * whole.encoder(address_N)).sum(1)
    made = FoldedNetwork(whole)
    scores_N = made.scores(row_N, made.hidden(address_N))
    assert (scores_N - expected_N).abs().max() < 1e-5 * expected_N.abs().max()


@pytest.mark.parametrize("kwargs", [{"num_layers": 0}, {"vector_dim": 257}])
def test_a_network_without_hidden_layers_or_of_wide_ones_is_scored_as_it_is(kwargs):
    whole = network(**kwargs)
    assert not FoldedNetwork.fits(whole)
    predictor = IPInsightsPredictor(whole, np.zeros(1, np.uint64))
    address_N = np.array(EDGES, np.uint32)
    scores_N = predictor.scores(np.arange(len(EDGES), dtype=np.uint64), address_N)
    vectors_NV = whole.encoder(torch.tensor(EDGES))
    row_N = torch.arange(len(EDGES))
    expected_N = (whole.entity_vectors(row_N) * vectors_NV).sum(1).detach()
    assert scores_N == pytest.approx(expected_N.numpy(), rel=1e-4, abs=1e-4)
