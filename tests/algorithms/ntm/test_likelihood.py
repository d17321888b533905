"""The sparse loss and the sparse product against dense ones written plainly, gradients included."""

import numpy as np
import pytest
import torch

from sm_dl.algorithms.ntm import likelihood
from sm_dl.algorithms.ntm.bags import bag_product
from sm_dl.algorithms.ntm.documents import documents_from
from sm_dl.algorithms.ntm.likelihood import negative_log_likelihood
from sm_dl.algorithms.ntm.shelf import bags_of

NUM_WORDS, NUM_TOPICS = 40, 5


def bags(seed=0, sizes=(6, 0, 3, 11, 1), num_words=NUM_WORDS):
    random = np.random.default_rng(seed)
    words = np.concatenate([[], *(random.permutation(num_words)[:size] for size in sizes)])
    counts = random.integers(1, 5, len(words)) + random.choice([0, 0.5], len(words))
    return bags_of(documents_from(words.astype(int), counts, np.array(sizes, dtype=int), num_words))


def dense(batch, num_words=NUM_WORDS):
    matrix = torch.zeros(batch.num_documents, num_words)
    matrix[batch.rows_W(), batch.words_W] = batch.counts_W
    return matrix


def inputs(batch, scale=1.0, seed=1):
    generator = torch.Generator().manual_seed(seed)
    shapes = ((batch.num_documents, NUM_TOPICS), (NUM_WORDS, NUM_TOPICS), (NUM_WORDS,))
    return [(scale * torch.randn(*shape, generator=generator)).requires_grad_() for shape in shapes]


def both(batch, scale=1.0, dtype=torch.float32, factor=3):
    """Return values and gradients, ours and by autograd over a dense matrix."""
    share_B = torch.where(batch.lengths_B > 0, 1 / batch.lengths_B, 0.0)
    ours, plain = inputs(batch, scale), inputs(batch, scale)
    value = negative_log_likelihood(batch, *ours, share_B, dtype=dtype)
    topics_BK, weight_VK, bias_V = plain
    scores_BV = torch.log_softmax(topics_BK @ weight_VK.t() + bias_V, 1)
    expected = -(share_B * (dense(batch) * scores_BV).sum(1)).sum()
    (factor * value).backward()
    (factor * expected).backward()
    return (value, *(one.grad for one in ours)), (expected, *(one.grad for one in plain))


@pytest.mark.parametrize("at_once", [1 << 23, 5 * 13, 5 * NUM_WORDS, 1])
@pytest.mark.parametrize("scale", [0.1, 1.0, 20.0])
@pytest.mark.parametrize("num_threads", [1, 2, 3])
def test_the_loss_and_its_gradients_are_those_of_a_dense_softmax(
    monkeypatch, at_once, scale, num_threads
):
    monkeypatch.setattr(likelihood, "SCORES_AT_ONCE", at_once)
    monkeypatch.setattr(likelihood, "SHORTEST_SUM", 4)
    monkeypatch.setattr(torch, "get_num_threads", lambda: num_threads)
    for ours, plain in zip(*both(bags(), scale), strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-5, atol=2e-6 * scale)


@pytest.mark.parametrize("at_once", [1 << 23, 5 * 13])
@pytest.mark.parametrize("num_threads", [1, 3])
def test_in_mixed_precision_only_the_factors_of_products_are_rounded(
    monkeypatch, at_once, num_threads
):
    monkeypatch.setattr(likelihood, "SCORES_AT_ONCE", at_once)
    monkeypatch.setattr(likelihood, "SHORTEST_SUM", 4)
    monkeypatch.setattr(torch, "get_num_threads", lambda: num_threads)
    exact, _ = both(bags())
    rounded, _ = both(bags(), dtype=torch.bfloat16)
    assert {one.dtype for one in rounded} == {torch.float32}
    assert float(rounded[0].detach()) == pytest.approx(float(exact[0].detach()), rel=2e-3)
    for ours, plain in zip(rounded[1:], exact[1:], strict=True):
        assert not torch.equal(ours, plain)
        assert (ours - plain).norm() < 0.01 * plain.norm()


def test_the_gradients_of_the_loss_itself_are_those_of_a_multiple_of_it_divided():
    (_, *once), _ = both(bags(), factor=1)
    (_, *thrice), _ = both(bags(), factor=3)
    for one, three in zip(once, thrice, strict=True):
        torch.testing.assert_close(one * 3, three)


def test_extreme_scores_stay_finite():
    for tensor in both(bags(), 1e3)[0]:
        assert tensor.isfinite().all()


def test_a_batch_without_documents_costs_nothing_and_moves_nothing():
    batch = bags(sizes=())
    ours, _ = both(batch)
    assert [tensor.detach().abs().sum().item() for tensor in ours] == [0.0] * 4


def test_a_document_without_words_costs_nothing():
    (value, *_), _ = both(bags(sizes=(0, 0)))
    assert float(value.detach()) == 0.0


def test_no_gradient_is_made_where_none_is_asked_for(monkeypatch):
    monkeypatch.setattr(likelihood, "sums_over_documents", None)  # to call it would raise
    batch = bags()
    with torch.no_grad():
        value = negative_log_likelihood(batch, *inputs(batch), batch.lengths_B)
    assert value > 0


@pytest.mark.parametrize("num_words", [NUM_WORDS, 1 << 16, (1 << 16) + 1])
@pytest.mark.parametrize("sizes", [(6, 0, 3, 11, 1), (), (0,), (40,), (7,) * 30])
def test_the_product_and_its_gradient_are_those_of_a_dense_matrix(sizes, num_words):
    batch = bags(sizes=sizes, num_words=num_words)
    ours = torch.randn(num_words, 7, generator=torch.Generator().manual_seed(2), requires_grad=True)
    plain = ours.detach().clone().requires_grad_()
    bias, plain_bias = (torch.arange(7.0, requires_grad=True) for _ in range(2))
    weights, counts = torch.randn(batch.num_documents, 7), dense(batch, num_words)
    product, expected = bag_product(batch, ours, bias), counts @ plain + plain_bias
    (product * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(product, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours.grad, plain.grad, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(bias.grad, plain_bias.grad, rtol=1e-5, atol=1e-5)


def test_what_is_kept_between_forward_and_backward_does_not_grow_with_documents_times_words():
    num_words = 4000
    batch = bags(sizes=(9,) * 500, num_words=num_words)
    weight = torch.zeros(num_words, 3, requires_grad=True)
    topics = torch.rand(500, 3, requires_grad=True)
    value = negative_log_likelihood(
        batch, topics, weight, torch.zeros(num_words, requires_grad=True), 1 / batch.lengths_B
    )
    kept = value.grad_fn.saved_tensors
    assert max(tensor.numel() for tensor in kept) <= num_words * 4
