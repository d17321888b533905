"""Zoneout inside a fused kernel against a loop over the steps, with the same masks."""

import pytest
import torch
from torch import nn

from sm_dl.algorithms.deepar.zoneout import ZoneoutLSTM

STEPS, BATCH, INPUTS, CELLS = 9, 4, 3, 5


class Recorder(ZoneoutLSTM):
    """Keeps the last mask it drew."""

    def _mask(self, shape, like):
        self.mask = super()._mask(shape, like)
        return self.mask


def make(rate, layer=ZoneoutLSTM, seed=0):
    """Return a layer whose weights follow from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return layer(INPUTS, CELLS, rate)


def inputs(seed=1, steps=STEPS, batch=BATCH):
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(steps, batch, INPUTS, generator=generator)


def run(layer, values, seed=2):
    """Return the layer's answer, with masks that follow from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return layer.with_state(values)


def step_by_step(layer, values, masks):
    """Return the hidden states and the last c by the paper's equation 4."""
    weight = layer.weight_ih_l0[:, : layer.num_inputs]
    h = c = torch.zeros(values.shape[1], layer.hidden_size)
    hidden = []
    for value, mask in zip(values, masks, strict=True):
        gates = value @ weight.T + h @ layer.weight_hh_l0.T + layer.bias_ih_l0 + layer.bias_hh_l0
        i, f, g, o = gates.chunk(4, dim=-1)
        c = mask * c + (1 - mask) * (f.sigmoid() * c + i.sigmoid() * g.tanh())
        h = o.sigmoid() * c.tanh()
        hidden.append(h)
    return torch.stack(hidden), c


def gradients(layer, loss):
    """Return the gradients of everything that is learnt, the wires left out."""
    layer.zero_grad()
    loss.backward()
    return {
        name: weight.grad[:, : layer.num_inputs if name == "weight_ih_l0" else None].clone()
        if weight.ndim == 2
        else weight.grad.clone()
        for name, weight in layer.named_parameters()
    }


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.7, 0.95])
def test_training_is_the_papers_equation(rate):
    layer = make(rate, Recorder)
    hidden, _ = run(layer, inputs())
    torch.testing.assert_close(
        hidden, step_by_step(layer, inputs(), layer.mask)[0], rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.7, 0.95])
def test_the_last_cell_state_is_the_papers_too(rate):
    layer = make(rate, Recorder)
    _, (_, c) = run(layer, inputs())
    torch.testing.assert_close(
        c, step_by_step(layer, inputs(), layer.mask)[1], rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.7])
def test_gradients_of_the_weights_are_those_of_the_papers_equation(rate):
    layer = make(rate, Recorder)
    ours = gradients(layer, run(layer, inputs())[0].square().sum())
    theirs = gradients(layer, step_by_step(layer, inputs(), layer.mask)[0].square().sum())
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_gradients_of_the_inputs_are_those_of_the_papers_equation():
    layer = make(0.3, Recorder)
    ours, theirs = inputs().requires_grad_(), inputs().requires_grad_()
    run(layer, ours)[0].square().sum().backward()
    step_by_step(layer, theirs, layer.mask)[0].square().sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_evaluation_is_a_plain_lstm(rate):
    layer = make(rate).eval()
    plain = nn.LSTM(INPUTS, CELLS)
    state = {name: weight.clone() for name, weight in layer.state_dict().items()}
    state["weight_ih_l0"] = state["weight_ih_l0"][:, :INPUTS]
    plain.load_state_dict(state)
    torch.testing.assert_close(layer(inputs()), plain(inputs())[0], rtol=1e-5, atol=1e-6)


def test_without_zoneout_training_is_a_plain_lstm():
    layer = make(0.0)
    torch.testing.assert_close(layer.train()(inputs()), layer.eval()(inputs()))


def test_evaluation_draws_nothing():
    layer = make(0.5).eval()
    assert torch.equal(run(layer, inputs(), seed=1)[0], run(layer, inputs(), seed=2)[0])


def test_the_seed_decides_the_masks():
    layer = make(0.5)
    assert torch.equal(run(layer, inputs(), seed=1)[0], run(layer, inputs(), seed=1)[0])


def test_another_seed_draws_other_masks():
    layer = make(0.5)
    assert not torch.equal(run(layer, inputs(), seed=1)[0], run(layer, inputs(), seed=2)[0])


def mask(rate, shape, seed=3):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make(rate)._mask(shape, torch.zeros(()))


@pytest.mark.parametrize("rate", [1e-4, 0.05, 0.1, 0.5, 0.9, 0.999])
def test_the_share_of_kept_cells_is_the_rate(rate):
    drawn = mask(rate, (200, 100, 10))
    spread = (rate * (1 - rate) / drawn.numel()) ** 0.5
    assert abs(float(drawn.mean()) - rate) < 4.5 * spread + 1 / 65536


def test_at_rate_one_every_cell_is_kept():
    assert mask(1.0, (20, 10, 5)).min() == 1.0


def test_a_mask_holds_zeros_and_ones():
    assert mask(0.4, (7, 3, 5)).unique().tolist() == [0.0, 1.0]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_neighbours_in_a_mask_are_independent(axis):
    drawn = mask(0.5, (80, 50, 20)) - 0.5
    count = drawn.shape[axis] - 1
    products = drawn.narrow(axis, 0, count) * drawn.narrow(axis, 1, count)
    assert abs(float(products.mean())) < 4.5 * 0.25 / products.numel() ** 0.5


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 3), (3, 1, 7), (2, 2, 4)])
def test_a_mask_has_the_shape_of_the_states(shape):
    assert mask(0.5, shape).shape == shape


def test_at_rate_one_the_cell_state_stays_at_zero():
    _, (_, c) = run(make(1.0), inputs())
    assert c.abs().max() < 1e-6


def test_at_rate_zero_there_are_no_further_inputs():
    assert make(0.0).weight_ih_l0.shape == (4 * CELLS, INPUTS)


def test_zoneout_adds_one_input_a_cell():
    assert make(0.1).weight_ih_l0.shape == (4 * CELLS, INPUTS + CELLS)


def test_wires_stay_as_they_are_while_the_rest_learns():
    layer = make(0.3)
    before = layer.weight_ih_l0.detach().clone()
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    for seed in range(5):
        optimizer.zero_grad()
        run(layer, inputs(seed), seed)[0].square().sum().backward()
        nn.utils.clip_grad_norm_(layer.parameters(), 10.0)
        optimizer.step()
    assert torch.equal(layer.weight_ih_l0[:, INPUTS:], before[:, INPUTS:])


def test_the_weights_beside_the_wires_do_learn():
    layer = make(0.3)
    before = layer.weight_ih_l0.detach().clone()
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    run(layer, inputs())[0].square().sum().backward()
    optimizer.step()
    assert ((layer.weight_ih_l0 - before)[:, :INPUTS] != 0).any(dim=0).all()


def test_wires_add_nothing_to_the_norm_of_the_gradient():
    layer = make(0.3)
    run(layer, inputs())[0].square().sum().backward()
    assert not layer.weight_ih_l0.grad[:, INPUTS:].any()


def test_forget_gates_begin_open():
    layer = make(0.3)
    bias = layer.bias_ih_l0 + layer.bias_hh_l0
    assert bias.tolist() == [0.0] * CELLS + [1.0] * CELLS + [0.0] * 2 * CELLS


def test_the_last_hidden_state_is_the_last_of_all():
    hidden, (h, _) = run(make(0.3), inputs())
    assert torch.equal(hidden[-1], h)


def test_a_batch_is_its_series_one_by_one():
    layer = make(0.3).eval()
    single = torch.cat([layer(inputs()[:, index : index + 1]) for index in range(BATCH)], dim=1)
    torch.testing.assert_close(layer(inputs()), single, rtol=1e-5, atol=1e-6)
