"""The code of a document: a draw from its normal distribution, and how far that is from Normal(0, I).

Both have one autograd function: by the formulas they are some forty operations on small matrices,
forward and back, which take a CPU longer to start than to do.

Shape letters in this file: B = documents, K = topics.
"""

from typing import Any

import torch
from torch import Tensor


def drawn(
    mean_BK: Tensor, log_deviation_BK: Tensor, noise_BK: Tensor, share_B: Tensor
) -> tuple[Tensor, Tensor]:
    """Return z = sigmoid(mean + deviation noise), shape (B, K), and the divergence, a scalar.

    The divergence is the sum over documents of share times KL(Normal(mean, deviation) | Normal(0, I)),
    which is 1/2 sum_k (mean^2 + deviation^2 - 1 - 2 log deviation).
    """
    z_BK, divergence = _Drawn.apply(mean_BK, log_deviation_BK, noise_BK, share_B)
    return z_BK, divergence


class _Drawn(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's own
        mean_BK: Tensor,
        log_deviation_BK: Tensor,
        noise_BK: Tensor,
        share_B: Tensor,
    ) -> tuple[Tensor, Tensor]:
        deviation_BK = log_deviation_BK.exp()
        z_BK = torch.addcmul(mean_BK, deviation_BK, noise_BK).sigmoid_()
        squares_BK = torch.addcmul(mean_BK * mean_BK, deviation_BK, deviation_BK)
        sum_B = squares_BK.sub_(log_deviation_BK, alpha=2).sub_(1).sum(1)
        ctx.save_for_backward(mean_BK, deviation_BK, noise_BK, share_B, z_BK)
        return z_BK, torch.dot(sum_B, share_B) / 2

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        by_z_BK, by_divergence = gradients
        mean_BK, deviation_BK, noise_BK, share_B, z_BK = ctx.saved_tensors
        share_B1 = (share_B * by_divergence).unsqueeze(1)
        by_sum_BK = torch.addcmul(z_BK, z_BK, z_BK, value=-1).mul_(by_z_BK)
        by_mean_BK = torch.addcmul(by_sum_BK, mean_BK, share_B1)
        # by the deviation: noise of the draw, deviation - 1 / deviation of the divergence
        by_log_BK = torch.addcmul(by_sum_BK * noise_BK, deviation_BK, share_B1).mul_(deviation_BK)
        return by_mean_BK, by_log_BK.sub_(share_B1), None, None
