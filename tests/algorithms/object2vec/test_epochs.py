"""What an epoch is: each pair once, its negatives, and lengths that stand together."""

import numpy as np
import pytest

from sm_dl.algorithms.object2vec.data import Pairs
from sm_dl.algorithms.object2vec.epochs import by_length, draw_epoch
from tests.algorithms.object2vec.conftest import random_rows

NUM = 300
PAIRS = Pairs(random_rows(NUM, 1), random_rows(NUM, 2), np.ones(NUM))


def drawn(rate=0, width=0, seed=0, epoch=0, pairs=PAIRS):
    return draw_epoch(pairs, rate=rate, bucket_width=width, batch_size=16, seed=seed, epoch=epoch)


@pytest.mark.parametrize("width", [0, 3])
def test_each_pair_is_there_once(width):
    epoch = drawn(width=width)
    assert sorted(epoch.rows0) == list(range(NUM))
    assert (epoch.rows0 == epoch.rows1).all()


@pytest.mark.parametrize("width", [0, 3])
@pytest.mark.parametrize("rate", [1, 4])
def test_each_pair_has_so_many_negatives_with_other_rows(rate, width):
    epoch = drawn(rate, width)
    is_own = epoch.rows0 == epoch.rows1
    assert (np.bincount(epoch.rows0[~is_own], minlength=NUM) == rate).all()
    assert sorted(epoch.rows0[is_own]) == list(range(NUM))
    assert epoch.labels.tolist() == is_own.astype(float).tolist()


def test_every_other_row_is_drawn_equally_often():
    few = Pairs(random_rows(4), random_rows(4), np.ones(4))
    counts = np.zeros((4, 4))
    for epoch in range(300):
        one = drawn(5, epoch=epoch, pairs=few)
        np.add.at(counts, (one.rows0, one.rows1), 1)
    off = counts[~np.eye(4, dtype=bool)]
    assert abs(off / 500 - 1).max() < 0.15


def test_negatives_and_order_are_new_in_each_epoch_and_with_each_seed():
    orders = {
        tuple(drawn(2, seed=seed, epoch=epoch).rows1) for seed in (0, 1) for epoch in (0, 1, 2)
    }
    assert len(orders) == 6


def test_an_epoch_follows_from_seed_and_number_alone():
    assert (drawn(3, 2, 5, 7).rows1 == drawn(3, 2, 5, 7).rows1).all()


def test_buckets_leave_less_to_pad():
    def padding(epoch):
        total = 0
        for first in range(0, NUM, 16):
            for rows, side in ((epoch.rows0, PAIRS.in0), (epoch.rows1, PAIRS.in1)):
                lengths = side.lengths[rows[first : first + 16]]
                total += (lengths.max() - lengths).sum()
        return total

    assert padding(drawn(width=2)) < 0.6 * padding(drawn())


def test_bucketed_batches_come_in_random_order():
    first_lengths = {
        int(PAIRS.in0.lengths[drawn(width=2, epoch=epoch).rows0[0]]) for epoch in range(12)
    }
    assert len(first_lengths) > 3


def test_scored_pairs_stand_by_length_each_once():
    epoch = by_length(PAIRS)
    assert sorted(epoch.rows0) == list(range(NUM))
    assert (np.diff(PAIRS.in0.lengths[epoch.rows0]) >= 0).all()
