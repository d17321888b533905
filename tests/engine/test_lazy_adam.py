"""Lazy Adam: dense weights as torch's Adam moves them, rows of tables only where a batch touches them."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from sm_dl.engine.lazy_adam import LazyAdam, leave_out_of_ddp, rows_of, summed

NUM_ROWS, WIDTH, RATE, DECAY = 9, 3, 0.1, 0.01


@pytest.fixture
def table() -> nn.Parameter:
    torch.manual_seed(0)
    return nn.Parameter(torch.randn(NUM_ROWS, WIDTH))


def take_step(optimizer: torch.optim.Optimizer, table: nn.Parameter, rows: list[int]) -> None:
    """Make one update with a gradient that depends on the rows, and counts repeated ones twice."""
    optimizer.zero_grad()
    looked_up = functional.embedding(torch.tensor(rows, dtype=torch.int64), table, sparse=True)
    looked_up.sin().mul(torch.arange(1.0, 1 + len(rows)).unsqueeze(1)).sum().backward()
    optimizer.step()


def test_dense_weights_move_as_with_the_usual_adam(table):
    twin = nn.Parameter(table.detach().clone())
    ours = LazyAdam([table], lr=RATE, weight_decay=DECAY)
    usual = torch.optim.Adam([twin], lr=RATE, weight_decay=DECAY)
    for _ in range(5):
        for weight, optimizer in ((table, ours), (twin, usual)):
            optimizer.zero_grad()
            weight.sin().sum().backward()
            optimizer.step()
    torch.testing.assert_close(table, twin)


def test_rows_move_as_with_the_usual_sparse_adam(table):
    twin = nn.Parameter(table.detach().clone())
    ours, usual = LazyAdam([table], lr=RATE), torch.optim.SparseAdam([twin], lr=RATE)
    for rows in ([0, 1, 1, 5], [5, 2], [8, 8, 8], [1, 0]):
        take_step(ours, table, rows)
        take_step(usual, twin, rows)
    torch.testing.assert_close(table, twin)


def test_a_row_touched_in_every_step_moves_as_a_dense_weight_does(table):
    twin = nn.Parameter(table.detach()[2:3].clone())
    ours = LazyAdam([table], lr=RATE, weight_decay=DECAY)
    usual = torch.optim.Adam([twin], lr=RATE, weight_decay=DECAY)
    for _ in range(5):
        take_step(ours, table, [2])
        usual.zero_grad()
        twin.sin().sum().backward()
        usual.step()
    torch.testing.assert_close(table[2:3], twin)


def test_rows_that_no_batch_touches_stay_as_they_are_to_the_bit(table):
    before = table.detach().clone()
    optimizer = LazyAdam([table], lr=RATE, weight_decay=DECAY)
    for _ in range(3):
        take_step(optimizer, table, [1, 4])
    untouched = [row for row in range(NUM_ROWS) if row not in (1, 4)]
    assert torch.equal(table[untouched], before[untouched])
    assert not optimizer.state[table]["mean"][untouched].any()
    assert not torch.equal(table[[1, 4]], before[[1, 4]])


def test_the_moments_of_a_row_do_not_decay_while_it_is_away(table):
    optimizer = LazyAdam([table], lr=RATE)
    take_step(optimizer, table, [3])
    mean = optimizer.state[table]["mean"][3].clone()
    take_step(optimizer, table, [4])
    assert torch.equal(optimizer.state[table]["mean"][3], mean)


def test_a_batch_without_rows_changes_nothing(table):
    before = table.detach().clone()
    take_step(LazyAdam([table], lr=RATE, weight_decay=DECAY), table, [])
    assert torch.equal(table, before)


def test_a_state_taken_up_again_goes_on_to_the_bit(table):
    twin = nn.Parameter(table.detach().clone())
    first, second = LazyAdam([table], lr=RATE), LazyAdam([twin], lr=RATE)
    take_step(first, table, [1, 2])
    twin.data.copy_(table)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for optimizer, weight in ((first, table), (second, twin)):
        take_step(optimizer, weight, [2, 3])
    assert torch.equal(table, twin)


@pytest.mark.parametrize("rows", [[4], [0, 0, 0], [3, 1, 2, 1, 3, 3], []])
def test_repeated_rows_are_added_up(rows):
    torch.manual_seed(0)
    index, values = torch.tensor(rows, dtype=torch.int64), torch.randn(len(rows), WIDTH)
    distinct, sums = summed(index, values)
    assert distinct.tolist() == sorted(set(rows))
    expected = torch.zeros(NUM_ROWS, WIDTH).index_add_(0, index, values)
    torch.testing.assert_close(sums, expected[distinct])


def test_a_gradient_whose_rows_are_distinct_already_is_taken_as_it_is(table):
    functional.embedding(torch.tensor([5, 1, 5]), table, sparse=True).sum().backward()
    rows, values = rows_of(table.grad.coalesce())
    assert (rows.tolist(), values[:, 0].tolist()) == ([1, 5], [1.0, 2.0])


def test_tables_are_named_to_ddp_as_none_of_its_business(table):
    module = nn.Linear(1, 1)
    module.table = table
    leave_out_of_ddp(module, ["table"])
    assert module._ddp_params_and_buffers_to_ignore == ["table"]
