"""In mixed precision a hidden layer rounds the factors of its products and nothing else."""

import copy

import pytest
import torch
from torch import nn

from sm_dl.algorithms.object2vec.hidden import HiddenLinear


def layers():
    torch.manual_seed(0)
    ours, plain = HiddenLinear(40, 7), nn.Linear(40, 7)
    plain.load_state_dict(ours.state_dict())
    return ours, plain


def trained(layer, values, outer):
    values = values.clone().requires_grad_()
    hidden = layer(values)
    hidden.backward(outer)
    return hidden.detach(), values.grad, layer.weight.grad, layer.bias.grad


def test_in_full_precision_it_is_the_usual_layer():
    values, outer = torch.randn(5, 40), torch.randn(5, 7)
    for one, other in zip(*(trained(layer, values, outer) for layer in layers()), strict=True):
        assert one.equal(other)


def test_in_bfloat16_results_are_float32_and_nearly_the_same():
    ours, plain = layers()
    values, outer = torch.randn(5, 40), torch.randn(5, 7)
    with torch.autocast("cpu", torch.bfloat16):
        found = trained(ours, values, outer)
    expected = trained(plain, values, outer)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == torch.float32
        assert (one - other).norm() < 0.01 * other.norm()
    assert not found[0].equal(expected[0])
    assert found[3].equal(expected[3])  # the bias takes part in no product


def test_in_bfloat16_factors_that_have_few_digits_lose_none():
    ours, plain = (copy.deepcopy(layer) for layer in layers())
    for layer in (ours, plain):
        layer.weight.data.copy_(layer.weight.data.mul(64).round())
        layer.bias.data.fill_(0.123456789)
    with torch.autocast("cpu", torch.bfloat16):
        found = ours(torch.eye(40))
    assert found.equal(plain(torch.eye(40)))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_its_result_is_float32_in_any_precision(dtype):
    with torch.autocast("cpu", dtype):
        assert layers()[0](torch.randn(2, 40)).dtype == torch.float32
