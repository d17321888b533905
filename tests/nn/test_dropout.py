"""Dropout: how much of it, and that what stays makes up for what goes."""

import pytest
import torch

from sm_dl.nn.dropout import Dropout


@pytest.mark.parametrize("p", [0.1, 0.4, 0.9])
def test_a_share_is_dropped_and_the_rest_scaled(p):
    torch.manual_seed(0)
    values = torch.full((200, 200), 3.0, requires_grad=True)
    dropped = Dropout(p).train()(values)
    is_kept = dropped != 0
    assert is_kept.float().mean().item() == pytest.approx(1 - p, abs=0.01)
    torch.testing.assert_close(dropped[is_kept], torch.full_like(dropped[is_kept], 3 / (1 - p)))
    dropped.sum().backward()
    torch.testing.assert_close(values.grad, is_kept / (1 - p))


def test_everything_goes_with_1_and_nothing_with_0_or_in_use():
    values = torch.randn(4, 4)
    assert not Dropout(1.0).train()(values).any()
    assert Dropout(0.0).train()(values).equal(values)
    assert Dropout(0.5).eval()(values).equal(values)


def test_the_seed_decides():
    values, drawn = torch.ones(50), []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(Dropout(0.5).train()(values))
    assert drawn[0].equal(drawn[1])
    assert not drawn[0].equal(drawn[2])


def test_numbers_of_half_precision_stay_so():
    assert Dropout(0.5).train()(torch.ones(9, dtype=torch.bfloat16)).dtype == torch.bfloat16
