"""The network's scores are what a slow reading of its description gives, and start near nothing."""

import math

import pytest
import torch

from sm_dl.algorithms.ip_insights.batches import EpochBatches
from sm_dl.algorithms.ip_insights.module import IPInsightsModule
from sm_dl.algorithms.ip_insights.network import (
    EXACT_PREFIXES,
    NUM_EXACT_ROWS,
    NUM_PREFIX_ROWS,
    PREFIX_BITS,
    IPInsightsNetwork,
    NetworkShape,
    prefix_rows,
)
from sm_dl.engine.place import Place


@pytest.fixture
def network() -> IPInsightsNetwork:
    torch.manual_seed(0)
    return IPInsightsNetwork(NetworkShape(num_entity_vectors=50, vector_dim=6, num_layers=2))


@pytest.fixture
def batch(make_table, make_hyperparameters):
    hyperparameters = make_hyperparameters(
        random_negative_sampling_rate=2, shuffled_negative_sampling_rate=3
    )
    return next(iter(EpochBatches(make_table(30), hyperparameters)(Place(0))))


def slow_vector(network: IPInsightsNetwork, address: int) -> torch.Tensor:
    """Return the vector of one address, prefix by prefix."""
    rows, begin = [], 0
    for bits in PREFIX_BITS:
        prefix = address >> (32 - bits)
        if bits <= 16:
            rows.append(begin + prefix)
            begin += 1 << bits
        else:
            word = (prefix + ((32 - bits) << 32)) * 0x9E3779B97F4A7C15 % 2**64
            rows.append(NUM_EXACT_ROWS + (word >> 44))
    signs = torch.tensor([1.0 if address >> bit & 1 else -1.0 for bit in range(31, -1, -1)])
    vector = torch.cat([network.encoder.prefixes[rows].flatten(), signs])
    for layer in network.encoder.layers:
        vector = layer(vector)
    return vector


def test_scores_are_inner_products_of_the_observed_the_shuffled_and_the_random_pair(network, batch):
    expected = []
    for pair in range(len(batch.row_B)):
        observed = batch.address_A[batch.place_B].tolist()
        addresses = [
            observed[pair],
            *(observed[partner] for partner in batch.partner_BS[pair].tolist()),
            *batch.random_BR[pair].tolist(),
        ]
        entity = network.entities[batch.row_B[pair]]
        expected.append([(entity @ slow_vector(network, one)).item() for one in addresses])
    torch.testing.assert_close(network(batch), torch.tensor(expected))


def test_in_mixed_precision_scores_are_float32_and_nearly_the_same(network, batch):
    with torch.no_grad():
        network.entities.mul_(100)  # as after training: scores of some tens
    exact = network(batch)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = network(batch)
    assert mixed.dtype == torch.float32
    assert not torch.equal(mixed, exact)
    torch.testing.assert_close(mixed, exact, rtol=0, atol=0.02 * exact.abs().max().item())
    mixed.sum().backward()
    assert network.entities.grad.is_sparse
    assert {one.grad.dtype for one in network.parameters()} == {torch.float32}


def test_exact_prefixes_have_rows_of_their_own():
    for column, bits in enumerate(EXACT_PREFIXES):
        every = prefix_rows(torch.arange(1 << bits) << (32 - bits))[:, column]
        assert len(every.unique()) == 1 << bits


def test_rows_of_different_lengths_do_not_meet_where_they_are_exact():
    rows = prefix_rows(torch.randint(0, 2**32, (1000,)))
    for column in range(1, len(EXACT_PREFIXES)):
        assert rows[:, column].min() > rows[:, column - 1].max()


def test_every_row_lies_in_the_table():
    edges = torch.tensor([0, 2**32 - 1, 2**31, 2**31 - 1])
    rows = prefix_rows(torch.cat([edges, torch.randint(0, 2**32, (10_000,))]))
    assert (int(rows.min()), int(rows.max())) >= (0, NUM_EXACT_ROWS)
    assert int(rows.max()) < NUM_PREFIX_ROWS


def test_hashed_prefixes_spread_over_their_rows():
    neighbours = torch.arange(4096) + (10 << 24)
    assert len(prefix_rows(neighbours)[:, -1].unique()) > 4000


def test_addresses_of_one_network_share_its_rows_and_no_more():
    one, two = prefix_rows(torch.tensor([0x0A010203, 0x0A0102FF]))
    shared = [bool(same) for same in one == two]
    assert shared == [bits <= 24 for bits in PREFIX_BITS]


def test_no_two_addresses_look_the_same_to_the_layers(network):
    torch.nn.init.zeros_(network.encoder.prefixes)
    torch.manual_seed(1)
    vectors = network.encoder(torch.tensor([0, 1, 2**31, 2**32 - 1]))
    assert len(vectors.unique(dim=0)) == 4


def test_the_first_loss_is_that_of_knowing_nothing(batch):
    torch.manual_seed(0)
    network = IPInsightsNetwork(NetworkShape(50, 128, 1))
    scores = network(batch)
    loss = (torch.nn.functional.softplus(scores).sum() - scores[:, 0].sum()) / scores.numel()
    assert loss.item() == pytest.approx(math.log(2), abs=0.01)


def test_a_part_without_pairs_has_no_scores_and_gradients_of_zero(
    network, make_table, make_hyperparameters
):
    batches = EpochBatches(make_table(1), make_hyperparameters())
    (nothing,) = batches(Place(0, rank=1, world_size=2))
    scores = network(nothing)
    assert scores.shape == (0, 3)
    scores.sum().backward()
    assert all(float(layer.grad.abs().sum()) == 0 for layer in network.encoder.layers.parameters())


def test_the_step_sums_loss_records_and_correct_answers(
    network, batch, make_table, make_hyperparameters
):
    wanted = make_hyperparameters()
    module = IPInsightsModule(network, wanted, EpochBatches(make_table(1), wanted))
    step = module.training_step(batch, 0)
    scores = network(batch)
    truth = torch.zeros_like(scores)
    truth[:, 0] = 1
    expected = torch.nn.functional.binary_cross_entropy_with_logits(scores, truth, reduction="sum")
    torch.testing.assert_close(step["total"], expected)
    assert int(step["figures"]["accuracy"]) == int(((scores > 0) == (truth > 0)).sum())
    assert (int(step["count"]), step["records"]) == (scores.numel(), scores.numel())


def test_the_rate_falls_to_nothing_over_the_last_half_of_all_updates(
    network, make_table, make_hyperparameters
):
    wanted = make_hyperparameters(
        epochs=4, mini_batch_size=3 * 7
    )  # of 7 pairs with 2 negatives each
    module = IPInsightsModule(network, wanted, EpochBatches(make_table(5 * 7), wanted))
    assert module.rate_factor(0) == 1.0  # before it is known how many there will be
    module.on_fit_start()
    factors = [module.rate_factor(done) for done in range(21)]
    assert factors[:11] == [1.0] * 11
    assert factors[11:] == pytest.approx([0.1 * left for left in range(9, -1, -1)])
    assert module.rate_factor(25) == 0.0  # resumed with fewer epochs than it has had


@pytest.mark.parametrize("num_layers", [0, 1, 3])
def test_as_many_fully_connected_layers_are_there_as_asked_for(num_layers):
    layers = IPInsightsNetwork(NetworkShape(5, 4, num_layers)).encoder.layers
    assert sum(isinstance(layer, torch.nn.Linear) for layer in layers) == num_layers + 1
