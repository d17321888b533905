"""Whole jobs: what they leave, what they say, and that they learn whose network is whose."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file

from sm_dl.algorithms.ip_insights import training
from sm_dl.algorithms.ip_insights.artifact import load
from sm_dl.algorithms.ip_insights.training import fit
from sm_dl.engine import strategy
from sm_dl.engine.strategy import Hardware
from sm_dl.errors import UserError
from sm_dl.job.job import ChannelSource, Job
from sm_dl.job.paths import Paths
from tests.small_job import small_job

SMALL = small_job("ip_insights")


@pytest.fixture(scope="module")
def channels(tmp_path_factory):
    """Return the channels of the small job."""
    written = SMALL.write_channels(tmp_path_factory.mktemp("channels"))
    return {name: ChannelSource(name, path) for name, path in written.items()}


@pytest.fixture
def train(channels, make_hyperparameters, tmp_path):
    """Return a way to run the small job with other channels and hyperparameters."""

    def run(without=(), paths=None, **changes) -> Paths:
        paths = paths or Paths(tmp_path / "job")
        hyperparameters = make_hyperparameters(**{**SMALL.hyperparameters, **changes})
        given = {name: source for name, source in channels.items() if name not in without}
        fit(Job("ip_insights", hyperparameters, given, paths))
        return paths

    return run


def scored(paths: Paths) -> dict:
    return json.loads((paths.extras / "scores.json").read_text())


def report(paths: Paths) -> dict:
    return json.loads((paths.report / "report.json").read_text())


@pytest.mark.parametrize(
    ("hardware", "precision"),
    [
        (Hardware(0, has_bf16=True), "bf16-mixed"),
        (Hardware(0, has_bf16=False), "32-true"),
        (Hardware(1, has_bf16=True), "32-true"),
    ],
)
def test_precision_auto_is_bfloat16_where_that_was_measured(
    channels, make_hyperparameters, monkeypatch, tmp_path, hardware, precision
):
    monkeypatch.setattr(training, "hardware", lambda: hardware)
    monkeypatch.setattr(strategy, "hardware", lambda: hardware)
    job = Job("ip_insights", make_hyperparameters(), channels, Paths(tmp_path))
    layout = training.layout_of(job)
    assert (layout.accelerator == "cuda", layout.precision) == (hardware.num_gpus > 0, precision)


def test_a_job_of_one_channel_leaves_a_model_and_a_page_without_scores(train):
    paths = train(without=("validation", "test"), epochs=1)
    assert load(paths.model).network.shape.vector_dim == 4
    assert not (paths.extras / "scores.json").exists()
    assert [figure["title"] for figure in report(paths)["figures"]] == ["Training loss"]


def test_scores_of_channels_are_left_for_choosing_a_threshold(train):
    found = scored(train(epochs=1))
    assert set(found) == {"validation", "test"}
    validation = found["validation"]
    assert sum(validation["histogram"]["observed"]) == validation["pairs"] == 200
    assert list(validation["quantiles"].values()) == sorted(validation["quantiles"].values())


def test_the_page_names_the_least_likely_pairs(train):
    figures = {one["title"]: one for one in report(train(epochs=1))["figures"]}
    rows = figures["Least likely pairs of the validation channel"]["rows"]
    entities, addresses, scores, places = zip(*rows, strict=True)
    assert list(scores) == sorted(scores)
    assert all(re.fullmatch(r"validation/events\.csv line \d+", place) for place in places)
    assert all(address.count(".") == 3 for address in addresses)
    assert all(entity.startswith(("user_", "Zoë")) for entity in entities)


@pytest.mark.parametrize("rates", [(1, 0), (0, 1), (3, 2)])
def test_any_mix_of_negatives_can_be_trained_on(train, rates):
    random, shuffled = rates
    paths = train(
        epochs=1, random_negative_sampling_rate=random, shuffled_negative_sampling_rate=shuffled
    )
    assert load(paths.model).entities.shape == (40,)


def test_the_lines_of_the_service_come_at_batch_0_and_every_so_many(train, log):
    train(epochs=1, batch_metrics_publish_interval=12)
    lines = [record.getMessage() for record in log.records]
    batches = [line for line in lines if line.startswith("Epoch[0] Batch")]
    assert [re.search(r"Batch \[(\d+)\]", line)[1] for line in batches] == ["0", "12", "24"]
    assert re.fullmatch(
        r"Epoch\[0\] Batch \[0\]\tSpeed: \d+\.\d\d samples/sec"
        r"\tbinary_classification_accuracy=0\.\d{6}"
        r"\tbinary_classification_cross_entropy=\d\.\d{6}",
        batches[0],
    )


def test_the_rows_and_pairs_behind_a_batch_are_told(train, log):
    train(epochs=1)
    assert "a batch holds 40 of the 1200 observed pairs" in log.text
    assert "Twice their number is advised" not in log.text


def test_a_table_too_small_for_its_entities_is_warned_of(train, log):
    train(epochs=1, num_entity_vectors=60)
    assert "num_entity_vectors=60 for 40 entities" in log.text


def test_bad_rows_end_up_on_the_page_when_they_are_allowed(train, channels, tmp_path):
    folder = tmp_path / "train"
    folder.mkdir()
    (folder / "a.csv").write_text("user_1,1.2.3.4\nuser_1,::1\nuser_2,1.2.3.5\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(channels, "train", ChannelSource("train", folder))
        with pytest.raises(UserError, match=r"train/a\.csv line 2"):
            train(epochs=1)
        page = report(train(epochs=1, max_bad_records=1))
    assert page["figures"][-1]["title"] == "Records left out"
    assert page["figures"][-1]["rows"][0][0].startswith("train/a.csv line 2")


def test_bad_rows_of_a_scored_channel_are_left_out_and_told_of_once(train, channels, tmp_path, log):
    folder = tmp_path / "validation"
    folder.mkdir()
    bad = [f"user_2,bad{number}\n" for number in range(6)]  # more than good ones
    (folder / "a.csv").write_text("user_1,1.2.3.4\nuser_3\n" + "".join(bad) + "user_2,1.2.3.5\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(channels, "validation", ChannelSource("validation", folder))
        paths = train(epochs=1, max_bad_records=7)
    assert scored(paths)["validation"]["pairs"] == 2
    told = re.findall(r"left out: validation/a\.csv line (\d+)", log.text)
    assert sorted(map(int, told)) == [2, 3, 4, 5, 6, 7, 8]


def test_blanks_in_a_scored_channel_are_told_of_once(train, channels, tmp_path, log):
    folder = tmp_path / "validation"
    folder.mkdir()
    (folder / "a.csv").write_text("user_1, 1.2.3.4\nuser_2, 1.2.3.5\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(channels, "validation", ChannelSource("validation", folder))
        train(epochs=1)
    assert log.text.count("blanks around") == 1
    assert "channel validation: blanks around" in log.text


def test_a_job_without_a_test_channel_says_so(train, log):
    train(without=("test",), epochs=1)
    assert log.text.count("Test data is not provided.") == 1


def test_a_job_with_a_test_channel_does_not(train, log):
    train(epochs=1)
    assert "Test data is not provided." not in log.text


def test_a_sharded_channel_of_one_host_is_the_whole_channel(train, channels, tmp_path):
    whole = load_file(train(epochs=1).model / "weights.safetensors")
    with pytest.MonkeyPatch.context() as patch:
        sharded = replace(channels["train"], distribution="ShardedByS3Key")
        patch.setitem(channels, "train", sharded)
        paths = train(epochs=1, paths=Paths(tmp_path / "other"))
    other = load_file(paths.model / "weights.safetensors")
    assert all(np.array_equal(other[name], tensor) for name, tensor in whole.items())


@pytest.mark.system
@pytest.mark.parametrize("seed", [0, 1])
def test_a_user_s_own_network_is_learnt(train, seed):
    # forty users, each in a /16 of its own: pairs of users and their networks score above random ones
    paths = train(epochs=8, vector_dim=16, learning_rate=0.02, seed=seed)
    assert scored(paths)["test"]["discriminator_auc"] > 0.99


@pytest.mark.system
def test_two_processes_train_the_model_of_one(tmp_path):
    # without shuffled negatives, which are drawn within each process's share, both see the same pairs
    folder = tmp_path / "ip_insights"
    folder.mkdir()
    job = replace(
        SMALL,
        hyperparameters={
            **SMALL.hyperparameters,
            "shuffled_negative_sampling_rate": 0,
            "epochs": 2,
        },
    )
    config = job.write_yaml(folder, tmp_path / "unused")
    weights = []
    for devices in (1, 2):
        command = [sys.executable, "-m", "sm_dl", "train", "--config", str(config)]
        for setting in (
            f"output={tmp_path}/{devices}", f"resources.devices={devices}",
            "resources.precision=32-true",  # bfloat16 would round gradients of parts of a batch
        ):  # fmt: skip
            command += ["--set", setting]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        weights.append(load_file(tmp_path / str(devices) / "model" / "weights.safetensors"))
    one, two = weights
    for name, tensor in one.items():
        np.testing.assert_allclose(two[name], tensor, atol=2e-3, err_msg=name)


def test_scores_that_cannot_be_written_do_not_cost_the_job(train, tmp_path):
    paths = Paths(tmp_path / "job")
    (paths.extras / "scores.json").mkdir(parents=True)
    train(epochs=1, paths=paths)
    assert report(paths)["scores"]
