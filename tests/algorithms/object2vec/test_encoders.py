"""Encoders against the same thing written out for one sequence, and what must not matter."""

import pytest
import torch
from torch.nn.functional import conv1d

from sm_dl.algorithms.object2vec.encoders import Sequences, build_encoder, padded
from tests.algorithms.object2vec.conftest import side_of

NETWORKS = ("pooled_embedding", "hcnn", "bilstm")
VECTORS = torch.randn(20, 8, generator=torch.Generator().manual_seed(1))
ROWS = [[3], [1, 2, 2, 7], [19, 0, 5, 5, 5, 1, 9, 11, 4, 2, 3], [6, 6]]


def sequences_of(rows):
    return Sequences(
        torch.tensor([token for row in rows for token in row]),
        torch.tensor([len(row) for row in rows]),
    )


def encoder_of(network, **changes):
    torch.manual_seed(0)
    return build_encoder(side_of(network, dim=changes.pop("dim", 8), **changes)).eval()


def by_hand(network, encoder, row):
    """Return the encoding of one sequence, with no batch and no padding."""
    vectors = VECTORS[row]
    if network == "pooled_embedding":
        return vectors.mean(0)
    if network == "hcnn":
        hidden, largest = vectors.t(), []
        for layer in encoder.convolutions:
            width = layer.kernel_size[0]
            left = (width - 1) // 2
            hidden = torch.nn.functional.pad(hidden, (left, width - 1 - left))
            hidden = conv1d(hidden[None], layer.weight, layer.bias)[0].relu()
            largest.append(hidden.max(1).values)
        return torch.cat(largest)
    return encoder.lstm(vectors[None])[0][0].max(0).values


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("changes", [{}, {"layers": 3, "filter_width": 4, "dim": 10}])
def test_an_encoding_is_what_the_definition_gives_for_one_sequence(network, changes):
    encoder = encoder_of(network, **changes)
    encodings = encoder(VECTORS, sequences_of(ROWS))
    expected = torch.stack([by_hand(network, encoder, row) for row in ROWS])
    torch.testing.assert_close(encodings, expected)


@pytest.mark.parametrize("network", NETWORKS)
def test_longer_neighbours_change_nothing(network):
    encoder = encoder_of(network)
    alone = encoder(VECTORS, sequences_of(ROWS[:1]))
    torch.testing.assert_close(encoder(VECTORS, sequences_of(ROWS))[:1], alone)


def test_what_follows_a_sequence_is_a_row_of_its_own_so_that_id_0_keeps_its_meaning():
    vectors, is_token = padded(VECTORS, sequences_of([[0], [0, 0]]))
    assert vectors.abs().sum(2).gt(0).equal(is_token)
    assert is_token.tolist() == [[True, False], [True, True]]


@pytest.mark.parametrize(("dim", "filters"), [(8, [2, 2, 2, 2]), (11, [2, 2, 2, 5])])
def test_filters_are_shared_out_over_the_layers(dim, filters):
    encoder = encoder_of("hcnn", dim=dim)
    assert [layer.out_channels for layer in encoder.convolutions] == filters


def test_an_hcnn_encoding_has_no_negative_number():
    assert encoder_of("hcnn")(VECTORS, sequences_of(ROWS)).min() >= 0


@pytest.mark.parametrize("network", NETWORKS)
def test_gradients_reach_every_weight_and_every_token_that_occurs(network):
    encoder, vectors = encoder_of(network), VECTORS.clone().requires_grad_()
    encoder(vectors, sequences_of(ROWS)).sum().backward()
    assert all(weight.grad.isfinite().all() for weight in encoder.parameters())
    assert not vectors.grad[[8, 10, 12]].any()
