"""The five noise models: parameters, loss and sampling (spec sections 1.2 and 1.3).

A network step gives raw numbers; a likelihood turns them into parameters of the *scaled* target
and knows how they go with the scale of the series. Losses are in the units of the data: the
density of z is the density of z / scale divided by scale.

Shape letters in this file: P = raw numbers a step; `...` = steps, series, paths.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

BETA_EDGE = 1e-6
"""How far beta targets are kept from 0 and 1, where its density may be infinite."""
SURE_RATE = 1e15
"""A Poisson count of this rate differs from it by 3e-8 of it, which float32 does not resolve."""
SMALLEST = 1e-6
"""Floor of positive parameters, well above float32's resolution around 1."""


@dataclass(frozen=True)
class Likelihood:
    """One noise model.

    Attributes:
        num_raw: P, numbers the network gives a step.
        is_scaled: Whether targets are divided by the scale of their series.
        loss: `(raw (..., P), target (...), scale (...)) -> loss (...)`, in the data's units.
        sample: `(raw (..., P), scale (...), generator) -> draw (...)`, in the data's units.
    """

    num_raw: int
    is_scaled: bool
    loss: Callable[[Tensor, Tensor, Tensor], Tensor]
    sample: Callable[[Tensor, Tensor, torch.Generator | None], Tensor]


def _positive(raw: Tensor) -> Tensor:
    return softplus(raw) + SMALLEST


def _uniform(like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Return draws from (0, 1], at least 2^-24: a floor near 0 would be an outlier of its own."""
    draw = torch.rand(like.shape, generator=generator, device=like.device, dtype=like.dtype)
    return draw.neg_().add_(1)


def _gaussian_loss(raw: Tensor, target: Tensor, scale: Tensor) -> Tensor:
    mean, spread = raw[..., 0], _positive(raw[..., 1])
    error = (target / scale - mean) / spread
    return 0.5 * error.square() + torch.log(spread * scale) + 0.5 * math.log(2 * math.pi)


def _gaussian_sample(raw: Tensor, scale: Tensor, generator: torch.Generator | None) -> Tensor:
    mean, spread = raw[..., 0], _positive(raw[..., 1])
    noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
    return torch.addcmul(mean, spread, noise) * scale


def _student_t_loss(raw: Tensor, target: Tensor, scale: Tensor) -> Tensor:
    mean, spread, degrees = raw[..., 0], _positive(raw[..., 1]), 2 + _positive(raw[..., 2])
    error = (target / scale - mean) / spread
    normaliser = torch.lgamma((degrees + 1) / 2) - torch.lgamma(degrees / 2)
    return (
        (degrees + 1) / 2 * torch.log1p(error.square() / degrees)
        - normaliser
        + 0.5 * torch.log(math.pi * degrees)
        + torch.log(spread * scale)
    )


def _student_t_sample(raw: Tensor, scale: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draw by Bailey's polar method (Math. Comp. 62, 1994): two uniforms, no rejection."""
    mean, spread, degrees = raw[..., 0], _positive(raw[..., 1]), 2 + _positive(raw[..., 2])
    radius = torch.expm1(-2 / degrees * torch.log(_uniform(mean, generator))).mul_(degrees).sqrt_()
    angle = torch.cos(_uniform(mean, generator).mul_(2 * math.pi))
    return torch.addcmul(mean, spread, radius.mul_(angle)) * scale


def _beta_parameters(raw: Tensor) -> tuple[Tensor, Tensor]:
    return _positive(raw[..., 0]), _positive(raw[..., 1])


def _beta_loss(raw: Tensor, target: Tensor, scale: Tensor) -> Tensor:
    del scale  # the target already lies in [0, 1]
    a, b = _beta_parameters(raw)
    inside = target.clamp(BETA_EDGE, 1 - BETA_EDGE)
    log_norm = torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)
    return log_norm - (a - 1) * torch.log(inside) - (b - 1) * torch.log1p(-inside)


def _beta_sample(raw: Tensor, scale: Tensor, generator: torch.Generator | None) -> Tensor:
    del scale
    a, b = _beta_parameters(raw)
    return torch.sigmoid(_log_gamma_sample(a, generator) - _log_gamma_sample(b, generator))


def _log_gamma_sample(shape: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draw the logarithm of a gamma variable: the variable itself underflows at small shapes.

    Gamma(a) is Gamma(a + 1) times U^(1/a) (Marsaglia and Tsang, 2000, section 6).
    """
    larger = torch._standard_gamma(shape + 1, generator=generator)  # noqa: SLF001 - the only gamma sampler that takes a generator
    return larger.log() + _uniform(shape, generator).log() / shape


def _negative_binomial_parameters(raw: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and shape: the mean grows with the scale, the shape falls with its root.

    Source: Salinas et al., arXiv:1704.04110, section 3.3 (mean times nu, shape over sqrt(nu)).
    The variance is mean + shape * mean^2.
    """
    return _positive(raw[..., 0]) * scale, _positive(raw[..., 1]) / scale.sqrt()


def _negative_binomial_loss(raw: Tensor, target: Tensor, scale: Tensor) -> Tensor:
    """Return the loss, in double precision inside: nearly Poisson counts cancel large lgammas."""
    single, target = raw.dtype, target.double()
    mean, shape = _negative_binomial_parameters(raw.double(), scale.double())
    trials = 1 / shape
    weight = shape * mean
    loss = (
        torch.lgamma(trials)
        + torch.lgamma(target + 1)
        - torch.lgamma(target + trials)
        + trials * torch.log1p(weight)
        - target * (torch.log(weight) - torch.log1p(weight))
    )
    return loss.to(single)


def _negative_binomial_sample(
    raw: Tensor, scale: Tensor, generator: torch.Generator | None
) -> Tensor:
    """Draw a Poisson count whose rate is gamma distributed."""
    mean, shape = _negative_binomial_parameters(raw, scale)
    rate = torch._standard_gamma(1 / shape, generator=generator) * shape * mean  # noqa: SLF001 - takes a generator
    # torch counts in int64 and wraps above 9.2e18; from here on Poisson noise is below float32's digits
    counts = torch.poisson(rate.clamp_max(SURE_RATE), generator=generator)
    return torch.where(rate < SURE_RATE, counts, rate)


def _absolute_loss(raw: Tensor, target: Tensor, scale: Tensor) -> Tensor:
    return (target - raw[..., 0] * scale).abs()


def _point(raw: Tensor, scale: Tensor, generator: torch.Generator | None) -> Tensor:
    del generator  # every path is the point forecast
    return raw[..., 0] * scale


LIKELIHOODS = {
    "gaussian": Likelihood(num_raw=2, is_scaled=True, loss=_gaussian_loss, sample=_gaussian_sample),
    "student-T": Likelihood(
        num_raw=3, is_scaled=True, loss=_student_t_loss, sample=_student_t_sample
    ),
    "beta": Likelihood(num_raw=2, is_scaled=False, loss=_beta_loss, sample=_beta_sample),
    "negative-binomial": Likelihood(
        num_raw=2, is_scaled=True, loss=_negative_binomial_loss, sample=_negative_binomial_sample
    ),
    "deterministic-L1": Likelihood(num_raw=1, is_scaled=True, loss=_absolute_loss, sample=_point),
}
"""By the service's names."""
