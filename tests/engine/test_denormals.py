"""Numbers too small to matter are zero for a while, and numbers again afterwards."""

import torch

from sm_dl.engine.denormals import denormals_as_zero


def _product() -> float:
    return (torch.tensor([1e-30]) * torch.tensor([1e-10])).item()


def test_denormals_are_zero_within_and_numbers_after():
    before = _product()
    with denormals_as_zero():
        within = _product()
    assert (before > 0, within, _product()) == (True, 0.0, before)
