"""The best epoch is kept, and training stops by the service's rule."""

import pytest

from sm_dl.algorithms.image_classification.stopping import BestAccuracy


def _kept(rule: BestAccuracy, accuracies: list[float]) -> list[int]:
    return [epoch for epoch, value in enumerate(accuracies) if rule.judge(epoch, value)]


def _epochs_run(rule: BestAccuracy, accuracies: list[float]) -> int:
    for epoch, value in enumerate(accuracies):
        rule.judge(epoch, value)
        if rule.is_over(epoch):
            return epoch + 1
    return len(accuracies)


def test_a_better_epoch_is_kept_and_of_equal_ones_the_first(settings) -> None:
    assert _kept(BestAccuracy(settings()), [0.0, 0.5, 0.5, 0.4, 0.6]) == [0, 1, 4]


def test_a_frequency_of_snapshots_has_no_say_in_what_is_best(settings) -> None:
    rule = BestAccuracy(settings(checkpoint_frequency=2, epochs=5))
    assert _kept(rule, [0.2, 0.1, 0.9, 0.2, 0.3]) == [0, 2]


def test_without_early_stopping_all_epochs_are_run(settings) -> None:
    assert _epochs_run(BestAccuracy(settings(early_stopping=False)), [0.5] * 30) == 30


@pytest.mark.parametrize(
    ("min_epochs", "patience", "expected"), [(1, 3, 4), (10, 3, 10), (1, 1, 2), (6, 5, 6)]
)
def test_training_stops_after_patience_but_not_before_the_least(
    settings, min_epochs: int, patience: int, expected: int
) -> None:
    rule = BestAccuracy(
        settings(
            early_stopping=True,
            early_stopping_min_epochs=min_epochs,
            early_stopping_patience=patience,
        )
    )
    assert _epochs_run(rule, [0.5] * 30) == expected


@pytest.mark.parametrize(("tolerance", "expected"), [(0.0, 30), (0.05, 3)])
def test_a_gain_below_the_tolerance_is_no_improvement(
    settings, tolerance: float, expected: int
) -> None:
    rule = BestAccuracy(
        settings(
            early_stopping=True, early_stopping_min_epochs=1, early_stopping_patience=2,
            early_stopping_tolerance=tolerance,
        )
    )  # fmt: skip
    # each epoch gains 1 % on the one before: never 5 % on the best in two epochs
    assert _epochs_run(rule, [0.1 * 1.01**epoch for epoch in range(30)]) == expected


def test_small_gains_that_add_up_are_an_improvement(settings) -> None:
    rule = BestAccuracy(
        settings(
            early_stopping=True, early_stopping_min_epochs=1, early_stopping_patience=8,
            early_stopping_tolerance=0.05,
        )
    )  # fmt: skip
    assert _epochs_run(rule, [0.1 * 1.01**epoch for epoch in range(30)]) == 30


def test_a_rule_goes_on_from_a_checkpoint(settings) -> None:
    changes = {"early_stopping": True, "early_stopping_min_epochs": 1, "early_stopping_patience": 3}
    whole, first, second = (BestAccuracy(settings(**changes)) for _ in range(3))
    accuracies = [0.2, 0.5, 0.4, 0.5, 0.3, 0.6]
    expected = [(whole.judge(e, v), whole.is_over(e)) for e, v in enumerate(accuracies)]
    for epoch in range(3):
        first.judge(epoch, accuracies[epoch])
    second.load_state_dict(first.state_dict())
    found = [(second.judge(e, accuracies[e]), second.is_over(e)) for e in range(3, 6)]
    assert found == expected[3:]
