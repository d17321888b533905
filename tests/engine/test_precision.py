"""What a step is given and what it returns are the same in every precision."""

import pytest
import torch

from sm_dl.engine.precision import precision_of
from sm_dl.engine.strategy import Plan

PRECISIONS = ["32-true", "bf16-mixed", "16-mixed"]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64])
def test_no_number_of_a_batch_or_a_result_is_rounded(precision, dtype):
    batch = {"counts": torch.tensor([257, 1], dtype=dtype)}
    plugin = precision_of(Plan("cpu", 2, 1, "ddp", precision))
    assert plugin.convert_input(batch) is batch
    assert plugin.convert_output(batch) is batch


@pytest.mark.parametrize(
    ("precision", "expected"),
    list(zip(PRECISIONS, [torch.float32, torch.bfloat16, torch.float16], strict=True)),
)
def test_what_is_multiplied_has_the_type_of_the_plan(precision, expected):
    ones = torch.ones(3, 3)
    with precision_of(Plan("cpu", 1, 1, "auto", precision)).forward_context():
        assert (ones @ ones).dtype == expected
