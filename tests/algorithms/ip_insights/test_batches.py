"""How pairs are shared out over batches, processes and hosts, and gone on with."""

import numpy as np
import pytest
import torch

from sm_dl.algorithms.ip_insights.batches import EpochBatches, ScoredPairs, Sharing
from sm_dl.engine.place import Place

NUM_PAIRS, PER_BATCH, PER_PAIR = 50, 8, 3
"""24 records a batch: 8 observed pairs, each with one random and one shuffled negative."""


@pytest.fixture
def batches(make_table, make_hyperparameters):
    return EpochBatches(make_table(NUM_PAIRS), make_hyperparameters())


def pairs_of(batch) -> list[tuple[int, int]]:
    address = batch.address_A[batch.place_B]
    return list(zip(batch.row_B.tolist(), address.tolist(), strict=True))


def all_pairs(batches, **place) -> list[tuple[int, int]]:
    return [pair for batch in batches(Place(**place)) for pair in pairs_of(batch)]


def table_pairs(table) -> list[tuple[int, int]]:
    return sorted(zip(table.row_N.tolist(), table.address_N.tolist(), strict=True))


def same(one, two) -> bool:
    return all(torch.equal(left, right) for left, right in zip(one, two, strict=True))


@pytest.mark.parametrize("epoch", range(3))
def test_an_epoch_sees_each_pair_once(batches, epoch):
    assert sorted(all_pairs(batches, epoch=epoch)) == table_pairs(batches.table)


def test_each_epoch_has_another_order(batches):
    assert all_pairs(batches, epoch=0) != all_pairs(batches, epoch=1)


def test_a_batch_holds_observed_pairs_for_its_share_of_records(batches):
    sizes = [len(batch.row_B) for batch in batches(Place(0))]
    assert sizes == [PER_BATCH] * 6 + [2]


def test_a_batch_too_small_for_one_pair_holds_one(make_table, make_hyperparameters):
    batches = EpochBatches(make_table(3), make_hyperparameters(mini_batch_size=1))
    assert [len(batch.row_B) for batch in batches(Place(0))] == [1, 1, 1]


def test_equal_addresses_of_a_batch_are_encoded_once(make_table, make_hyperparameters):
    table = make_table(PER_BATCH)
    table.address_N[:] = 5
    (batch,) = EpochBatches(table, make_hyperparameters())(Place(0))
    assert (batch.address_A.tolist(), len(batch.row_B)) == ([5], PER_BATCH)


@pytest.mark.parametrize("world_size", [2, 3])
def test_the_parts_of_all_ranks_are_the_batch(batches, world_size):
    parts = [
        list(batches(Place(0, rank=rank, world_size=world_size))) for rank in range(world_size)
    ]
    whole = list(batches(Place(0)))
    assert {len(part) for part in parts} == {len(whole)}
    for step, batch in enumerate(whole):
        together = [pair for part in parts for pair in pairs_of(part[step])]
        assert sorted(together) == sorted(pairs_of(batch))


def test_the_random_addresses_of_a_pair_do_not_depend_on_the_number_of_processes(batches):
    whole = next(iter(batches(Place(0))))
    half = next(iter(batches(Place(0, rank=1, world_size=2))))
    assert torch.equal(half.random_BR, whole.random_BR[1::2])


def test_more_ranks_than_pairs_leave_some_with_nothing(batches):
    parts = [next(iter(batches(Place(0, rank=rank, world_size=9)))) for rank in range(9)]
    assert [len(part.row_B) for part in parts] == [1] * 8 + [0]


@pytest.mark.parametrize("step", range(7))
def test_an_epoch_can_be_gone_on_with_from_any_batch(batches, step):
    whole = list(batches(Place(1)))
    rest = list(batches(Place(1, first_record=step * PER_BATCH * PER_PAIR)))
    assert len(rest) == len(whole) - step
    assert all(same(one, two) for one, two in zip(whole[step:], rest, strict=True))


def test_nothing_is_left_of_an_epoch_that_is_over(batches):
    assert list(batches(Place(1, first_record=NUM_PAIRS * PER_PAIR))) == []


@pytest.mark.parametrize("once", [1, 8, 20, 1000])
def test_how_many_pairs_are_drawn_together_changes_nothing(batches, monkeypatch, once):
    whole = list(batches(Place(1)))
    monkeypatch.setattr("sm_dl.algorithms.ip_insights.batches.PAIRS_AT_ONCE", once)
    assert all(same(one, two) for one, two in zip(whole, batches(Place(1)), strict=True))


@pytest.fixture
def hosts(make_table, make_hyperparameters, monkeypatch):
    """Return the batches of two hosts with 20 and 33 pairs of their own, two processes on each."""
    sizes = [20, 20, 33, 33]
    monkeypatch.setattr(
        "sm_dl.algorithms.ip_insights.batches.numbers_of_all", lambda _own, _device: sizes
    )
    return [
        EpochBatches(make_table(size, seed=size), make_hyperparameters(), Sharing(2))
        for size in sizes[::2]
    ]


def parts_of(hosts, first_record=0):
    return [
        list(hosts[rank // 2](Place(0, first_record, rank=rank, world_size=4))) for rank in range(4)
    ]


def test_hosts_with_files_of_their_own_see_all_their_pairs_once(hosts):
    parts = parts_of(hosts)
    for host, one, two in ((0, 0, 1), (1, 2, 3)):
        seen = [pair for part in (*parts[one], *parts[two]) for pair in pairs_of(part)]
        assert sorted(seen) == table_pairs(hosts[host].table)


def test_hosts_with_files_of_their_own_know_each_other_s_entities(hosts, monkeypatch):
    every = np.array([3, 9, 2**64 - 1, 4, 9], np.uint64)
    gathered = torch.from_numpy(every.view(np.int64))
    monkeypatch.setattr("sm_dl.algorithms.ip_insights.batches.rows_of_all", lambda _own: gathered)
    assert hosts[0].entities_of_all(torch.device("cpu")).tolist() == [3, 4, 9, 2**64 - 1]


def test_hosts_with_files_of_their_own_make_equally_many_batches(hosts):
    assert {len(part) for part in parts_of(hosts)} == {9}  # 33 pairs, 4 of a batch's 8 each


def test_hosts_with_files_of_their_own_draw_in_orders_of_their_own(
    make_table, make_hyperparameters
):
    batches = EpochBatches(make_table(40), make_hyperparameters(), Sharing(2))
    batches._num_pairs = [40, 40]
    one, two = (all_pairs(batches, epoch=0, rank=rank, world_size=2) for rank in range(2))
    assert one != two


@pytest.mark.parametrize("step", range(10))
def test_hosts_with_files_of_their_own_go_on_from_any_batch(hosts, step):
    whole = parts_of(hosts)
    seen = sum(len(batch.row_B) for part in whole for batch in part[:step])
    for part, rest in zip(whole, parts_of(hosts, seen * PER_PAIR), strict=True):
        assert all(same(one, two) for one, two in zip(part[step:], rest, strict=True))


def test_scored_pairs_come_in_their_order_with_the_same_addresses_in_each_epoch(make_table):
    table = make_table(30)
    (first,), (second,) = (list(ScoredPairs(table)(Place(epoch))) for epoch in (0, 5))
    assert same(first, second)
    assert first.row_B.tolist() == table.row_N.tolist()
    assert first.random_BR.shape == (30, 1)
    assert first.partner_BS.shape == (30, 0)


@pytest.mark.parametrize("num_pairs", [1, 7, 8])
def test_scored_pairs_are_shared_out_once(make_table, monkeypatch, num_pairs):
    monkeypatch.setattr("sm_dl.algorithms.ip_insights.batches.SCORED_AT_ONCE", 2)
    table = make_table(num_pairs)
    parts = [list(ScoredPairs(table)(Place(0, rank=rank, world_size=2))) for rank in range(2)]
    assert len(parts[0]) == len(parts[1])
    seen = [pair for part in (*parts[0], *parts[1]) for pair in pairs_of(part)]
    assert sorted(seen) == table_pairs(table)


def test_scored_pairs_meet_the_same_addresses_whatever_the_number_of_processes(make_table):
    table = make_table(10)
    (whole,) = ScoredPairs(table)(Place(0))
    (half,) = ScoredPairs(table)(Place(0, rank=1, world_size=2))
    assert np.array_equal(half.random_BR, whole.random_BR[1::2])
