"""What the network reads, what it answers, and what cannot reach it."""

import numpy as np
import pytest
import torch

from sm_dl.algorithms.deepar.likelihoods import LIKELIHOODS
from sm_dl.algorithms.deepar.windows import Windows, WindowShape

CONTEXT, AHEAD = 6, 4
EVERYTHING = {"cardinality": (3, 2), "num_dynamic": 2, "has_gaps": True}


@pytest.fixture
def windows_of(make_panel):
    """Return a cutter of one window from the last steps of each target."""

    def cut(network, *targets):
        panel = make_panel(list(targets))
        starts = torch.from_numpy(panel.lengths - AHEAD)
        return panel.cut(
            torch.arange(len(panel)), starts, WindowShape(network.shape.lags[-1], CONTEXT, AHEAD)
        )

    return cut


def one_of(windows, index):
    """Return the windows with one series only."""
    part = slice(index, index + 1)
    return Windows(
        **{
            field: getattr(windows, field)[part]
            if field == "cat_BC"
            else getattr(windows, field)[:, part]
            for field in Windows._fields
        }
    )


def changed(windows, position, value=1000.0):
    """Return the windows with another target at one step."""
    target_SB = windows.target_SB.clone()
    target_SB[position] = value
    return windows._replace(target_SB=target_SB)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("facts", [{}, EVERYTHING], ids=["plain", "everything"])
def test_the_network_answers_each_step_of_each_window(
    make_network, make_windows, likelihood, facts
):
    network = make_network(likelihood=likelihood, **facts)
    raw_TBP, scale_B = network(make_windows(network), CONTEXT)
    num_raw = LIKELIHOODS[likelihood].num_raw
    assert (raw_TBP.shape, scale_B.shape) == ((CONTEXT + AHEAD, 3, num_raw), (3,))


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_there_are_as_many_layers_as_asked_for(make_network, layers):
    assert len(make_network(num_layers=layers).recurrent_layers()) == layers


def test_the_names_and_shapes_of_the_weights_are_frozen(make_network):
    network = make_network(num_layers=2, num_cells=4, zoneout_rate=0.1, **EVERYTHING)
    inputs = 2 * 3 + 4 + 1 + 2 + 1 + 2 * 3  # lags and flags, calendar, age, features, statics
    assert {name: tuple(weight.shape) for name, weight in network.state_dict().items()} == {
        "embeddings.0.weight": (3, 3),
        "embeddings.1.weight": (2, 3),
        "layers.0.weight_ih_l0": (16, inputs + 4),
        "layers.0.weight_hh_l0": (16, 4),
        "layers.0.bias_ih_l0": (16,),
        "layers.0.bias_hh_l0": (16,),
        "layers.1.weight_ih_l0": (16, 4 + 4),
        "layers.1.weight_hh_l0": (16, 4),
        "layers.1.bias_ih_l0": (16,),
        "layers.1.bias_hh_l0": (16,),
        "output.weight": (3, 4),
        "output.bias": (3,),
        "shortcut.weight": (3, 20),
    }


def test_the_scale_is_the_mean_magnitude_of_the_observed_context(
    make_network, make_series, windows_of
):
    target = [500.0] * 8 + [1.0, -3.0, np.nan, 5.0, np.nan, 7.0] + [900.0] * AHEAD
    network = make_network()
    assert network.scale(windows_of(network, make_series(target)), CONTEXT).tolist() == [4.0]


def test_a_series_without_observed_context_has_the_scale_of_all_points_of_the_batch(
    make_network, make_series, windows_of
):
    targets = [np.full(14, 2.0), [8.0] * 4, [np.nan] * 20, [*[np.nan] * 3, 6.0, *[9.0] * 4]]
    network = make_network()
    windows = windows_of(network, *map(make_series, targets))
    mean = (6 * 2.0 + 1 * 6.0) / 7  # of the seven points observed in all contexts
    assert network.scale(windows, CONTEXT).tolist() == pytest.approx([2.0, mean, mean, 6.0])


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_scale_that_nothing_decides_is_one(make_network, make_series, windows_of, value):
    network = make_network()
    windows = windows_of(network, make_series([value] * 20))
    assert network.scale(windows, CONTEXT).tolist() == [1.0]


def test_beta_is_not_scaled(make_network, make_windows):
    network = make_network(likelihood="beta")
    assert network.scale(make_windows(network), CONTEXT).tolist() == [1.0] * 3


def test_the_scale_of_a_window_without_forecast_is_that_of_its_context(
    make_network, make_series, make_panel
):
    network = make_network()
    windows = make_panel([make_series([100.0, 1.0, 3.0])]).cut(
        torch.tensor([0]), torch.tensor([3]), WindowShape(5, 2, 0)
    )
    assert network.scale(windows, 2).tolist() == [2.0]


def test_the_network_reads_the_scaled_values_at_its_lags_first(
    make_network, make_series, windows_of
):
    network = make_network(lags=(1, 3))
    target = np.arange(1.0, 21.0)
    windows = windows_of(network, make_series(target))
    scale = network.scale(windows, CONTEXT)
    read = network.inputs(windows, scale)[:, 0, :2]
    steps = np.arange(20 - CONTEXT - AHEAD, 20)
    expected = np.stack([target[steps - 1], target[steps - 3]], axis=-1) / float(scale)
    np.testing.assert_allclose(read, expected, rtol=1e-6)


def test_a_network_of_gaps_reads_which_lags_are_missing_next(make_network, make_series, windows_of):
    network = make_network(lags=(1, 2), has_gaps=True)
    target = [*[1.0] * 11, np.nan, *[1.0] * 4]
    read = network.inputs(windows_of(network, make_series(target)), torch.ones(1))[:, 0, 2:4]
    expected = np.zeros((CONTEXT + AHEAD, 2))
    expected[6, 0] = expected[7, 1] = 1  # the gap is the step just before the forecast
    np.testing.assert_array_equal(read, expected)


def test_the_network_reads_the_logarithm_of_the_scale(make_network, make_windows):
    network = make_network()
    windows = make_windows(network)
    scale = network.scale(windows, CONTEXT)
    read = network.inputs(windows, scale)[:, :, -1]
    torch.testing.assert_close(read, scale.log().expand(CONTEXT + AHEAD, 3))


@pytest.mark.parametrize("scale", [1e-3, 50.0])
def test_a_scaled_series_gives_the_same_answer_but_for_the_scale_it_is_told(
    make_network, make_windows, scale
):
    network = make_network(likelihood="gaussian")
    with torch.no_grad():
        network.layers[0].weight_ih_l0[:, network.layers[0].num_inputs - 1] = 0.0
    windows = make_windows(network)
    larger = windows._replace(target_SB=windows.target_SB * scale)
    torch.testing.assert_close(network(windows, CONTEXT)[0], network(larger, CONTEXT)[0])


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("step", range(CONTEXT, CONTEXT + AHEAD))
def test_no_step_sees_its_own_target_or_a_later_one(make_network, make_windows, likelihood, step):
    network = make_network(likelihood=likelihood, **EVERYTHING)
    windows = make_windows(network)
    position = len(windows.target_SB) - windows.num_steps + step
    before, after = network(windows, CONTEXT)[0], network(changed(windows, position), CONTEXT)[0]
    assert torch.equal(before[: step + 1], after[: step + 1])


@pytest.mark.parametrize("step", range(CONTEXT + AHEAD - 1))
def test_the_next_step_sees_a_target(make_network, make_windows, step):
    network = make_network(likelihood="beta")
    windows = make_windows(network)
    position = len(windows.target_SB) - windows.num_steps + step
    before, after = network(windows, CONTEXT)[0], network(changed(windows, position), CONTEXT)[0]
    assert not torch.allclose(before[step + 1], after[step + 1])


@pytest.mark.parametrize("step", range(CONTEXT))
def test_without_scaling_no_step_of_the_context_sees_its_own_target(
    make_network, make_windows, step
):
    network = make_network(likelihood="beta")
    windows = make_windows(network)
    position = len(windows.target_SB) - windows.num_steps + step
    before, after = network(windows, CONTEXT)[0], network(changed(windows, position), CONTEXT)[0]
    assert torch.equal(before[: step + 1], after[: step + 1])


def test_the_longest_lag_reaches_back_before_the_context(make_network, make_windows):
    network = make_network(lags=(1, 5))
    windows = make_windows(network)
    before, after = network(windows, CONTEXT)[0], network(changed(windows, 0), CONTEXT)[0]
    assert not torch.allclose(before[0], after[0])


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_the_loss_is_summed_over_the_observed_points(make_network, make_windows, likelihood):
    network = make_network(likelihood=likelihood, **EVERYTHING)
    windows = make_windows(network, gaps=0.3)
    raw_TBP, scale_B = network(windows, CONTEXT)
    target_TB = windows.target_SB[-windows.num_steps :]
    each = network.likelihood.loss(raw_TBP, target_TB, scale_B.expand_as(target_TB))
    known = windows.observed_SB[-windows.num_steps :] == 1
    torch.testing.assert_close(network.loss(windows, CONTEXT)[0], each[known].sum())


def test_the_loss_counts_the_observed_points(make_network, make_series, windows_of):
    network = make_network()
    gappy = make_series([*[1.0] * 20, np.nan, 2.0, np.nan, 3.0])
    windows = windows_of(network, gappy, make_series([1.0] * 5))
    assert network.loss(windows, CONTEXT)[1].item() == 8 + 5


def test_the_loss_covers_context_and_forecast_alike(make_network, make_series, windows_of):
    network = make_network()
    windows = windows_of(network, make_series(np.ones(30)))
    assert network.loss(windows, CONTEXT)[1].item() == CONTEXT + AHEAD


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_a_hidden_value_does_not_change_the_loss(make_network, make_windows, likelihood):
    network = make_network(likelihood=likelihood)
    windows = make_windows(network)
    windows.observed_SB[-1] = 0  # no later step reads the last one
    assert torch.equal(
        network.loss(changed(windows, -1, 0.0), CONTEXT)[0],
        network.loss(changed(windows, -1, 1e6), CONTEXT)[0],
    )


def test_a_batch_without_windows_loses_nothing(make_network, make_windows):
    network = make_network(**EVERYTHING).train()  # what a rank has of a small last batch
    total, count = network.loss(one_of(make_windows(network), 3), CONTEXT)
    assert (total.item(), count.item()) == (0.0, 0.0)


def test_a_batch_without_windows_has_no_gradient(make_network, make_windows):
    network = make_network(**EVERYTHING).train()
    network.loss(one_of(make_windows(network), 3), CONTEXT)[0].backward()
    assert not any(weight.grad.any() for weight in network.parameters())


def test_windows_without_any_observed_point_lose_nothing(make_network, make_series, windows_of):
    network = make_network()
    total, count = network.loss(windows_of(network, make_series([np.nan] * 20)), CONTEXT)
    assert (total.item(), count.item()) == (0.0, 0.0)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("facts", [{}, EVERYTHING], ids=["plain", "everything"])
def test_a_batch_is_its_windows_one_by_one(make_network, make_windows, likelihood, facts):
    network = make_network(likelihood=likelihood, **facts)
    windows = make_windows(network, gaps=0.2)
    single = torch.cat([network(one_of(windows, index), CONTEXT)[0] for index in range(3)], dim=1)
    torch.testing.assert_close(network(windows, CONTEXT)[0], single, rtol=1e-5, atol=1e-6)


def test_the_loss_of_a_batch_is_the_sum_of_its_windows_losses(make_network, make_windows):
    network = make_network(**EVERYTHING)
    windows = make_windows(network, gaps=0.2)
    single = sum(network.loss(one_of(windows, index), CONTEXT)[0] for index in range(3))
    torch.testing.assert_close(network.loss(windows, CONTEXT)[0], single)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("rate", [0.0, 0.2])
def test_gradients_are_finite(make_network, make_windows, likelihood, rate):
    network = make_network(likelihood=likelihood, zoneout_rate=rate, **EVERYTHING).train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network.loss(make_windows(network, gaps=0.3), CONTEXT)[0].backward()
    assert all(weight.grad.isfinite().all() for weight in network.parameters())


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("value", [0.0, 1.0, np.nan])
def test_gradients_of_constant_series_are_finite(
    make_network, make_series, windows_of, likelihood, value
):
    network = make_network(likelihood=likelihood)
    network.loss(windows_of(network, make_series([value] * 20)), CONTEXT)[0].backward()
    assert all(weight.grad.isfinite().all() for weight in network.parameters())


@pytest.mark.parametrize("size", [1e-20, 1e-6, 1e6, 1e30])
@pytest.mark.parametrize("likelihood", ["gaussian", "student-T", "deterministic-L1"])
def test_the_loss_of_tiny_and_huge_series_is_finite(
    make_network, make_series, windows_of, likelihood, size
):
    network = make_network(likelihood=likelihood)
    target = size * np.random.default_rng(0).uniform(0.5, 2, 20)
    assert network.loss(windows_of(network, make_series(target)), CONTEXT)[0].isfinite()


@pytest.mark.parametrize("field", ["calendar_TBF", "age_TB", "dynamic_TBD", "gap_SB"])
def test_the_network_reads_every_field(make_network, make_windows, field):
    network = make_network(**EVERYTHING)
    windows = make_windows(network)
    other = windows._replace(**{field: getattr(windows, field) + 1.0})
    assert not torch.allclose(network(windows, CONTEXT)[0], network(other, CONTEXT)[0])


def test_the_network_reads_every_category(make_network, make_windows):
    network = make_network(**EVERYTHING)
    windows = make_windows(network)
    answers = [
        network(windows._replace(cat_BC=torch.tensor([[first, second]] * 3)), CONTEXT)[0]
        for first in range(3)
        for second in range(2)
    ]
    assert len({answer.detach().numpy().tobytes() for answer in answers}) == 6
