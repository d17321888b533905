"""Every record goes to one reader, in one order, whoever reads and wherever the run goes on."""

from itertools import chain, zip_longest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_dl.data.shard import Reader, batches_of, is_taken, record_at, share_of_host, uniform_at

steady = settings(derandomize=True, deadline=None, max_examples=60)
NUM_RECORDS = st.integers(0, 200)
BATCH = st.integers(1, 7)
WORLD = st.integers(1, 5)
WORKERS = st.integers(1, 4)


def _steps(
    start: int, stop: int, batch: int, world: int, workers: int = 1
) -> list[list[list[int]]]:
    """Return the positions of each rank for each step, as data loaders with workers hand them out."""
    ranks = []
    for rank in range(world):
        by_worker = [
            [
                one.tolist()
                for one in batches_of(Reader(rank, world, w, workers), start, stop, batch)
            ]
            for w in range(workers)
        ]
        in_turn = [one for turn in zip_longest(*by_worker) for one in turn if one is not None]
        ranks.append(in_turn)
    return [list(step) for step in zip(*ranks, strict=True)]


def _order(steps: list[list[list[int]]]) -> list[int]:
    """Return the global order: within a step, ranks in turn."""
    flat = []
    for step in steps:
        for turn in zip_longest(*step):
            flat += [position for position in turn if position is not None]
    return flat


@steady
@given(NUM_RECORDS, BATCH, WORLD, WORKERS)
def test_every_position_is_read_once_and_in_order(
    stop: int, batch: int, world: int, workers: int
) -> None:
    assert _order(_steps(0, stop, batch, world, workers)) == list(range(stop))


@steady
@given(NUM_RECORDS, BATCH, WORLD, WORKERS)
def test_workers_do_not_change_a_ranks_batches(
    stop: int, batch: int, world: int, workers: int
) -> None:
    assert _steps(0, stop, batch, world, workers) == _steps(0, stop, batch, world)


@steady
@given(NUM_RECORDS, st.sampled_from([(1, 12), (2, 6), (3, 4), (4, 3), (6, 2)]))
def test_a_step_holds_the_same_records_whatever_the_number_of_ranks(
    stop: int, split: tuple[int, int]
) -> None:
    world, batch = split
    together = [sorted(chain.from_iterable(step)) for step in _steps(0, stop, batch, world)]
    assert together == [sorted(chain.from_iterable(step)) for step in _steps(0, stop, 12, 1)]


@steady
@given(NUM_RECORDS, st.integers(0, 200), BATCH, WORLD, BATCH, WORLD)
def test_a_run_goes_on_with_other_ranks_where_it_stopped(
    stop: int, num_steps: int, batch: int, world: int, other_batch: int, other_world: int
) -> None:
    before = _order(_steps(0, stop, batch, world)[:num_steps])
    after = _order(_steps(len(before), stop, other_batch, other_world))
    assert before + after == list(range(stop))


@steady
@given(NUM_RECORDS, BATCH, WORLD)
def test_ranks_stay_in_step_to_the_end(stop: int, batch: int, world: int) -> None:
    for step in _steps(0, stop, batch, world):
        sizes = [len(positions) for positions in step]
        assert max(sizes) - min(sizes) <= 1


@steady
@given(NUM_RECORDS, st.integers(0, 50), BATCH, WORLD, WORKERS)
def test_a_stream_is_shared_out_by_the_same_rule(
    stop: int, start: int, batch: int, world: int, workers: int
) -> None:
    for rank in range(world):
        for worker in range(workers):
            reader = Reader(rank, world, worker, workers)
            listed = [p for one in batches_of(reader, start, stop, batch) for p in one.tolist()]
            taken = [p for p in range(start, stop) if is_taken(reader, p, start, batch)]
            assert listed == taken


@steady
@given(st.integers(0, 30), st.integers(1, 8))
def test_every_object_goes_to_one_host(num_objects: int, num_hosts: int) -> None:
    shares = [share_of_host(range(num_objects), host, num_hosts) for host in range(num_hosts)]
    assert sorted(chain.from_iterable(shares)) == list(range(num_objects))


def test_shares_of_hosts_differ_by_one_object_at_most() -> None:
    assert [len(share_of_host(range(10), host, 4)) for host in range(4)] == [3, 3, 2, 2]


# The shuffled order.


@steady
@given(st.integers(1, 3000), st.integers(0, 2**63), st.integers(0, 100))
def test_every_record_stands_at_one_position(num_records: int, seed: int, epoch: int) -> None:
    order = record_at(np.arange(num_records), num_records, seed, epoch)
    assert sorted(order.tolist()) == list(range(num_records))


@steady
@given(st.integers(1, 2**40), st.data())
def test_a_position_is_answered_alone_as_among_others(
    num_records: int, data: st.DataObject
) -> None:
    positions = data.draw(st.lists(st.integers(0, num_records - 1), min_size=1, max_size=9))
    together = record_at(np.array(positions), num_records, 1, 2)
    alone = [record_at(np.array([p]), num_records, 1, 2)[0] for p in positions]
    assert together.tolist() == alone


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = {
        tuple(record_at(np.arange(50), 50, seed, epoch).tolist())
        for seed in range(10)
        for epoch in range(10)
    }
    assert len(orders) == 100


def test_the_order_is_the_same_in_every_version() -> None:
    assert record_at(np.arange(10), 10, 7, 3).tolist() == [1, 5, 8, 0, 7, 6, 3, 4, 2, 9]


def test_a_record_stands_anywhere_equally_often() -> None:
    counts = np.zeros((20, 20))
    for epoch in range(4000):
        counts[np.arange(20), record_at(np.arange(20), 20, 0, epoch)] += 1
    squares = ((counts - 200) ** 2 / 200).sum()  # chi-squared of 19 * 19 degrees of freedom
    assert squares < 361 + 4 * np.sqrt(2 * 361)


def test_neighbours_are_not_kept_together() -> None:
    order = record_at(np.arange(10_000), 10_000, 0, 0)
    assert (np.abs(np.diff(order)) == 1).sum() < 12  # 2 are to be expected


@pytest.mark.parametrize("num_records", [1, 2, 3])
def test_small_channels_have_all_their_orders(num_records: int) -> None:
    orders = {
        tuple(record_at(np.arange(num_records), num_records, 0, epoch).tolist())
        for epoch in range(200)
    }
    assert len(orders) == [0, 1, 2, 6][num_records]


def test_draws_of_a_position_do_not_depend_on_the_others() -> None:
    positions = np.array([7, 0, 123_456_789])
    together = uniform_at(positions, 5, seed=3, epoch=2)
    for row, position in enumerate(positions):
        alone = uniform_at(np.array([position]), 5, seed=3, epoch=2)
        assert (alone[0] == together[row]).all()


def test_draws_are_uniform_and_unrelated() -> None:
    draws = uniform_at(np.arange(40_000), 4, seed=3, epoch=2)
    assert draws.min() >= 0
    assert draws.max() < 1
    counts = np.stack([np.histogram(column, bins=20, range=(0, 1))[0] for column in draws.T])
    assert np.abs(counts - 2000).max() < 5 * np.sqrt(2000)
    lagged = np.concatenate([draws[:-1], draws[1:]], axis=1)
    correlations = np.corrcoef(lagged.T) - np.eye(8)
    assert np.abs(correlations).max() < 0.03


@pytest.mark.parametrize(("seed", "epoch"), [(4, 2), (3, 1)])
def test_another_seed_or_epoch_draws_other_numbers(seed: int, epoch: int) -> None:
    positions = np.arange(100)
    other = uniform_at(positions, 4, seed, epoch)
    assert not (uniform_at(positions, 4, 3, 2) == other).any()
