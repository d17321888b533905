"""Linear layers of which only the products are of a shorter type, with few operations.

Autocast rounds weights, biases and results too and gives each cast a node of the graph; layers of a
hundred units take as long for that as for their products. Here biases are added in float32, and what
stands between two layers is float32, too: on a CPU its functions are faster than bfloat16's.

Shape letters in this file: B = rows of a batch, I = inputs, O = outputs.
"""

from typing import Any

import torch
from torch import Tensor


def product_type(device: torch.device) -> torch.dtype:
    """Return what is multiplied under the autocast at hand: float16 has too small a range."""
    is_mixed = torch.is_autocast_enabled(device.type)
    if is_mixed and torch.get_autocast_dtype(device.type) == torch.bfloat16:
        return torch.bfloat16
    return torch.float32


def linear(inputs_BI: Tensor, weight_OI: Tensor, added: Tensor, dtype: torch.dtype) -> Tensor:
    """Return inputs times weight plus what is added, shape (B, O), float32.

    Args:
        inputs_BI: float32.
        weight_OI: float32.
        added: A bias, shape (O,), or another term, shape (B, O); float32.
        dtype: Of the factors of the product and of both its gradients.
    """
    if dtype == inputs_BI.dtype:
        return torch.addmm(added, inputs_BI, weight_OI.t())
    outputs: Tensor = _Linear.apply(inputs_BI, weight_OI, added, dtype)
    return outputs


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's own
        inputs_BI: Tensor,
        weight_OI: Tensor,
        added: Tensor,
        dtype: torch.dtype,
    ) -> Tensor:
        inputs_BI, weight_OI = inputs_BI.to(dtype), weight_OI.to(dtype)
        ctx.save_for_backward(inputs_BI, weight_OI)
        ctx.is_bias = added.ndim == 1
        return torch.mm(inputs_BI, weight_OI.t()).float().add_(added)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:  # noqa: ANN401
        (gradient_BO,) = gradients
        inputs_BI, weight_OI = ctx.saved_tensors
        rounded_BO = gradient_BO.to(inputs_BI.dtype)
        return (
            torch.mm(rounded_BO, weight_OI).float(),
            torch.mm(rounded_BO.t(), inputs_BI).float(),
            gradient_BO.sum(0) if ctx.is_bias else gradient_BO,
            None,
        )
