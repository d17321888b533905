"""A job's own decisions: when negatives may be drawn, how a network starts."""

import json

import numpy as np
import pytest
import torch

from sm_dl.algorithms.object2vec.artifact import load
from sm_dl.algorithms.object2vec.data import Pairs
from sm_dl.algorithms.object2vec.records import MAX_SCORE
from sm_dl.algorithms.object2vec.sides import sides_of
from sm_dl.algorithms.object2vec.training import (
    build_network,
    check_negative_sampling,
    fit,
    load_pretrained,
    planned,
)
from sm_dl.algorithms.object2vec.words import Words
from sm_dl.engine import strategy
from sm_dl.engine.strategy import Hardware
from sm_dl.errors import UserError
from sm_dl.job.job import ChannelSource, Job, Resources
from sm_dl.job.paths import Paths
from tests.algorithms.object2vec.conftest import (
    LENGTH,
    VOCABULARY,
    hyperparameters_of,
    random_rows,
)

REGRESSION = {"output_layer": "mean_squared_error"}
TIED = {
    "tied_token_embedding_weight": True,
    "enc1_network": "pooled_embedding",
    "enc1_vocab_size": VOCABULARY,
    "enc1_max_seq_len": LENGTH,
    "enc1_token_embedding_dim": 8,
}


def pairs_of(*labels):
    return Pairs(random_rows(len(labels)), random_rows(len(labels), 1), np.array(labels, float))


def network_for(pairs=None, **given):
    hyperparameters = hyperparameters_of(**given)
    return build_network(hyperparameters, sides_of(hyperparameters), pairs or pairs_of(1, 0))


@pytest.mark.parametrize(
    ("labels", "given", "reason"),
    [
        ((1, 0), {}, "expected label 1 in all pairs of channel train; got label 0"),
        ((1, 2), {"num_classes": 3}, "got label 2"),
        ((1, 1), REGRESSION, "expected output_layer=softmax"),
        ((1,), {}, "expected at least two pairs to draw from; got 1"),
        ((1,), {"force_negative_sampling": True}, "expected at least two pairs"),
    ],
)
def test_negatives_are_refused_where_label_0_would_not_mean_what_it_should(labels, given, reason):
    with pytest.raises(UserError, match=r"^hyperparameter negative_sampling_rate: 2: ") as refusal:
        check_negative_sampling(
            hyperparameters_of(negative_sampling_rate=2, **given), pairs_of(*labels)
        )
    assert reason in str(refusal.value)


@pytest.mark.parametrize(
    ("labels", "given"),
    [
        ((1, 1), {}),
        ((1, 0), {"force_negative_sampling": True}),
        ((2, 3), {**REGRESSION, "force_negative_sampling": "true"}),
    ],
)
def test_negatives_are_drawn_where_they_make_sense_or_are_insisted_on(labels, given, log):
    check_negative_sampling(
        hyperparameters_of(negative_sampling_rate=2, **given), pairs_of(*labels)
    )
    assert "an epoch has 6 pairs" in log.text


@pytest.mark.parametrize(
    ("hardware", "given", "asked", "expected"),
    [
        (Hardware(0, has_bf16=True), {}, "auto", "bf16-mixed"),
        (Hardware(0, has_bf16=True), {}, "32-true", "32-true"),
        (Hardware(0, has_bf16=False), {}, "auto", "32-true"),
        (Hardware(0, has_bf16=True), {"enc0_network": "hcnn"}, "auto", "32-true"),
        (
            Hardware(0, has_bf16=True),
            {"enc1_network": "bilstm", "enc1_max_seq_len": 9, "enc1_vocab_size": 9},
            "auto",
            "32-true",
        ),
        (Hardware(1, has_bf16=True), {}, "auto", "32-true"),
        (Hardware(1, has_bf16=False), {}, "auto", "32-true"),
        (Hardware(1, has_bf16=True), {}, "bf16-mixed", "bf16-mixed"),
    ],
)
def test_products_are_rounded_where_that_was_measured(
    monkeypatch, tmp_path, hardware, given, asked, expected
):
    monkeypatch.setattr(strategy, "hardware", lambda: hardware)
    resources = Resources(precision=asked)
    job = Job("object2vec", hyperparameters_of(**given), {}, Paths(tmp_path), resources=resources)
    assert planned(job).precision == expected


def test_a_regression_starts_at_the_mean_label():
    assert network_for(pairs_of(2, 5), **REGRESSION).output.bias.tolist() == [3.5]


def test_the_seed_decides_the_weights():
    one, two, other = (network_for(seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(one[name].equal(two[name]) for name in one)
    assert not one["tables.0.weight"].equal(other["tables.0.weight"])


@pytest.mark.parametrize("is_frozen", [True, False])
def test_pretrained_vectors_are_put_in_and_frozen_where_asked(tmp_path, is_frozen):
    (tmp_path / "v.txt").write_text("a 1 2 3 4 5 6 7 8\n")
    (tmp_path / "w.json").write_text(json.dumps({"a": 3}))
    network = network_for(
        enc0_pretrained_embedding_file="v.txt",
        enc0_vocab_file="w.json",
        enc0_freeze_pretrained_embedding=is_frozen,
    )
    words = Words({"a": 3})
    load_pretrained(network, ChannelSource("auxiliary", tmp_path), (words, words))
    for table in network.tables:  # encoder 1 is like encoder 0, its vectors included
        assert table.weight[3].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
        assert table.weight.requires_grad is not is_frozen
    assert torch.isfinite(network.tables[0].weight).all()


@pytest.mark.parametrize("namers", [(0,), (1,), (0, 1)])
def test_one_table_for_both_encoders_takes_the_vectors_that_either_names(tmp_path, namers):
    (tmp_path / "v.txt").write_text("a 1 2 3 4 5 6 7 8\n")
    named = {
        f"enc{number}_{name}": value
        for number in namers
        for name, value in {
            "pretrained_embedding_file": "v.txt",
            "vocab_file": "w.json",
            "freeze_pretrained_embedding": True,
        }.items()
    }
    network = network_for(
        **TIED,
        **named,
    )
    words = [Words({"a": 3}) if number in namers else None for number in (0, 1)]
    load_pretrained(network, ChannelSource("auxiliary", tmp_path), (words[0], words[1]))
    (table,) = network.tables
    assert table.weight[3].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert not table.weight.requires_grad


def test_the_file_that_encoder_1_names_for_one_table_must_be_there(tmp_path):
    network = network_for(
        **TIED,
        enc1_pretrained_embedding_file="gone.txt",
        enc1_vocab_file="w.json",
    )
    with pytest.raises(UserError, match=r"enc1_pretrained_embedding_file: expected 'gone\.txt'"):
        load_pretrained(network, ChannelSource("auxiliary", tmp_path), (None, Words({"a": 3})))


def test_the_largest_scores_that_are_read_can_be_learnt(channel, tmp_path):
    records = [
        {"label": sign * MAX_SCORE, "in0": [number], "in1": [number]}
        for number in range(40)
        for sign in (1, -1)
    ]
    hyperparameters = hyperparameters_of(epochs=2, mini_batch_size=10_000, **REGRESSION)
    channels = {name: channel(*records, name=name) for name in ("train", "validation", "test")}
    paths = Paths(tmp_path / "job")
    fit(Job("object2vec", hyperparameters, channels, paths))
    assert load(paths.model) is not None
