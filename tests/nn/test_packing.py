"""Packed networks answer as they did, for the images they were packed for and for others."""

import copy

import pytest
import torch
from torch import nn

from sm_dl.nn.folding import fold_batch_norms
from sm_dl.nn.packing import can_pack, pack
from sm_dl.nn.resnet import ResNet, ResNetShape

pytestmark = pytest.mark.skipif(not can_pack(), reason="this torch is built without oneDNN")

SHAPES = pytest.mark.parametrize(
    "shape",
    [
        ResNetShape(20, has_small_stem=True),
        ResNetShape(20, num_channels=1, has_small_stem=True),
        ResNetShape(18),
        ResNetShape(50, output_stride=8),
    ],
    ids=["small", "grey", "plain", "dilated bottleneck"],
)


def _folded(shape: ResNetShape) -> ResNet:
    torch.manual_seed(0)
    network = ResNet(shape).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.bias, std=0.1)
    fold_batch_norms(network)
    return network.to(memory_format=torch.channels_last)


@SHAPES
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_a_packed_network_answers_as_before(shape, dtype) -> None:
    network = _folded(shape)
    exact = copy.deepcopy(network)
    packed = network.to(dtype)
    pack(packed, torch.zeros(1, shape.num_channels, 33, 47, dtype=dtype))
    assert not any(isinstance(module, nn.Conv2d) for module in packed.modules())
    images = torch.randn(5, shape.num_channels, 64, 40)
    given = [images[:2, :, :33], images[:1, :, :33], images, images[:2, :, :33]]
    with torch.inference_mode():
        for some in given:
            kept = some.clone()
            answer, wanted = packed(some.to(dtype)), exact(some)
            assert answer.dtype == dtype
            rounding = 1e-4 if dtype == torch.float32 else 0.03
            torch.testing.assert_close(
                answer.float(), wanted, rtol=0, atol=rounding * float(wanted.abs().max())
            )
            assert torch.equal(some, kept)


@SHAPES
def test_all_stages_of_a_packed_network_can_be_read(shape) -> None:
    network = _folded(shape)
    exact = copy.deepcopy(network)
    images = torch.randn(2, shape.num_channels, 40, 40)
    pack(network, images)
    with torch.inference_mode():
        for answer, wanted in zip(network.stages(images), exact.stages(images), strict=True):
            torch.testing.assert_close(
                answer, wanted, rtol=0, atol=1e-4 * float(wanted.abs().max())
            )
