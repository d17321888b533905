"""Sample paths against the teacher-forced network, and against a sampler without any cleverness."""

import numpy as np
import pytest
import torch

from sm_dl.algorithms.deepar import draws
from sm_dl.algorithms.deepar.likelihoods import LIKELIHOODS
from sm_dl.algorithms.deepar.sampling import sample_paths
from sm_dl.algorithms.deepar.windows import Windows, WindowShape

CONTEXT, AHEAD = 6, 4
FACTS = {
    "plain": {},
    "gaps": {"has_gaps": True},
    "categories": {"cardinality": (3, 2)},
    "features": {"num_dynamic": 2},
    "everything": {"has_gaps": True, "cardinality": (3,), "num_dynamic": 1},
    "one layer": {"num_layers": 1},
    "three layers": {"num_layers": 3},
    "no zoneout": {"zoneout_rate": 0.0},
    "lags beyond the forecast": {"lags": (5, 9)},
    "many lags": {"lags": (1, 2, 3, 4, 7)},
}


def draw(network, windows, samples=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return sample_paths(network, windows, CONTEXT, samples, generator)


def part_of(windows, part):
    """Return the windows with some of the series only."""
    return Windows(
        **{
            field: getattr(windows, field)[part]
            if field == "cat_BC"
            else getattr(windows, field)[:, part]
            for field in Windows._fields
        }
    )


def shortened(windows, steps):
    """Return the windows without the last steps ahead."""
    return windows._replace(
        **{
            field: getattr(windows, field)[:-steps]
            for field in Windows._fields
            if field != "cat_BC"
        },
    )


def with_future(windows, paths_BQ):
    """Return the windows with these targets, all observed, as the steps ahead."""
    target, observed, gap = (
        getattr(windows, name).clone() for name in ("target_SB", "observed_SB", "gap_SB")
    )
    ahead = paths_BQ.shape[1]
    target[-ahead:], observed[-ahead:], gap[-ahead:] = paths_BQ.T, 1.0, 0.0
    return windows._replace(target_SB=target, observed_SB=observed, gap_SB=gap)


@torch.no_grad()
def naive(network, windows, samples, seed=0):
    """Return paths by reading everything anew, for each step of each path."""
    generator = torch.Generator().manual_seed(seed)
    batch = windows.cat_BC.shape[0]
    every = part_of(windows, torch.arange(batch).repeat_interleave(samples))
    _, scale_N = network(every, CONTEXT)
    drawn = torch.zeros(batch * samples, AHEAD)
    for step in range(AHEAD):
        raw_TNP, _ = network(with_future(every, drawn), CONTEXT)
        drawn[:, step] = network.likelihood.sample(raw_TNP[CONTEXT + step], scale_N, generator)
    return drawn.reshape(batch, samples, AHEAD)


@pytest.mark.parametrize("facts", FACTS.values(), ids=FACTS)
@pytest.mark.parametrize("gaps", [0.0, 0.4])
def test_a_path_read_as_the_truth_reproduces_itself(make_network, make_windows, facts, gaps):
    network = make_network(likelihood="deterministic-L1", **facts)
    windows = make_windows(network, gaps=gaps)
    paths_BQ = draw(network, windows, samples=1)[:, 0]
    raw_TBP, scale_B = network(with_future(windows, paths_BQ), CONTEXT)
    forced_BQ = (raw_TBP[CONTEXT:, :, 0] * scale_B).T
    torch.testing.assert_close(paths_BQ, forced_BQ, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("facts", FACTS.values(), ids=FACTS)
def test_paths_are_those_of_a_sampler_that_reads_everything_anew(
    make_network, make_windows, likelihood, facts
):
    network = make_network(likelihood=likelihood, **facts)
    windows = make_windows(network, gaps=0.2)
    torch.testing.assert_close(
        draw(network, windows), naive(network, windows, 3), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_there_are_as_many_paths_of_as_many_steps_as_asked_for(
    make_network, make_windows, likelihood
):
    network = make_network(likelihood=likelihood)
    assert draw(network, make_windows(network), samples=7).shape == (3, 7, AHEAD)


@pytest.mark.parametrize("facts", FACTS.values(), ids=FACTS)
def test_a_batch_is_its_series_one_by_one(make_network, make_windows, facts):
    network = make_network(likelihood="deterministic-L1", **facts)
    windows = make_windows(network, gaps=0.2)
    single = [draw(network, part_of(windows, slice(index, index + 1))) for index in range(3)]
    torch.testing.assert_close(draw(network, windows), torch.cat(single), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("paths_at_once", [1, 2, 3, 7, 8, 100])
def test_how_many_paths_are_swept_at_once_changes_nothing(
    make_network, make_windows, monkeypatch, paths_at_once
):
    network = make_network(likelihood="deterministic-L1")
    windows = make_windows(network, batch=5)
    whole = draw(network, windows)
    monkeypatch.setitem(draws.PATHS_AT_ONCE, "cpu", paths_at_once)
    torch.testing.assert_close(draw(network, windows), whole, rtol=1e-5, atol=1e-5)


def test_sweeps_of_one_series_draw_different_noise(make_network, make_windows, monkeypatch):
    network = make_network()
    windows = part_of(make_windows(network), torch.tensor([0, 0]))
    monkeypatch.setitem(draws.PATHS_AT_ONCE, "cpu", 1)
    first, second = draw(network, windows, samples=1)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("future", [float("nan"), 1e9])
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_targets_ahead_are_never_read(make_network, make_windows, likelihood, future):
    network = make_network(likelihood=likelihood, has_gaps=True)
    windows = make_windows(network)
    told = with_future(windows, torch.full((3, AHEAD), future))
    told.gap_SB[-AHEAD:] = 1.0
    assert torch.equal(draw(network, windows), draw(network, told))


def test_sampling_leaves_the_windows_as_they_are(make_network, make_windows):
    network = make_network(has_gaps=True)
    windows = make_windows(network)
    before = [getattr(windows, field).clone() for field in Windows._fields]
    draw(network, windows)
    after = [getattr(windows, field) for field in Windows._fields]
    assert all(torch.equal(one, two) for one, two in zip(before, after, strict=True))


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_shorter_horizon_is_the_beginning_of_a_longer_one(
    make_network, make_windows, likelihood, steps
):
    network = make_network(likelihood=likelihood)
    windows = make_windows(network)
    short, long = draw(network, shortened(windows, steps)), draw(network, windows)
    torch.testing.assert_close(short, long[:, :, :-steps], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_the_same_generator_state_gives_the_same_paths(make_network, make_windows, likelihood):
    network = make_network(likelihood=likelihood)
    windows = make_windows(network)
    assert torch.equal(draw(network, windows, seed=5), draw(network, windows, seed=5))


def test_another_seed_gives_other_paths(make_network, make_windows):
    network = make_network()
    windows = make_windows(network)
    assert not torch.equal(draw(network, windows, seed=5), draw(network, windows, seed=6))


def test_the_paths_of_a_series_differ(make_network, make_windows):
    network = make_network()
    paths = draw(network, make_windows(network), samples=20)[0]
    assert len(paths.unique(dim=0)) == 20


def test_without_noise_every_path_is_the_point_forecast(make_network, make_windows):
    network = make_network(likelihood="deterministic-L1")
    paths = draw(network, make_windows(network), samples=4)
    torch.testing.assert_close(paths, paths[:, :1].expand_as(paths), rtol=1e-6, atol=1e-6)


def test_paths_of_counts_are_whole_numbers(make_network, make_windows):
    network = make_network(likelihood="negative-binomial")
    paths = draw(network, make_windows(network), samples=200)
    assert torch.equal(paths, paths.round().clamp_min(0))


def test_paths_of_beta_lie_between_zero_and_one(make_network, make_windows):
    network = make_network(likelihood="beta")
    paths = draw(network, make_windows(network), samples=200)
    assert ((paths >= 0) & (paths <= 1)).all()


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("value", [0.0, np.nan])
def test_paths_of_a_series_of_zeros_or_gaps_are_finite(
    make_network, make_series, make_panel, likelihood, value
):
    network = make_network(likelihood=likelihood, has_gaps=True)
    windows = make_panel([make_series([value] * 30)], horizon=AHEAD).cut(
        torch.tensor([0]), torch.tensor([30]), WindowShape(5, CONTEXT, AHEAD)
    )
    assert draw(network, windows).isfinite().all()


def test_no_windows_have_no_paths(make_network, make_windows):
    network = make_network()
    assert draw(network, part_of(make_windows(network), slice(0, 0))).shape == (0, 3, AHEAD)


def test_sampling_keeps_no_gradient(make_network, make_windows):
    network = make_network()
    assert not draw(network, make_windows(network)).requires_grad


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_point_forecast_on_a_gpu_is_that_of_a_cpu(make_network, make_windows):
    network = make_network(likelihood="deterministic-L1", **FACTS["everything"])
    windows = make_windows(network, gaps=0.2)
    on_cpu = draw(network, windows)
    cuda = torch.device("cuda")
    moved = Windows(**{field: getattr(windows, field).to(cuda) for field in Windows._fields})
    on_gpu = sample_paths(network.to(cuda), moved, CONTEXT, 3, torch.Generator(cuda))
    torch.testing.assert_close(on_gpu.cpu(), on_cpu, rtol=1e-3, atol=1e-3)
