"""Batches: gathered as the records say, shared out over ranks, gone on with anywhere."""

import numpy as np
import pytest
import torch

from sm_dl.algorithms.object2vec.batches import AllPairs, EpochBatches, RaggedTensors
from sm_dl.algorithms.object2vec.data import Pairs
from sm_dl.algorithms.object2vec.ragged import Ragged
from sm_dl.engine.place import Place
from tests.algorithms.object2vec.conftest import hyperparameters_of, random_rows

NUM = 45
PAIRS = Pairs(random_rows(NUM, 1), random_rows(NUM, 2), np.arange(NUM) % 2.0)


def batches(place, **given):
    return list(EpochBatches(PAIRS, hyperparameters_of(mini_batch_size=8, **given))(place))


def labels(parts):
    return torch.cat([part.label_B[part.weight_B > 0] for part in parts]).tolist()


@pytest.mark.parametrize(
    "rows", [random_rows(9), Ragged.of([[1], [2], [3]]), Ragged.of([[1, 2], [3, 4]])]
)
def test_rows_are_gathered_as_they_stand(rows):
    asked = torch.tensor([1, 0, 1])
    taken = RaggedTensors(rows).take(asked)
    parts = taken.tokens_N.split(taken.lengths_B.tolist())
    assert [part.tolist() for part in parts] == [rows[int(row)].tolist() for row in asked]


@pytest.mark.parametrize("given", [{}, {"bucket_width": 2}])
def test_a_run_may_go_on_at_any_batch(given):
    whole = batches(Place(3), **given)
    rest = batches(Place(3, first_record=16), **given)
    assert len(whole) == len(rest) + 2
    assert all(
        (a.in0.tokens_N == b.in0.tokens_N).all() for a, b in zip(whole[2:], rest, strict=True)
    )


@pytest.mark.parametrize("world_size", [2, 3, 8])
def test_ranks_have_as_many_batches_and_see_each_pair_once(world_size):
    parts = [batches(Place(0, rank=rank, world_size=world_size)) for rank in range(world_size)]
    assert len({len(part) for part in parts}) == 1
    assert sum(batch.records for part in parts for batch in part) == NUM
    together = sorted(label for part in parts for label in labels(part))
    assert together == sorted(PAIRS.labels.tolist())


def test_an_idle_rank_gets_a_pair_of_weight_0():
    last = batches(Place(0, rank=7, world_size=8))[-1]
    assert (last.records, last.weight_B.tolist()) == (0, [0.0])


def test_scored_pairs_come_once_each():
    parts = list(AllPairs(PAIRS, 8)(Place(0)))
    assert [part.records for part in parts] == [8, 8, 8, 8, 8, 5]
    assert sorted(labels(parts)) == sorted(PAIRS.labels.tolist())
