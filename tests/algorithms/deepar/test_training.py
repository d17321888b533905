"""How windows are shared out over the processes of a job, and jobs with little to learn from."""

import numpy as np
import pytest
import torch

from sm_dl.algorithms.deepar.artifact import load
from sm_dl.algorithms.deepar.batches import EpochBatches
from sm_dl.algorithms.deepar.training import build_network, fit, read_panel
from sm_dl.algorithms.deepar.windows import Windows
from sm_dl.engine.place import Place
from sm_dl.job.job import Job
from sm_dl.job.paths import Paths

BATCH = 8
SEED_OF_AN_EMPTY_EPOCH = 5690
"""Its first epoch draws no window of one series with 397 forecast starts, in batches of one."""
SEED_OF_AN_UNOBSERVED_EPOCH = 6
"""Its first epoch draws windows of the first 690 of 1000 steps only."""
FIELDS = Windows._fields


def records(count=5, length=80):
    random = np.random.default_rng(0)
    return [
        {"start": "2020-01-01", "target": random.uniform(1, 9, length).round(3).tolist()}
        for _ in range(count)
    ]


@pytest.fixture
def settings(make_hyperparameters):
    """Return a maker of the hyperparameters of a tiny job."""

    def make(**changes):
        small = {"mini_batch_size": BATCH, "num_cells": 4, "num_layers": 1, "epochs": 2}
        return make_hyperparameters(**(small | changes))

    return make


@pytest.fixture
def batches(make_channel, settings):
    """Return the maker of the batches of any epoch."""
    hyperparameters = settings()
    panel, schema = read_panel(make_channel(records()), hyperparameters)
    return EpochBatches(panel, schema, hyperparameters)


@pytest.fixture
def train(make_channel, settings, tmp_path):
    """Return a way to run a whole job; the folder of its model comes back."""

    def run(given, **hyperparameters):
        paths = Paths(tmp_path / "job")
        channels = {"train": make_channel(given)}
        fit(Job("deepar", settings(**hyperparameters), channels, paths))
        return paths.model

    return run


def sizes(batches, **place):
    return [len(windows.cat_BC) for windows in batches(Place(**place))]


def test_no_batch_is_larger_than_asked_for_but_the_last_one_smaller(batches):
    counted = sizes(batches, epoch=0)
    assert set(counted[:-1]) == {BATCH}


@pytest.mark.parametrize("epoch", range(4))
def test_the_last_partial_batch_is_used(batches, epoch):
    assert 0 < sizes(batches, epoch=epoch)[-1] <= BATCH


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("world_size", [2, 3])
def test_the_parts_of_all_ranks_are_the_batch(batches, world_size, field):
    dimension = 0 if field == "cat_BC" else 1
    parts = [
        list(batches(Place(epoch=0, rank=rank, world_size=world_size)))
        for rank in range(world_size)
    ]
    whole = next(iter(batches(Place(epoch=0))))
    rank_of = torch.arange(BATCH) % world_size
    shared_out = torch.empty_like(getattr(whole, field))
    for rank in range(world_size):
        positions = (rank_of == rank).nonzero()[:, 0]
        shared_out.index_copy_(dimension, positions, getattr(parts[rank][0], field))
    assert torch.equal(shared_out, getattr(whole, field))


@pytest.mark.parametrize("world_size", [2, 5, 16])
def test_every_rank_has_as_many_batches(batches, world_size):
    counts = {
        len(sizes(batches, epoch=1, rank=rank, world_size=world_size)) for rank in range(world_size)
    }
    assert len(counts) == 1


@pytest.mark.parametrize("first", [0, BATCH, 3 * BATCH])
def test_an_epoch_can_be_gone_on_with_from_any_batch(batches, first):
    whole, rest = (
        [one.target_SB for one in batches(Place(epoch=1, first_record=record))]
        for record in (0, first)
    )
    skipped = whole[first // BATCH :]
    assert all(torch.equal(one, two) for one, two in zip(skipped, rest, strict=True))


def test_two_ranks_go_on_where_one_has_stopped(batches):
    first = 2 * BATCH
    whole = list(batches(Place(epoch=1)))[2]
    halves = [
        next(iter(batches(Place(epoch=1, first_record=first, rank=rank, world_size=2))))
        for rank in range(2)
    ]
    assert [len(half.cat_BC) for half in halves] == [BATCH // 2] * 2
    assert torch.equal(halves[1].target_SB, whole.target_SB[:, 1::2])


def test_a_rank_without_a_window_observes_nothing(make_channel, settings):
    hyperparameters = settings(mini_batch_size=2)
    panel, schema = read_panel(make_channel(records()), hyperparameters)
    batches = EpochBatches(panel, schema, hyperparameters)
    idle = next(iter(batches(Place(epoch=0, rank=2, world_size=3))))
    assert idle.observed_SB.sum() == 0


def test_every_start_that_leaves_room_for_a_forecast_can_be_drawn(make_channel, settings):
    hyperparameters = settings(prediction_length=4)
    panel, schema = read_panel(make_channel(records(3, 100) + records(1, 4)), hyperparameters)
    starts = EpochBatches(panel, schema, hyperparameters).num_starts
    assert starts.tolist() == [97, 97, 97, 1]


def test_an_epoch_can_be_repeated(batches):
    first, again = ([one.target_SB for one in batches(Place(epoch=3))] for _ in range(2))
    assert all(torch.equal(one, two) for one, two in zip(first, again, strict=True))


def test_another_epoch_has_other_windows(batches):
    first, other = (next(iter(batches(Place(epoch=epoch)))) for epoch in (3, 4))
    assert not torch.equal(first.target_SB, other.target_SB)


def test_windows_reach_back_to_the_longest_lag_that_is_used(make_channel, settings):
    hyperparameters = settings()
    panel, schema = read_panel(make_channel(records()), hyperparameters)
    windows = next(iter(EpochBatches(panel, schema, hyperparameters)(Place(epoch=0))))
    assert len(windows.target_SB) == schema.lags[-1] + windows.num_steps


def test_the_seed_decides_the_first_weights(make_schema, settings):
    with torch.random.fork_rng(devices=[]):
        one, same = (build_network(settings(seed=3), make_schema()) for _ in range(2))
    assert all(torch.equal(*pair) for pair in zip(one.parameters(), same.parameters(), strict=True))


def test_another_seed_gives_other_first_weights(make_schema, settings):
    with torch.random.fork_rng(devices=[]):
        one, other = (build_network(settings(seed=seed), make_schema()) for seed in (3, 4))
    assert not torch.equal(one.output.weight, other.output.weight)


@pytest.mark.parametrize("likelihood", ["student-T", "gaussian", "deterministic-L1"])
def test_a_job_leaves_a_model_that_forecasts(train, make_series, likelihood):
    predictor = load(train(records(), likelihood=likelihood))
    paths = predictor.forecast([make_series([1.0, 2.0])], num_samples=3, num_steps=4, seed=0)
    assert np.isfinite(paths).all()


@pytest.mark.parametrize("seed", [1, SEED_OF_AN_UNOBSERVED_EPOCH])
def test_a_job_survives_windows_without_any_observed_point(train, seed):
    gappy = records(count=1, length=1000)
    gappy[0]["target"][:690] = [None] * 690
    assert load(train(gappy, mini_batch_size=1, seed=seed))


def test_a_job_survives_an_epoch_without_any_window(train):
    given = records(count=1, length=400)
    assert load(train(given, mini_batch_size=1, seed=SEED_OF_AN_EMPTY_EPOCH))
