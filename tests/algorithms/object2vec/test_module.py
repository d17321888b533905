"""The loss of a step: sums over pairs, their weights, and their gradients."""

import pytest
import torch

from sm_dl.algorithms.object2vec.batches import PairBatch
from sm_dl.algorithms.object2vec.encoders import Sequences
from sm_dl.algorithms.object2vec.module import ACCURACY, step_loss

NONE = Sequences(torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))


def batch_of(labels, weights):
    return PairBatch(NONE, NONE, torch.tensor(labels), torch.tensor(weights), len(labels))


def test_squared_errors_are_summed_by_weight_and_so_are_their_gradients():
    scores = torch.tensor([[1.0], [5.0], [2.0]], requires_grad=True)
    loss = step_loss(scores, batch_of([3.0, 4.5, 9.0], [1.0, 1.0, 0.0]))
    assert (loss["total"].item(), loss["count"].item(), loss["records"]) == (4.25, 2.0, 3)
    (0.5 * loss["total"]).backward()
    assert scores.grad.tolist() == [[-2.0], [0.5], [0.0]]


def test_the_gradient_of_squared_errors_is_that_of_small_changes():
    scores = torch.randn(4, 1, dtype=torch.float64, requires_grad=True)
    labels, weights = torch.randn(2, 4, dtype=torch.float64)
    batch = PairBatch(NONE, NONE, labels, weights, 4)
    assert torch.autograd.gradcheck(lambda one: step_loss(one, batch)["total"], scores)


def test_cross_entropy_and_correct_answers_are_summed_by_weight():
    logits = torch.tensor([[2.0, 0.0], [0.0, 0.0], [0.0, 9.0]])
    loss = step_loss(logits, batch_of([0.0, 1.0, 0.0], [1.0, 1.0, 0.0]))
    expected = torch.tensor([1 + torch.e**-2, 2.0]).log().sum()
    assert loss["total"].item() == pytest.approx(expected.item())
    assert loss["figures"][ACCURACY].item() == 1
