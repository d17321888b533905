"""The topic model: its loss against plain formulas, and what a batch may not change."""

import math

import numpy as np
import pytest
import torch

from sm_dl.algorithms.ntm.documents import documents_from
from sm_dl.algorithms.ntm.network import NetworkShape, NTMNetwork
from sm_dl.algorithms.ntm.shelf import Shelf, bags_of

NUM_WORDS, NUM_TOPICS = 30, 4


def network(seed=0, layers=(9, 6), activation="sigmoid", *, has_batch_norm=False):
    torch.manual_seed(seed)
    shape = NetworkShape(NUM_WORDS, NUM_TOPICS, layers, activation, has_batch_norm)
    return NTMNetwork(shape)


def documents(seed=0, sizes=(5, 9, 1, 20)):
    random = np.random.default_rng(seed)
    words = np.concatenate([[], *(random.permutation(NUM_WORDS)[:size] for size in sizes)])
    counts = random.integers(1, 4, len(words))
    return documents_from(words.astype(int), counts, np.array(sizes, dtype=int), NUM_WORDS)


def dense(bags):
    matrix = torch.zeros(bags.num_documents, NUM_WORDS)
    matrix[bags.rows_W(), bags.words_W] = bags.counts_W
    return matrix


def plain_loss(net, counts_BV, noise_BK):
    """Return reconstruction and divergence as numbers; see `plain_terms`."""
    return tuple(term.item() for term in plain_terms(net, counts_BV, noise_BK))


def plain_terms(net, counts_BV, noise_BK):
    """Return reconstruction and divergence as the formulas of the paper have them, in float64."""
    net = net.double()
    counts_BV, noise_BK = counts_BV.double(), noise_BK.double()
    hidden = net.encoder(counts_BV @ net.reading.weight + net.reading.bias)
    mean, log_deviation = net.mean(hidden), net.log_deviation(hidden)
    prior = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    code = torch.distributions.Normal(mean, log_deviation.exp())
    divergence_B = torch.distributions.kl_divergence(code, prior).sum(1)
    scores = net.projection(torch.sigmoid(mean + log_deviation.exp() * noise_BK))
    likelihood_B = (counts_BV * torch.log_softmax(scores, 1)).sum(1)
    length_B = counts_BV.sum(1)
    return -(likelihood_B / length_B).sum(), (divergence_B / length_B).sum()


def test_without_topics_words_begin_with_their_share_of_all_words():
    net, counts_V = network(), torch.arange(NUM_WORDS, dtype=torch.float64)
    net.start_from(counts_V)
    probability_V = torch.softmax(net.projection(torch.zeros(NUM_TOPICS)), dim=0)
    wanted_V = (counts_V + 0.5) / (counts_V + 0.5).sum()
    assert probability_V.tolist() == pytest.approx(wanted_V.tolist(), rel=1e-5)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
@pytest.mark.parametrize("layers", [(9,), (9, 6), (4, 5, 6)])
def test_the_loss_is_that_of_plain_formulas(activation, layers):
    net, bags = network(layers=layers, activation=activation), bags_of(documents())
    noise = torch.randn(bags.num_documents, NUM_TOPICS)
    terms = [term.item() for term in net.loss(bags, noise)]
    assert terms == pytest.approx(plain_loss(net, dense(bags), noise), rel=1e-4)


def gradients(net, loss):
    net.zero_grad()
    loss.backward()
    return [one.grad.float().clone() for one in net.parameters()]


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
@pytest.mark.parametrize("layers", [(9,), (9, 6), (4, 5, 6)])
def test_the_gradients_are_those_of_plain_formulas(activation, layers):
    net, bags = network(layers=layers, activation=activation), bags_of(documents())
    net.start_from(torch.ones(NUM_WORDS))
    noise = torch.randn(bags.num_documents, NUM_TOPICS)
    terms = net.loss(bags, noise)
    ours = gradients(net, terms.reconstruction + 2 * terms.divergence)
    reconstruction, divergence = plain_terms(net, dense(bags), noise)
    for one, plain in zip(ours, gradients(net, reconstruction + 2 * divergence), strict=True):
        torch.testing.assert_close(one, plain, rtol=1e-4, atol=1e-6)


def test_in_bfloat16_the_gradients_are_alike():
    net, bags = network(), bags_of(documents())
    noise = torch.randn(bags.num_documents, NUM_TOPICS)
    exact = gradients(net, sum(net.loss(bags, noise)))
    with torch.autocast("cpu", torch.bfloat16):
        rounded = gradients(net, sum(net.loss(bags, noise)))
    for one, other in zip(rounded, exact, strict=True):
        assert (one - other).norm() < 0.02 * other.norm()


def test_the_loss_of_a_batch_is_the_sum_over_its_documents():
    net, kept = network(), documents()
    noise = torch.randn(len(kept), NUM_TOPICS)
    shelf = Shelf(kept)
    single = [
        torch.stack(net.loss(shelf.cut(torch.tensor([row])), noise[row : row + 1]))
        for row in range(len(kept))
    ]
    together = torch.stack(net.loss(bags_of(kept), noise))
    torch.testing.assert_close(together, torch.stack(single).sum(0), rtol=1e-5, atol=1e-5)


def test_documents_without_words_add_nothing():
    noise = torch.randn(4, NUM_TOPICS)
    full, net = documents(sizes=(5, 9)), network()
    with_empty = documents_from(full.words, full.counts, np.array([5, 0, 9, 0]), NUM_WORDS)
    terms = torch.stack(net.loss(bags_of(with_empty), noise))
    torch.testing.assert_close(terms, torch.stack(net.loss(bags_of(full), noise[::2])))


def test_a_fresh_network_is_about_as_wise_as_a_uniform_guess():
    bags = bags_of(documents())
    terms = network().loss(bags, torch.zeros(4, NUM_TOPICS))
    assert terms.reconstruction.item() / 4 == pytest.approx(math.log(NUM_WORDS), rel=0.1)


def test_every_weight_learns():
    for has_batch_norm in (False, True):
        net = network(has_batch_norm=has_batch_norm)
        sum(net.loss(bags_of(documents()), torch.randn(4, NUM_TOPICS))).backward()
        assert [name for name, one in net.named_parameters() if not one.grad.any()] == []


def test_topic_weights_are_positive_and_sum_to_one_also_for_no_words():
    weights_BK = network().topic_weights(bags_of(documents(sizes=(5, 0, 20))))
    assert (weights_BK > 0).all()
    assert weights_BK.sum(1).tolist() == pytest.approx([1.0] * 3, rel=1e-5)


def test_batch_normalisation_serves_a_document_alike_alone_and_in_company():
    net = network(has_batch_norm=True)
    net.loss(bags_of(documents()), torch.randn(4, NUM_TOPICS))
    net.eval()
    alone = net.topic_weights(bags_of(documents().take(np.array([1]))))
    together = net.topic_weights(bags_of(documents()))[1:2]
    torch.testing.assert_close(alone, together)


@pytest.mark.parametrize("sizes", [(5,), ()])
def test_batch_normalisation_takes_batches_without_spread(sizes):
    net = network(has_batch_norm=True)
    terms = net.loss(bags_of(documents(sizes=sizes)), torch.randn(len(sizes), NUM_TOPICS))
    sum(terms).backward()
    assert math.isfinite(sum(terms).item())


def test_weights_have_the_names_a_reader_of_the_artifact_relies_on():
    state = network(has_batch_norm=True).state_dict()
    assert state["projection.weight"].shape == (NUM_WORDS, NUM_TOPICS)
    assert {name.partition(".")[0] for name in state} == {
        "reading", "encoder", "mean", "log_deviation", "projection",
    }  # fmt: skip


def test_in_mixed_precision_the_loss_is_nearly_the_same():
    net, bags = network(), bags_of(documents())
    noise = torch.randn(bags.num_documents, NUM_TOPICS)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = net.loss(bags, noise)
    (mixed.reconstruction + mixed.divergence).backward()
    exact = network().loss(bags, noise)
    assert [term.item() for term in mixed] == pytest.approx(
        [term.item() for term in exact], rel=0.02, abs=0.02
    )
    assert all(torch.isfinite(one.grad).all() for one in net.parameters())
