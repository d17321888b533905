"""Losses against torch.distributions, draws against scipy's distributions, and both at extremes."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import distributions
from torch.nn.functional import softplus

from sm_dl.algorithms.deepar.likelihoods import BETA_EDGE, LIKELIHOODS

NAMES = list(LIKELIHOODS)
NOISY = [name for name in NAMES if name != "deterministic-L1"]
DRAWS = 60_000
FLOOR = 1e-6
UNLUCKY_SEED = 1233
"""Of a generator whose first 16384 single-precision uniforms hold an exact zero."""


def raw_numbers(name, count=400, dtype=torch.float64):
    """Return raw numbers a network might give, shape (count, P)."""
    generator = torch.Generator().manual_seed(4)
    shape = (count, LIKELIHOODS[name].num_raw)
    return (2 * torch.randn(shape, generator=generator, dtype=torch.float64)).to(dtype)


def targets(name, count=400, dtype=torch.float64):
    """Return values the likelihood can give."""
    random = np.random.default_rng(5)
    values = {
        "beta": random.uniform(0.01, 0.99, count),
        "negative-binomial": random.integers(0, 40, count),
    }.get(name, random.normal(0, 3, count))
    return torch.from_numpy(np.asarray(values)).to(dtype)


def distribution(name, raw, scale):
    """Return the documented distribution of the target: location and scale multiplied back."""
    first = raw[..., 0]
    positive = softplus(raw) + FLOOR
    if name == "beta":
        return distributions.Beta(positive[..., 0], positive[..., 1])
    if name == "negative-binomial":
        mean, shape = positive[..., 0] * scale, positive[..., 1] / scale.sqrt()
        return distributions.NegativeBinomial(1 / shape, probs=mean * shape / (1 + mean * shape))
    base = (
        distributions.Normal(first, positive[..., 1])
        if name == "gaussian"
        else distributions.StudentT(2 + positive[..., 2], first, positive[..., 1])
    )
    multiplied = distributions.AffineTransform(0, scale)
    return distributions.TransformedDistribution(base, [multiplied])


def raw_of(*parameters):
    """Return raw numbers that softplus turns into these parameters."""
    return [math.log(math.expm1(parameter - FLOOR)) for parameter in parameters]


def draws(name, raw, scale=1.0, seed=0, count=DRAWS):
    """Return many draws of one step."""
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.tensor(raw, dtype=torch.float32).expand(count, -1)
    return LIKELIHOODS[name].sample(numbers, torch.full((count,), scale), generator)


def assert_shares(drawn, reference, points):
    """Check that as many draws lie below each point as the reference says."""
    shares = np.array([float((drawn <= point).double().mean()) for point in points])
    expected = reference.cdf(points)
    errors = np.sqrt(expected * (1 - expected) / len(drawn))
    np.testing.assert_array_less(np.abs(shares - expected), 4.5 * errors + 1e-9)


@pytest.mark.parametrize("scale", [1.0, 0.02, 37.5])
@pytest.mark.parametrize("name", NOISY)
def test_a_loss_is_the_negative_log_density_in_the_units_of_the_data(name, scale):
    raw, target = raw_numbers(name), targets(name)
    scales = torch.full_like(target, scale)
    expected = -distribution(name, raw, scales).log_prob(target)
    np.testing.assert_allclose(
        LIKELIHOODS[name].loss(raw, target, scales), expected, rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("name", NOISY)
def test_a_loss_in_single_precision_is_the_one_in_double(name):
    scale = torch.full((400,), 3.0)
    single = LIKELIHOODS[name].loss(
        raw_numbers(name, dtype=torch.float32), targets(name, dtype=torch.float32), scale
    )
    double = LIKELIHOODS[name].loss(raw_numbers(name), targets(name), scale.double())
    np.testing.assert_allclose(single, double, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [1e-2, 1e-3, 1e-4, 1e-5])
def test_the_loss_of_nearly_poisson_counts_is_exact_in_single_precision(shape):
    raw = torch.tensor([raw_of(mean, shape) for mean in (5.0, 20.0, 100.0)])
    target = torch.tensor([6.0, 18.0, 110.0])
    loss = LIKELIHOODS["negative-binomial"].loss
    np.testing.assert_allclose(
        loss(raw, target, torch.ones(3)),
        loss(raw.double(), target.double(), torch.ones(3).double()),
        atol=1e-3,
    )


def test_the_absolute_loss_is_in_the_units_of_the_data():
    loss = LIKELIHOODS["deterministic-L1"].loss
    raw, target = torch.tensor([[2.0], [-1.0]]), torch.tensor([7.0, 5.0])
    assert loss(raw, target, torch.tensor([3.0, 10.0])).tolist() == [1.0, 15.0]


@pytest.mark.parametrize(("end", "inside"), [(0.0, BETA_EDGE), (1.0, 1 - BETA_EDGE)])
def test_beta_keeps_its_ends_inside(end, inside):
    loss = LIKELIHOODS["beta"].loss
    raw, scale = torch.tensor([[0.3, 1.2]]), torch.ones(1)
    assert torch.equal(
        loss(raw, torch.tensor([end]), scale), loss(raw, torch.tensor([inside]), scale)
    )


def test_only_beta_is_not_scaled():
    assert [name for name in NAMES if not LIKELIHOODS[name].is_scaled] == ["beta"]


@pytest.mark.parametrize("name", NAMES)
def test_loss_and_gradient_are_finite_at_extremes(name):
    likelihood = LIKELIHOODS[name]
    grid = itertools.product(
        *[[-50.0, 0.0, 50.0]] * likelihood.num_raw, [0.0, 1.0], [1e-6, 1.0, 1e6]
    )
    table = torch.tensor(list(grid))
    raw = table[:, : likelihood.num_raw].clone().requires_grad_()
    loss = likelihood.loss(raw, table[:, -2], table[:, -1])
    loss.sum().backward()
    assert torch.cat([loss.detach(), raw.grad.flatten()]).isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_draws_are_finite_at_extremes(name):
    likelihood = LIKELIHOODS[name]
    grid = itertools.product(*[[-50.0, 0.0, 50.0]] * likelihood.num_raw, [1e-6, 1.0, 1e6])
    table = torch.tensor(list(grid)).repeat(50, 1)
    generator = torch.Generator().manual_seed(0)
    drawn = likelihood.sample(table[:, :-1].contiguous(), table[:, -1].contiguous(), generator)
    assert drawn.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_is_that_of_finite_differences(name):
    raw, target = raw_numbers(name, 5).requires_grad_(), targets(name, 5)
    scale = torch.full_like(target, 2.5)
    assert torch.autograd.gradcheck(
        lambda numbers: LIKELIHOODS[name].loss(numbers, target, scale), raw
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_same_generator_state_gives_the_same_draws(name):
    raw = raw_numbers(name, 1)[0].tolist()
    assert torch.equal(draws(name, raw, count=50), draws(name, raw, count=50))


@pytest.mark.parametrize("name", NOISY)
def test_another_seed_gives_other_draws(name):
    raw = [1.5] * LIKELIHOODS[name].num_raw
    assert not torch.equal(draws(name, raw, seed=1, count=50), draws(name, raw, seed=2, count=50))


@pytest.mark.parametrize("name", NAMES)
def test_draws_have_the_shape_of_the_steps(name):
    raw = torch.zeros(3, 2, LIKELIHOODS[name].num_raw)
    assert LIKELIHOODS[name].sample(raw, torch.ones(3, 2), None).shape == (3, 2)


def test_the_point_forecast_is_its_own_draw():
    assert draws("deterministic-L1", [0.75], scale=4.0, count=3).tolist() == [3.0] * 3


@pytest.mark.parametrize("scale", [1.0, 12.0])
def test_gaussian_draws_have_the_documented_shares(scale):
    reference = stats.norm(-0.5 * scale, 2.0 * scale)
    drawn = draws("gaussian", [-0.5, *raw_of(2.0)], scale)
    assert_shares(drawn, reference, reference.ppf([0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99]))


@pytest.mark.parametrize("scale", [1.0, 12.0])
def test_student_t_draws_have_the_documented_shares(scale):
    reference = stats.t(3.0, 1.5 * scale, 0.5 * scale)
    drawn = draws("student-T", [1.5, *raw_of(0.5, 1.0)], scale)
    assert_shares(drawn, reference, reference.ppf([0.001, 0.1, 0.3, 0.5, 0.7, 0.9, 0.999]))


@pytest.mark.parametrize(("first", "second"), [(2.0, 5.0), (0.5, 0.5), (30.0, 1.0), (1.0, 1.0)])
def test_beta_draws_have_the_documented_shares(first, second):
    drawn = draws("beta", raw_of(first, second), scale=1.0)
    assert_shares(drawn, stats.beta(first, second), [0.001, 0.1, 0.4, 0.6, 0.9, 0.97])


@pytest.mark.parametrize(("first", "second"), [(0.05, 0.05), (0.02, 0.06), (0.01, 0.01)])
def test_beta_draws_that_are_nearly_all_or_nothing_have_the_documented_shares(first, second):
    drawn = draws("beta", raw_of(first, second), scale=1.0)
    assert_shares(drawn, stats.beta(first, second), [0.001, 0.1, 0.4, 0.6, 0.9, 0.97])


def test_beta_draws_do_not_depend_on_the_scale():
    raw = raw_of(2.0, 5.0)
    assert torch.equal(draws("beta", raw, 1.0, count=50), draws("beta", raw, 9.0, count=50))


@pytest.mark.parametrize("scale", [1.0, 9.0])
@pytest.mark.parametrize(("mean", "shape"), [(3.0, 0.5), (0.2, 2.0), (40.0, 0.01)])
def test_negative_binomial_draws_have_the_documented_shares(mean, shape, scale):
    scaled_mean, scaled_shape = mean * scale, shape / math.sqrt(scale)
    reference = stats.nbinom(1 / scaled_shape, 1 / (1 + scaled_mean * scaled_shape))
    drawn = draws("negative-binomial", raw_of(mean, shape), scale)
    assert_shares(drawn, reference, np.unique(reference.ppf([0.05, 0.3, 0.5, 0.7, 0.95, 0.99])))


def test_negative_binomial_draws_are_counts():
    drawn = draws("negative-binomial", [1.0, 1.0], scale=0.7, count=1000)
    assert torch.equal(drawn, drawn.round().clamp_min(0))


def test_beta_draws_lie_between_zero_and_one():
    drawn = draws("beta", [-20.0, -20.0], count=1000)
    assert ((drawn >= 0) & (drawn <= 1)).all()


@pytest.mark.parametrize(
    ("name", "raw", "mean", "variance"),
    [
        ("gaussian", [1.0, *raw_of(2.0)], 3.0, 36.0),
        ("student-T", [1.0, *raw_of(2.0, 8.0)], 3.0, 36.0 * 10 / 8),
        ("negative-binomial", raw_of(4.0, 0.5), 12.0, 12.0 + 0.5 / math.sqrt(3.0) * 144.0),
    ],
)
def test_draws_have_the_documented_mean(name, raw, mean, variance):
    error = math.sqrt(variance / DRAWS)
    assert float(draws(name, raw, scale=3.0).double().mean()) == pytest.approx(mean, abs=4 * error)


@pytest.mark.parametrize(
    ("name", "raw", "variance"),
    [
        ("gaussian", [1.0, *raw_of(2.0)], 36.0),
        ("student-T", [1.0, *raw_of(2.0, 28.0)], 36.0 * 30 / 28),
        ("negative-binomial", raw_of(4.0, 0.5), 12.0 + 0.5 / math.sqrt(3.0) * 144.0),
    ],
)
def test_draws_have_the_documented_variance(name, raw, variance):
    drawn = draws(name, raw, scale=3.0).double()
    assert float(drawn.var()) == pytest.approx(variance, rel=0.05)


def test_no_single_draw_of_a_student_t_is_absurd():
    drawn = draws("student-T", [0.0, *raw_of(1.0, 0.01)], seed=UNLUCKY_SEED, count=1 << 14)
    assert drawn.abs().max() < 1e5  # beyond it lies one draw in 10 billion


@pytest.mark.parity
@pytest.mark.parametrize("degrees", [2.01, 2.5, 3.0, 5.0, 10.0, 30.0, 200.0])
def test_baileys_method_draws_a_student_t(degrees):
    drawn = draws("student-T", [0.0, *raw_of(1.0, degrees - 2)], seed=int(degrees * 100))
    assert stats.kstest(drawn.double().numpy(), stats.t(degrees).cdf).pvalue > 0.005


@pytest.mark.parametrize("mean", [1e14, 1e16, 1e19, 1e25])
def test_negative_binomial_draws_of_huge_counts_are_near_their_mean(mean):
    drawn = draws("negative-binomial", raw_of(1.0, 0.1), scale=mean, count=1000)
    assert np.abs(np.asarray(drawn) / mean - 1).max() < 0.05
