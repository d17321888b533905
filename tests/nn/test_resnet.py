"""Residual networks are torchvision's, layer by layer, and small ones those of the paper."""

import math

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models.resnet import Bottleneck

from sm_dl.nn.resnet import DEPTHS, LARGE, SMALL, ResNet, ResNetShape


def _images(side: int = 64, count: int = 2, channels: int = 3) -> torch.Tensor:
    return torch.randn(count, channels, side, side, generator=torch.Generator().manual_seed(5))


def _twin(depth: int, **options: object) -> nn.Module:
    """Return torchvision's network; it has none of 200 layers, but the parts of one."""
    if depth == 200:
        return torchvision.models.ResNet(Bottleneck, [3, 24, 36, 3], **options)
    return getattr(torchvision.models, f"resnet{depth}")(**options)


def _features(twin: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Return what torchvision's network computes up to its last stage."""
    hidden = twin.maxpool(twin.relu(twin.bn1(twin.conv1(images))))
    return twin.layer4(twin.layer3(twin.layer2(twin.layer1(hidden))))


@pytest.mark.parity
@pytest.mark.parametrize("depth", [18, 50])
def test_torchvisions_weights_load_by_name_and_give_torchvisions_features(depth: int) -> None:
    twin = _twin(depth).eval()
    network = ResNet(ResNetShape(depth)).eval()
    left = network.load_state_dict(twin.state_dict(), strict=False)
    assert (left.missing_keys, left.unexpected_keys) == ([], ["fc.weight", "fc.bias"])
    with torch.no_grad():
        torch.testing.assert_close(network(_images()), _features(twin, _images()))


@pytest.mark.parametrize("depth", LARGE)
def test_a_large_network_has_torchvisions_names_and_shapes(depth: int) -> None:
    with torch.device("meta"):
        theirs = {name: one.shape for name, one in _twin(depth).state_dict().items()}
        ours = {name: one.shape for name, one in ResNet(ResNetShape(depth)).state_dict().items()}
    assert ours == {name: shape for name, shape in theirs.items() if not name.startswith("fc.")}


@pytest.mark.parity
@pytest.mark.parametrize(
    ("stride", "replaced"), [(16, (False, False, True)), (8, (False, True, True))]
)
def test_dilation_in_place_of_stride_is_torchvisions(
    stride: int, replaced: tuple[bool, bool, bool]
) -> None:
    twin = _twin(50, replace_stride_with_dilation=replaced).eval()
    network = ResNet(ResNetShape(50, output_stride=stride)).eval()
    network.load_state_dict(twin.state_dict(), strict=False)
    with torch.no_grad():
        features = network(_images())
        torch.testing.assert_close(features, _features(twin, _images()))
    assert features.shape[-1] == 64 // stride


@pytest.mark.parity
def test_training_gives_torchvisions_gradients() -> None:
    twin, network = _twin(18), ResNet(ResNetShape(18))
    network.load_state_dict(twin.state_dict(), strict=False)
    network(_images()).square().mean().backward()
    _features(twin, _images()).square().mean().backward()
    theirs = dict(twin.named_parameters())
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(parameter.grad, theirs[name].grad, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("stride", [8, 16])
def test_plain_units_are_dilated_too(stride: int) -> None:
    network = ResNet(ResNetShape(18, output_stride=stride)).eval()
    with torch.no_grad():
        assert network(_images()).shape == (2, 512, 64 // stride, 64 // stride)


def test_a_dilated_network_has_the_weights_of_one_that_is_not() -> None:
    dilated, plain = ResNet(ResNetShape(50, output_stride=8)), ResNet(ResNetShape(50))
    dilated.load_state_dict(plain.state_dict())


@pytest.mark.parametrize("depth", SMALL)
def test_a_small_network_has_as_many_weighted_layers_as_it_is_named_for(depth: int) -> None:
    network = ResNet(ResNetShape.of_image(depth, (3, 28, 28)))
    on_the_way = [
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d) and "downsample" not in name
    ]
    assert len(on_the_way) + 1 == depth  # and the linear layer


def test_the_small_network_of_20_layers_has_the_parameters_of_the_paper() -> None:
    network = ResNet(ResNetShape.of_image(20, (3, 32, 32)))
    projections = sum(
        parameter.numel() for name, parameter in network.named_parameters() if "downsample" in name
    )
    total = sum(parameter.numel() for parameter in network.parameters())
    # table 6 of the paper: 0.27 M, with shortcuts that have no weights
    assert round((total - projections + 64 * 10 + 10) / 1e6, 2) == 0.27


@pytest.mark.parametrize(("height", "side"), [(28, 28), (32, 32), (33, 9), (224, 56)])
def test_the_height_picks_the_stem(height: int, side: int) -> None:
    network = ResNet(ResNetShape.of_image(20, (3, height, height))).eval()
    with torch.no_grad():
        assert network.stem(_images(height, 1)).shape == (1, 16, side, side)


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("height", [28, 64])
def test_every_depth_runs_at_every_size(depth: int, height: int) -> None:
    with torch.device("meta"):
        network = ResNet(ResNetShape.of_image(depth, (1, height, height)))
        features = network(torch.empty(2, 1, height, height))
    assert features.shape[1] == network.shape.stage_channels[-1]


def test_stages_are_the_steps_to_the_last_one() -> None:
    network = ResNet(ResNetShape(18)).eval()
    with torch.no_grad():
        stages = network.stages(_images())
        torch.testing.assert_close(stages[-1], network(_images()))
    assert [stage.shape[1] for stage in stages] == [64, 128, 256, 512]
    assert [stage.shape[2] for stage in stages] == [16, 8, 4, 2]


def test_fresh_weights_keep_the_variance_of_a_relu() -> None:
    torch.manual_seed(3)
    for name, module in ResNet(ResNetShape(50)).named_modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 10_000:
            expected = math.sqrt(2 / (module.in_channels * module.kernel_size[0] ** 2))
            assert float(module.weight.detach().std()) == pytest.approx(expected, rel=0.05), name
