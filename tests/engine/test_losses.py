"""The sums of a step."""

import pytest
import torch

from sm_dl.engine.losses import StepLoss, sums_of


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_sums_are_what_a_step_returned_in_float64(dtype):
    total = torch.tensor(0.1, dtype=dtype, requires_grad=True)
    figures = {"a": torch.tensor(1 / 3, dtype=dtype), "b": total * 2}
    sums = sums_of(StepLoss(total=total, count=torch.tensor(7), records=9, figures=figures))
    assert (sums.dtype, sums.requires_grad) == (torch.float64, False)
    expected = [total.item(), 7.0, 9.0, figures["a"].item(), figures["b"].item()]
    assert sums.tolist() == expected
