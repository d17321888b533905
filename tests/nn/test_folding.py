"""Folded networks answer as they did, whatever their batch norms have learnt."""

import copy

import pytest
import torch
from torch import nn

from sm_dl.nn.folding import fold_batch_norms
from sm_dl.nn.resnet import ResNet, ResNetShape


def _trained(shape: ResNetShape) -> ResNet:
    """Return a network whose batch norms are none of the identity."""
    torch.manual_seed(0)
    network = ResNet(shape).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
            module.running_mean = 0.1 * torch.randn(module.num_features)
            module.running_var = 0.5 + torch.rand(module.num_features)
    return network


@pytest.mark.parametrize(
    "shape",
    [ResNetShape(20, has_small_stem=True), ResNetShape(18), ResNetShape(50, output_stride=8)],
    ids=["small", "plain", "bottleneck"],
)
def test_a_folded_network_answers_as_before_and_has_no_batch_norm(shape) -> None:
    network = _trained(shape)
    folded = copy.deepcopy(network)
    fold_batch_norms(folded)
    images = torch.randn(2, 3, 33, 47)
    with torch.inference_mode():
        before, after = network(images), folded(images)
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4 * float(before.abs().max()))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())


def test_a_batch_norm_behind_anything_else_stays() -> None:
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1), nn.ReLU(), nn.BatchNorm2d(4))
    fold_batch_norms(network.eval())
    assert [type(module) for module in network] == [
        nn.BatchNorm2d, nn.Conv2d, nn.ReLU, nn.BatchNorm2d
    ]  # fmt: skip
