"""The lines are the service's, to the letter."""

from pathlib import Path

import pytest

from sm_dl.algorithms.image_classification import ALGORITHM
from sm_dl.algorithms.image_classification.narration import ImageClassificationNarrator
from sm_dl.contract.metrics import MetricLog
from sm_dl.engine.losses import Running
from sm_dl.engine.narration import EpochSummary


class _Running(Running):
    """An epoch under way at a steady speed."""

    records_per_second = 115.876

    def means(self) -> dict[str, float]:
        return {"loss": 2.0, "accuracy": 0.004464, "top_k_accuracy_2": 0.011161}


@pytest.fixture
def narrator(caplog):
    caplog.set_level("INFO")

    def build(
        every: int | None = None, *, has_validation: bool = True
    ) -> ImageClassificationNarrator:
        log = MetricLog(ALGORITHM.metrics, "algo-1")
        snapshot = Path("/opt/ml/model/image-classification-0001.params")
        return ImageClassificationNarrator(
            log, lambda _epochs: snapshot, every, has_validation=has_validation
        )

    return build


def _summary(epoch: int = 0, *, is_kept: bool = True, validation: float | None = 0.056723):
    train = {"loss": 2.0, "accuracy": 0.025911, "top_k_accuracy_2": 0.042513}
    validated = {} if validation is None else {"loss": 2.0, "accuracy": validation}
    return EpochSummary(epoch, 5, 10, 320, 102.214, 3.1, train, validated, is_kept)


def test_a_line_is_due_at_every_twentieth_batch(narrator, caplog) -> None:
    teller = narrator()
    caplog.clear()
    for batch in range(61):
        teller.batch_ends(0, batch, _Running())
    figures = "\tSpeed: 115.876 samples/sec\taccuracy=0.004464\ttop_k_accuracy_2=0.011161"
    assert caplog.messages == [f"Epoch[0] Batch [{batch}]{figures}" for batch in (20, 40, 60)]


def test_an_epoch_has_the_service_s_lines(narrator, caplog) -> None:
    narrator().epoch_ends(_summary())
    assert caplog.messages == [
        "checkpoint_frequency not set, will store the best model",
        "Epoch[0] Train-accuracy=0.025911",
        "Epoch[0] Train-top_k_accuracy_2=0.042513",
        "Epoch[0] Train-loss=2.000000",
        "Epoch[0] Time cost=102.214",
        "Epoch[0] Validation-accuracy=0.056723",
        "Storing the best model with validation accuracy: 0.056723",
    ]


@pytest.mark.parametrize("summary", [_summary(is_kept=False), _summary(validation=None)])
def test_only_a_best_epoch_is_stored(narrator, caplog, summary) -> None:
    narrator().epoch_ends(summary)
    assert "Storing" not in caplog.text


def test_with_a_frequency_its_epochs_are_saved(narrator, caplog) -> None:
    for epoch in range(4):
        narrator(every=2).epoch_ends(_summary(epoch))
    saved = [line for line in caplog.messages if "checkpoint" in line]
    assert saved == ['Saved checkpoint to "/opt/ml/model/image-classification-0001.params"'] * 2
    assert "Storing" not in caplog.text


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        ("train:accuracy", "Epoch[3] Train-accuracy=0.5"),
        ("validation:accuracy", "Epoch[3] Validation-accuracy=0.5"),
    ],
)
def test_registered_patterns_find_the_service_s_own_lines(pattern: str, line: str) -> None:
    import re  # noqa: PLC0415

    (metric,) = (one for one in ALGORITHM.metrics if one.name == pattern)
    assert re.search(metric.regex, f"[06/09/2021 10:00:00 INFO 1] {line}")[1] == "0.5"


def test_without_validation_there_is_no_best_model_to_promise(narrator, caplog) -> None:
    narrator(has_validation=False)
    assert caplog.messages == ["checkpoint_frequency not set, will store the last model"]
