"""Lazy updates: on touched rows what the plain rules do, on all others nothing."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from sm_dl.engine.optim import mxnet_optimizer
from sm_dl.engine.row_updates import RowOptimizer, distinct_rows, leave_out_of_ddp, summed

NAMES = ("sgd", "adam", "rmsprop", "adagrad", "adadelta")


class Tables(nn.Module):
    """A token table and a linear layer."""

    def __init__(self, *, is_sparse):
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(10, 4, sparse=is_sparse)
        self.linear = nn.Linear(4, 2)

    def forward(self, tokens):
        return self.linear(self.table(tokens)).square().sum()


def trained(name, batches, *, is_sparse, decay=0.0):
    module = Tables(is_sparse=is_sparse)
    kind = RowOptimizer if is_sparse else None
    optimizer = mxnet_optimizer(
        name, module, learning_rate=0.1, weight_decay=decay, **({"kind": kind} if kind else {})
    )
    for tokens in batches:
        optimizer.zero_grad()
        module(torch.tensor(tokens)).backward()
        optimizer.step()
    return module, optimizer


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("name", NAMES)
def test_where_each_batch_touches_all_rows_lazy_is_plain(name, decay):
    batches = [list(range(10)), [*range(10), 3, 3], list(range(9, -1, -1))]
    lazy, _ = trained(name, batches, is_sparse=True, decay=decay)
    plain, _ = trained(name, batches, is_sparse=False, decay=decay)
    for one, two in zip(lazy.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one, two)


@pytest.mark.parametrize("name", NAMES)
def test_rows_that_no_batch_touches_stay_as_they_were(name):
    module, _ = trained(name, [[1, 2], [2, 5]], is_sparse=True, decay=0.1)
    before = Tables(is_sparse=True).table.weight
    is_same = (module.table.weight == before).all(1)
    assert is_same.nonzero().flatten().tolist() == [0, 3, 4, 6, 7, 8, 9]


def test_state_goes_through_a_checkpoint():
    batches = [[1, 2], [2, 5], [1, 5, 5]]
    whole, _ = trained("adam", batches, is_sparse=True)
    half, optimizer = trained("adam", batches[:2], is_sparse=True)
    module = Tables(is_sparse=True)
    module.load_state_dict(half.state_dict())
    again = mxnet_optimizer("adam", module, learning_rate=0.1, kind=RowOptimizer)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    module(torch.tensor(batches[2])).backward()
    again.step()
    torch.testing.assert_close(module.table.weight, whole.table.weight, rtol=0, atol=0)


@pytest.mark.parametrize("rows", [[0, 2, 5], [5, 2, 0], [2, 2, 1], [4], []])
def test_distinct_rows_hold_the_sums(rows):
    values = torch.arange(len(rows) * 2.0).view(-1, 2)
    gradient = torch.sparse_coo_tensor(
        torch.tensor([rows], dtype=torch.int64), values, (6, 2), check_invariants=True
    )
    found, sums = distinct_rows(gradient)
    dense = torch.zeros(6, 2)
    dense[found] = sums
    assert len(found.unique()) == len(found)
    torch.testing.assert_close(dense, gradient.to_dense())


def table_and_optimizer(**settings):
    module = Tables(is_sparse=True)
    optimizer = mxnet_optimizer("adam", module, learning_rate=0.1, kind=RowOptimizer, **settings)
    return module.table.weight, optimizer


def take_step(optimizer, table, rows):
    """Make one update with a gradient that depends on the rows, and counts repeated ones twice."""
    optimizer.zero_grad()
    looked_up = functional.embedding(torch.tensor(rows, dtype=torch.int64), table, sparse=True)
    looked_up.sin().mul(torch.arange(1.0, 1 + len(rows)).unsqueeze(1)).sum().backward()
    optimizer.step()


def test_adam_on_rows_is_the_usual_sparse_adam():
    table, ours = table_and_optimizer()
    twin = nn.Parameter(table.detach().clone())
    usual = torch.optim.SparseAdam([twin], lr=0.1)
    for rows in ([0, 1, 1, 5], [5, 2], [8, 8, 8], [1, 0]):
        take_step(ours, table, rows)
        take_step(usual, twin, rows)
    torch.testing.assert_close(table, twin)


def test_the_moments_of_a_row_do_not_decay_while_it_is_away():
    table, optimizer = table_and_optimizer()
    take_step(optimizer, table, [3])
    mean = optimizer.state[table]["mean"][3].clone()
    take_step(optimizer, table, [4])
    assert torch.equal(optimizer.state[table]["mean"][3], mean)


def test_a_batch_without_rows_changes_nothing():
    table, optimizer = table_and_optimizer(weight_decay=0.1)
    before = table.detach().clone()
    take_step(optimizer, table, [])
    assert torch.equal(table, before)


@pytest.mark.parametrize("rows", [[4], [0, 0, 0], [3, 1, 2, 1, 3, 3], []])
def test_repeated_rows_are_added_up(rows):
    torch.manual_seed(0)
    index, values = torch.tensor(rows, dtype=torch.int64), torch.randn(len(rows), 3)
    distinct, sums = summed(index, values)
    assert distinct.tolist() == sorted(set(rows))
    expected = torch.zeros(9, 3).index_add_(0, index, values)
    torch.testing.assert_close(sums, expected[distinct])


def test_tables_are_named_to_ddp_as_none_of_its_business():
    module = Tables(is_sparse=True)
    leave_out_of_ddp(module, ["table.weight"])
    assert module._ddp_params_and_buffers_to_ignore == ["table.weight"]
