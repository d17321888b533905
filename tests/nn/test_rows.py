"""Rows that are looked up several times: their means, and a gradient with each row once."""

import pytest
import torch
from torch.nn.functional import embedding_bag

from sm_dl.nn.rows import mean_of_rows, ranked, rows_of


def test_look_ups_are_ranked_by_row_and_keep_their_order():
    rows, order, starts = ranked(torch.tensor([7, 2, 7, 0, 2, 7]))
    assert (rows.tolist(), order.tolist(), starts.tolist()) == (
        [0, 2, 7],
        [3, 1, 4, 0, 2, 5],
        [0, 1, 3],
    )


@pytest.mark.parametrize("is_sparse", [False, True])
def test_means_and_gradients_are_those_of_torch(is_sparse):
    torch.manual_seed(0)
    table = torch.randn(20, 5, requires_grad=True)
    rows, lengths = torch.randint(20, (40,)), torch.tensor([1, 9, 30])
    weights = torch.randn(3, 5)
    means = mean_of_rows(table, rows, lengths, is_sparse=is_sparse)
    (means * weights).sum().backward()
    twin = table.detach().clone().requires_grad_()
    expected = embedding_bag(rows, twin, torch.tensor([0, 1, 10]), mode="mean")
    (expected * weights).sum().backward()
    torch.testing.assert_close(means, expected)
    found = table.grad.to_dense() if is_sparse else table.grad
    torch.testing.assert_close(found, twin.grad)
    if is_sparse:
        assert table.grad._indices()[0].tolist() == rows.unique().tolist()


@pytest.mark.parametrize("is_sparse", [False, True])
@pytest.mark.parametrize("rows", [[4], [3, 1, 3, 3, 0], list(range(20))])
def test_rows_and_gradients_are_those_of_torch(rows, is_sparse):
    torch.manual_seed(0)
    table, rows = torch.randn(20, 5, requires_grad=True), torch.tensor(rows)
    weights = torch.randn(len(rows), 5)
    found = rows_of(table, rows, is_sparse=is_sparse)
    (found * weights).sum().backward()
    assert found.equal(table[rows])
    expected = torch.zeros(20, 5).index_add_(0, rows, weights)
    torch.testing.assert_close(table.grad.to_dense(), expected)
    assert table.grad.is_sparse == is_sparse
    if is_sparse:
        assert table.grad._indices()[0].tolist() == rows.unique().tolist()
