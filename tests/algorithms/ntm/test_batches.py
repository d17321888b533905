"""Who sees which document: each once an epoch, on any number of processes and machines."""

import numpy as np
import pytest
import torch

from sm_dl.algorithms.ntm import batches
from sm_dl.algorithms.ntm.batches import AllBatches, EpochBatches
from sm_dl.algorithms.ntm.documents import documents_from
from sm_dl.engine.place import Place

COUNT = 53


def documents(count=COUNT, first=0):
    """Return documents of one word each, whose id is the document's number."""
    return documents_from(
        np.arange(first, first + count), np.ones(count), np.ones(count, int), 1000
    )


def epoch_batches(count=COUNT, first=0, **changes):
    settings = {
        "batch_size": 8, "sub_sample": 1.0, "seed": 3, "num_hosts": 1, "is_sharded": False,
    } | changes  # fmt: skip
    return EpochBatches(documents(count, first), **settings)


def seen(parts):
    return [part.words_W.tolist() for part in parts]


def flat(parts):
    return [document for part in parts for document in part]


def steps_of(make, world_size, epoch=0, first_record=0):
    """Return the documents of each step of all ranks together, and their number at each rank."""
    ranks = [
        seen(make(rank)(Place(epoch, first_record, rank, world_size))) for rank in range(world_size)
    ]
    assert len({len(steps) for steps in ranks}) == 1, "ranks take different numbers of steps"
    return [sorted(flat(parts)) for parts in zip(*ranks, strict=True)]


@pytest.mark.parametrize("world_size", [1, 2, 3, 5])
def test_the_processes_of_a_machine_share_the_batches_of_one(world_size):
    alone = steps_of(lambda _: epoch_batches(), 1)
    assert steps_of(lambda _: epoch_batches(), world_size) == alone
    assert sorted(flat(alone)) == list(range(COUNT))
    assert [len(step) for step in alone] == [8] * 6 + [5]


def test_several_machines_bring_a_batch_each():
    steps = steps_of(lambda _: epoch_batches(num_hosts=2), 4)
    assert ([len(step) for step in steps], sorted(flat(steps))) == (
        [16, 16, 16, 5],
        list(range(COUNT)),
    )


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = [
        flat(seen(epoch_batches(seed=seed)(Place(epoch))))
        for epoch, seed in ((0, 3), (1, 3), (0, 4))
    ]
    assert len({tuple(order) for order in orders}) == 3


@pytest.mark.parametrize("done", range(0, COUNT, 8))
def test_an_epoch_is_gone_on_with_at_any_batch(done):
    whole = seen(epoch_batches()(Place(2)))
    assert seen(epoch_batches()(Place(2, done))) == whole[done // 8 :]


@pytest.mark.parametrize(("share", "count"), [(0.5, 26), (0.001, 1), (1.0, COUNT)])
def test_an_epoch_draws_a_fresh_share(share, count):
    first, second = (flat(seen(epoch_batches(sub_sample=share)(Place(epoch)))) for epoch in (0, 1))
    assert (len(first), len(set(first))) == (count, count)
    assert first != second


def test_a_process_without_documents_takes_part_with_an_empty_batch():
    parts = list(epoch_batches(count=1)(Place(0, 0, 1, 2)))
    assert [part.num_documents for part in parts] == [0]
    assert parts[0].starts_B.tolist() == [0]


SHARDS = (20, 9, 0)


@pytest.fixture
def sharded(monkeypatch):
    """Return a maker of each rank's batches, of machines with two processes and shards of their own."""
    numbers = [count for count in SHARDS for _ in range(2)]
    monkeypatch.setattr(batches, "numbers_of_all", lambda _own, _device: numbers)

    def make(rank):
        host = rank // 2
        return epoch_batches(SHARDS[host], sum(SHARDS[:host]), num_hosts=3, is_sharded=True)

    return make


def test_shards_are_seen_whole_and_once_however_unequal(sharded):
    steps = steps_of(sharded, 6)
    assert [len(step) for step in steps] == [16, 9, 4]
    assert sorted(flat(steps)) == list(range(29))


def test_an_epoch_over_shards_is_gone_on_with_at_any_batch(sharded):
    whole = steps_of(sharded, 6, epoch=1)
    for step, done in enumerate((0, 16, 25, 29)):
        assert steps_of(sharded, 6, epoch=1, first_record=done) == whole[step:]


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_scoring_takes_every_document_in_order_also_the_last_few(world_size):
    steps = steps_of(lambda _: AllBatches(documents(), batch_size=8), world_size, epoch=4)
    assert flat(steps) == list(range(COUNT))


def test_batches_are_on_the_device_of_the_place():
    (part, *_) = epoch_batches()(Place(0, device=torch.device("cpu")))
    assert part.counts_W.device.type == "cpu"
