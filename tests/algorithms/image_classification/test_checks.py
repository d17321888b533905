"""Settings that contradict each other are refused, both named; those without effect are told."""

import pytest

from sm_dl.algorithms.image_classification.checks import check_settings
from sm_dl.engine.strategy import Plan
from sm_dl.errors import UserError

ONE = Plan("cpu", 1, 1, "auto", "32-true")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"resize": 15},
            "resize: expected at least 16, the larger side of image_shape=3,12,16; got 15",
        ),
        ({"checkpoint_frequency": 31}, "checkpoint_frequency: expected at most epochs, 30; got 31"),
        (
            {"beta_1": 1, "optimizer": "adam"},
            "beta_1: expected a number below 1 for optimizer=adam.*; got 1",
        ),
        ({"use_weighted_loss": 1}, "use_weighted_loss: expected 0, or multi_label=1"),
        ({"top_k": 5}, "top_k: expected at most num_classes, 4; got 5"),
        ({"image_shape": "3,4,4"}, "image_shape: expected a side above 4 pixels for num_layers=20"),
        ({"image_shape": "3,8,8", "num_layers": 18}, "a side above 8 pixels for num_layers=18"),
    ],
)
def test_a_contradiction_is_refused(job, changes: dict, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        check_settings(job(**changes), ONE)


def test_each_process_needs_an_image_of_a_batch(job) -> None:
    with pytest.raises(UserError, match="this machine's 5 processes; got 4"):
        check_settings(job(mini_batch_size=4), Plan("cpu", 5, 1, "ddp", "32-true"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kv_store": "dist_async"}, "made synchronously"),
        ({"early_stopping": True}, "no validation channel"),
        ({"replace_output_layer": True}, "no model channel"),
        ({"top_k": 2, "multi_label": 1}, "top_k is ignored"),
        ({"image_shape": "3,32,32"}, "not what the service's guide suggests"),
        ({"num_layers": 18}, "not what the service's guide suggests"),
    ],
)
def test_what_has_no_effect_is_told(job, caplog, changes: dict, words: str) -> None:
    check_settings(job(**changes), ONE)
    assert words in caplog.text


@pytest.mark.parametrize(
    "changes",
    [
        {"resize": 16},
        {"beta_1": 1},
        {"beta_1": 0.999, "optimizer": "adam"},
        {"top_k": 4},
        {"checkpoint_frequency": 30},
        {"image_shape": "3,5,1"},
    ],
)
def test_edges_are_accepted(job, changes: dict) -> None:
    check_settings(job(**changes), ONE)
