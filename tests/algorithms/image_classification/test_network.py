"""The classifier takes pixels as stored, and is torchvision's once its weights are in."""

import pytest
import torch
import torchvision

from sm_dl.algorithms.image_classification.facts import ModelFacts
from sm_dl.algorithms.image_classification.network import (
    IMAGENET_DEVIATION,
    IMAGENET_MEAN,
    ResNetClassifier,
)
from sm_dl.nn.resnet import ResNetShape


def _pixels(count: int = 2, side: int = 64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=generator)


@pytest.mark.parity
def test_torchvisions_weights_give_torchvisions_logits_on_normalised_images() -> None:
    twin = torchvision.models.resnet18().eval()
    network = ResNetClassifier(ResNetShape(18), 1000).eval()
    network.load_state_dict(twin.state_dict(), strict=False)
    mean_C11 = torch.tensor(IMAGENET_MEAN)[:, None, None] / 255
    deviation_C11 = torch.tensor(IMAGENET_DEVIATION)[:, None, None] / 255
    with torch.no_grad():
        expected = twin((_pixels() / 255 - mean_C11) / deviation_C11)
        torch.testing.assert_close(network(_pixels()), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.bfloat16])
def test_bytes_and_numbers_of_the_same_value_are_the_same_image(network, dtype) -> None:
    classifier = network().eval()
    with torch.no_grad():
        torch.testing.assert_close(classifier(_pixels().to(dtype)), classifier(_pixels()))


def test_an_image_has_the_same_logits_alone_and_in_a_batch(network) -> None:
    classifier = network().eval()
    with torch.no_grad():
        together = classifier(_pixels(5))
        alone = torch.cat([classifier(one[None]) for one in _pixels(5)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


def test_the_scale_of_the_input_is_learnt_from_the_data(network) -> None:
    classifier = network().train()
    for _ in range(100):
        classifier(_pixels() // 4)
    expected = (_pixels() // 4).float().mean((0, 2, 3))
    torch.testing.assert_close(classifier.bn_data.running_mean, expected, rtol=1e-2, atol=0.1)


def test_the_scale_of_the_input_costs_no_gradient(network) -> None:
    classifier = network()
    assert not list(classifier.bn_data.parameters())


def test_grey_images_need_one_channel() -> None:
    facts = ModelFacts(20, (1, 12, 16), 4)
    classifier = ResNetClassifier(facts.network_shape, facts.num_classes).eval()
    with torch.no_grad():
        assert classifier(_pixels()[:, :1]).shape == (2, 4)


def test_a_new_output_layer_leaves_the_rest_alone(network) -> None:
    classifier, same = network(), network()
    classifier.start_output_anew()
    changed = {
        name
        for name, tensor in classifier.state_dict().items()
        if not torch.equal(tensor, same.state_dict()[name])
    }
    assert changed == {"fc.weight"}  # a fresh bias is zero


def test_logits_keep_their_digits_under_autocast(network) -> None:
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert network().eval()(_pixels()).dtype == torch.float32
