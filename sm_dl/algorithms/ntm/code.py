"""The code of a document: a draw from its normal distribution, and how far that is from Normal(0, I).

Both, and the two linear layers that say which normal distribution, have one autograd function: by
the formulas they are some sixty operations on small matrices, forward and back, which take a CPU
longer to start than to do.

Shape letters in this file: B = documents, H = units, K = topics.
"""

from typing import Any

import torch
from torch import Tensor, nn


def drawn(
    hidden_BH: Tensor,
    mean: nn.Linear,
    log_deviation: nn.Linear,
    noise_BK: Tensor,
    share_B: Tensor,
    *,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor]:
    """Return z = sigmoid(mean + deviation noise), shape (B, K), and the divergence, a scalar.

    The divergence is the sum over documents of share times KL(Normal(mean, deviation) | Normal(0, I)),
    which is 1/2 sum_k (mean^2 + deviation^2 - 1 - 2 log deviation).

    Args:
        hidden_BH: What the encoder makes of the documents.
        mean: The layer that gives the mean of it.
        log_deviation: The layer that gives the logarithm of the deviation.
        noise_BK: Draws from Normal(0, 1).
        share_B: What each document counts.
        dtype: Of the factors of products; all else is float32.
    """
    z_BK, divergence = _Drawn.apply(
        hidden_BH, mean.weight, log_deviation.weight, mean.bias, log_deviation.bias,
        noise_BK, share_B, dtype,
    )  # fmt: skip
    return z_BK, divergence


class _Drawn(torch.autograd.Function):
    @staticmethod
    def forward(  # noqa: PLR0913, PLR0917 - torch's own calling convention
        ctx: Any,  # noqa: ANN401 - torch's own
        hidden_BH: Tensor,
        mean_KH: Tensor,
        log_deviation_KH: Tensor,
        mean_K: Tensor,
        log_deviation_K: Tensor,
        noise_BK: Tensor,
        share_B: Tensor,
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor]:
        hidden_BH = hidden_BH.to(dtype)
        weight_2KH = torch.cat([mean_KH, log_deviation_KH]).to(dtype)  # one product for two
        both_B2K = torch.mm(hidden_BH, weight_2KH.t()).float()
        both_B2K += torch.cat([mean_K, log_deviation_K])
        mean_BK, log_deviation_BK = both_B2K.chunk(2, dim=1)
        deviation_BK = log_deviation_BK.exp()
        z_BK = torch.addcmul(mean_BK, deviation_BK, noise_BK).sigmoid_()
        squares_BK = torch.addcmul(mean_BK * mean_BK, deviation_BK, deviation_BK)
        sum_B = squares_BK.sub_(log_deviation_BK, alpha=2).sub_(1).sum(1)
        ctx.save_for_backward(hidden_BH, weight_2KH, mean_BK, deviation_BK, noise_BK, share_B, z_BK)
        return z_BK, torch.dot(sum_B, share_B) / 2

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        by_z_BK, by_divergence = gradients
        hidden_BH, weight_2KH, mean_BK, deviation_BK, noise_BK, share_B, z_BK = ctx.saved_tensors
        share_B1 = (share_B * by_divergence).unsqueeze(1)
        by_sum_BK = torch.addcmul(z_BK, z_BK, z_BK, value=-1).mul_(by_z_BK)
        by_both_B2K = by_sum_BK.new_empty(len(z_BK), 2 * z_BK.shape[1])
        by_mean_BK, by_log_BK = by_both_B2K.chunk(2, dim=1)
        torch.addcmul(by_sum_BK, mean_BK, share_B1, out=by_mean_BK)
        # by the deviation: noise of the draw, deviation - 1 / deviation of the divergence
        by_deviation_BK = torch.addcmul(by_sum_BK.mul_(noise_BK), deviation_BK, share_B1)
        torch.mul(by_deviation_BK, deviation_BK, out=by_log_BK).sub_(share_B1)
        rounded_B2K = by_both_B2K.to(hidden_BH.dtype)
        by_weights_KH = torch.mm(rounded_B2K.t(), hidden_BH).float().chunk(2)
        by_biases_K = by_both_B2K.sum(0).chunk(2)
        by_hidden_BH = torch.mm(rounded_B2K, weight_2KH).float()
        return by_hidden_BH, *by_weights_KH, *by_biases_K, None, None, None
