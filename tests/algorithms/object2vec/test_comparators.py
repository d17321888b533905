"""Comparators are what the specification says, and so are their gradients."""

from itertools import permutations

import pytest
import torch

from sm_dl.algorithms.object2vec.comparators import WIDTH_FACTORS, compared

PARTS = {
    "hadamard": lambda one, two: one * two,
    "concat": lambda one, two: torch.cat((one, two), 1),
    "abs_diff": lambda one, two: (one - two).abs(),
}
LISTS = [names for count in (1, 2, 3) for names in permutations(PARTS, count)]


def encodings():
    torch.manual_seed(0)
    one, two = torch.randn(2, 5, 3)
    two[0] = one[0]  # their difference has no slope there
    return one.requires_grad_(), two.requires_grad_()


@pytest.mark.parametrize("names", LISTS)
def test_values_and_gradients_are_those_of_separate_operations(names):
    ours, plain = encodings(), encodings()
    found = compared(*ours, names)
    expected = torch.cat([PARTS[name](*plain) for name in names], 1)
    assert found.equal(expected)
    assert found.shape[1] == 3 * sum(WIDTH_FACTORS[name] for name in names)
    outer = torch.randn(found.shape)
    found.backward(outer)
    expected.backward(outer)
    for one, other in zip(ours, plain, strict=True):
        torch.testing.assert_close(one.grad, other.grad)
