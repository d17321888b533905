"""Linear layers whose products alone are of a shorter type."""

import pytest
import torch

from sm_dl.nn.mixed import linear, product_type

CPU = torch.device("cpu")


@pytest.fixture(params=["bias", "term"])
def factors(request):
    """Inputs, weight and what is added: a bias, or a term for each row."""
    torch.manual_seed(0)
    shapes = [(7, 5), (3, 5), (3,) if request.param == "bias" else (7, 3)]
    return [torch.randn(shape, requires_grad=True) for shape in shapes]


def test_in_float32_it_is_torch_s_layer(factors):
    inputs, weight, added = factors
    found = linear(inputs, weight, added, torch.float32)
    torch.testing.assert_close(found, inputs @ weight.T + added)
    gradients = torch.autograd.grad(found.square().sum(), factors)
    expected = torch.autograd.grad((inputs @ weight.T + added).square().sum(), factors)
    for one, other in zip(gradients, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_in_bfloat16_the_factors_are_rounded_and_what_is_added_is_not(factors):
    inputs, weight, added = factors
    rounded = [one.detach().bfloat16().double() for one in (inputs, weight)]
    found = linear(inputs, weight, added * 1000, torch.bfloat16)
    assert found.dtype == torch.float32
    product = rounded[0] @ rounded[1].T
    # the product is rounded once more; 1000 times the term keeps digits that bfloat16 has not
    torch.testing.assert_close(
        found.double() - 1000 * added.double(), product, rtol=2**-8, atol=1e-3
    )


def test_in_bfloat16_the_gradients_are_products_of_rounded_factors(factors):
    inputs, weight, added = factors
    outer = torch.randn(7, 3)
    found = torch.autograd.grad(linear(inputs, weight, added, torch.bfloat16), factors, outer)
    assert {one.dtype for one in found} == {torch.float32}
    short = outer.bfloat16().double()
    by_inputs = short @ weight.detach().bfloat16().double()
    by_weight = short.T @ inputs.detach().bfloat16().double()
    torch.testing.assert_close(found[0].double(), by_inputs, rtol=2**-7, atol=2**-7)
    torch.testing.assert_close(found[1].double(), by_weight, rtol=2**-7, atol=2**-7)
    torch.testing.assert_close(found[2], outer.sum(0) if added.ndim == 1 else outer)


def test_no_rows_are_taken_too(factors):
    inputs, weight, _ = factors
    found = linear(inputs[:0], weight, torch.zeros(3), torch.bfloat16)
    found.sum().backward()
    assert found.shape == (0, 3)
    assert torch.equal(weight.grad, torch.zeros(3, 5))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_only_bfloat16_has_the_range_for_products(dtype):
    assert product_type(CPU) == torch.float32
    with torch.autocast("cpu", dtype):
        assert product_type(CPU) == (torch.bfloat16 if dtype == torch.bfloat16 else torch.float32)
