"""The optimizers against MXNet's update rules, written out for one number, and torch's where they agree."""

import copy
import math

import pytest
import torch
from torch import nn

from sm_dl.engine.optim import decaying, mxnet_optimizer

NAMES = ("sgd", "nag", "adam", "rmsprop", "adagrad", "adadelta")
RATE, DECAY, MOMENTUM, RESCALE, CLIP = 0.1, 0.03, 0.8, 0.5, 0.4
GRADIENTS = (0.3, -2.0, 0.7, 0.1, 5.0)


def clipped(gradient):
    return max(-CLIP, min(CLIP, gradient))


def by_hand(name, weight):
    """Return the weight after each of GRADIENTS."""
    mean = square = change = moment = 0.0
    seen = []
    for step, raw in enumerate(GRADIENTS, start=1):
        bare = clipped(RESCALE * raw)
        decayed = clipped(RESCALE * raw + DECAY * weight)
        if name == "sgd":
            moment = MOMENTUM * moment - RATE * (bare + DECAY * weight)
            weight += moment
        elif name == "nag":
            pull = bare + DECAY * weight
            moment = MOMENTUM * moment + pull
            weight -= RATE * (pull + MOMENTUM * moment)
        elif name == "adam":
            mean = 0.9 * mean + 0.1 * decayed
            square = 0.999 * square + 0.001 * decayed**2
            rate = RATE * math.sqrt(1 - 0.999**step) / (1 - 0.9**step)
            weight -= rate * mean / (math.sqrt(square) + 1e-8)
        elif name == "rmsprop":
            square = 0.9 * square + 0.1 * decayed**2
            weight -= RATE * decayed / math.sqrt(square + 1e-8)
        elif name == "adagrad":
            square += bare**2
            weight -= RATE * (bare / math.sqrt(square + 1e-7) + DECAY * weight)
        else:
            square = 0.9 * square + 0.1 * bare**2
            delta = math.sqrt(change + 1e-5) / math.sqrt(square + 1e-5) * bare
            change = 0.9 * change + 0.1 * delta**2
            weight -= delta + DECAY * weight
        seen.append(weight)
    return seen


class OneNumber(nn.Module):
    def __init__(self, value=1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.full((1, 1), value, dtype=torch.float64))


def trained(name, module, gradients=GRADIENTS, optimizer=None, **settings):
    optimizer = optimizer or mxnet_optimizer(
        name, module, learning_rate=RATE, weight_decay=DECAY, momentum=MOMENTUM, **settings
    )
    seen = []
    for gradient in gradients:
        module.weight.grad = torch.full_like(module.weight, gradient)
        optimizer.step()
        seen.append(module.weight.item())
    return seen, optimizer


@pytest.mark.parametrize("name", NAMES)
def test_the_rule_is_mxnet_s(name):
    seen, _ = trained(name, OneNumber(), rescale=RESCALE, clip=CLIP)
    assert seen == pytest.approx(by_hand(name, 1.0), rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_optimizer_goes_on_as_if_nothing_had_happened(name):
    whole, _ = trained(name, OneNumber())
    first = OneNumber()
    _, stopped = trained(name, first, GRADIENTS[:2])
    again = OneNumber(first.weight.item())
    _, fresh = trained(name, again, ())
    fresh.load_state_dict(copy.deepcopy(stopped.state_dict()))
    seen, _ = trained(name, again, GRADIENTS[2:], optimizer=fresh)
    assert seen == whole[2:]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("decays", [(0.0, DECAY), (DECAY, 0.0), (DECAY, 2 * DECAY)])
def test_settings_are_those_of_the_job_that_goes_on_and_moments_those_of_each_weight(name, decays):
    module = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    old, new = (
        mxnet_optimizer(name, module, learning_rate=rate, weight_decay=decay, momentum=MOMENTUM)
        for rate, decay in zip((RATE, RATE / 2), decays, strict=True)
    )
    for weight in module.parameters():
        weight.grad = torch.randn_like(weight)
    old.step()
    wanted = [{**group, "step": 1} for group in new.param_groups]
    new.load_state_dict(copy.deepcopy(old.state_dict()))
    for group, settings in zip(new.param_groups, wanted, strict=True):
        assert list(map(id, group.pop("params"))) == list(map(id, settings.pop("params")))
        assert group == settings
    for weight in module.parameters():
        assert old.state[weight].keys() == new.state[weight].keys() != set()
        for key, state in old.state[weight].items():
            assert torch.equal(new.state[weight][key], state)


@pytest.mark.parametrize("rate", [1e-6, 0.5])
def test_adadelta_has_no_learning_rate(rate):
    module = OneNumber()
    seen, _ = trained(
        "adadelta", module, optimizer=mxnet_optimizer("adadelta", module, learning_rate=rate)
    )
    other, _ = trained(
        "adadelta", other_module := OneNumber(), optimizer=torch.optim.Adadelta(
            other_module.parameters(), lr=1.0, rho=0.9, eps=1e-5
        )
    )  # fmt: skip
    assert seen == pytest.approx(other, rel=1e-12)


@pytest.mark.parametrize("nesterov", [False, True])
def test_at_a_constant_rate_momentum_is_torch_s(nesterov):
    seen, _ = trained("nag" if nesterov else "sgd", OneNumber())
    module = OneNumber()
    peer = torch.optim.SGD(
        module.parameters(), lr=RATE, momentum=MOMENTUM, weight_decay=DECAY, nesterov=nesterov
    )
    assert seen == pytest.approx(trained("", module, optimizer=peer)[0], rel=1e-12)


def test_momentum_keeps_the_rate_of_its_day():
    module = OneNumber()
    optimizer = mxnet_optimizer("sgd", module, learning_rate=1.0, momentum=0.5)
    trained("sgd", module, (1.0,), optimizer=optimizer)
    optimizer.param_groups[0]["lr"] = 0.0
    trained("sgd", module, (1.0,), optimizer=optimizer)
    assert module.weight.item() == 1.0 - 1.0 - 0.5


def test_weights_and_scales_decay_and_biases_do_not():
    module = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Embedding(4, 2))
    linear, norm, table = module
    assert [id(one) for one in decaying(module)] == [
        id(linear.weight), id(norm.weight), id(table.weight),
    ]  # fmt: skip


def test_what_needs_no_gradient_is_left_alone():
    module = nn.Linear(2, 2)
    module.weight.requires_grad_(False)
    (group,) = mxnet_optimizer("sgd", module, learning_rate=1.0).param_groups
    assert [one.shape for one in group["params"]] == [module.bias.shape]


@pytest.mark.parametrize("epsilon", [1e-8, 0.0])
def test_a_beta_2_of_one_makes_adam_s_step_size_zero(epsilon):
    module = OneNumber()
    optimizer = mxnet_optimizer("adam", module, learning_rate=RATE, beta_2=1.0, epsilon=epsilon)
    for gradient in GRADIENTS[:2]:
        module.weight.grad = torch.full_like(module.weight, gradient)
        optimizer.step()
    state = optimizer.state[module.weight]
    assert (module.weight.item(), state["square"].item()) == (1.0, 0.0)
    assert state["mean"].item() == pytest.approx(0.9 * 0.1 * GRADIENTS[0] + 0.1 * GRADIENTS[1])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("is_resumed", [False, True])
def test_the_order_of_the_memory_is_no_matter(name, is_resumed):
    def after_three(memory_format):
        module = nn.Conv2d(3, 2, 2).to(memory_format=memory_format)
        optimizer = mxnet_optimizer(name, module, learning_rate=RATE, momentum=MOMENTUM)
        draws = torch.Generator().manual_seed(0)
        with torch.no_grad():
            module.weight.copy_(torch.randn(2, 3, 2, 2, generator=draws))
        for _ in range(3):
            gradient = torch.randn(2, 3, 2, 2, generator=draws)
            module.weight.grad = gradient.contiguous()
            optimizer.step()
            if is_resumed:  # a checkpoint's tensors are row by row
                states = copy.deepcopy(optimizer.state_dict())
                for state in states["state"].values():
                    state.update({key: value.contiguous() for key, value in state.items()})
                optimizer.load_state_dict(states)
        return module.weight.detach()

    assert torch.equal(after_three(torch.channels_last), after_three(torch.contiguous_format))
