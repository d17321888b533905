"""The lines of the log, word for word, and the rule of early stopping as the service's log shows it."""

import pytest

from sm_dl.algorithms.object2vec import ALGORITHM
from sm_dl.algorithms.object2vec.narration import EarlyStopping, Object2VecNarrator
from sm_dl.contract.metrics import MetricLog
from sm_dl.engine.narration import EpochSummary

# validation cross-entropy of object2vec_document_embedding.ipynb, patience 2, tolerance 0.01
OBSERVED = [0.2085, 0.1976, 0.2025, 0.1813, 0.1969, 0.1930, 0.1977]


def told(losses, log, *, patience=2, tolerance=0.01, with_validation=True, accuracy=0.5):
    selection = EarlyStopping(patience, tolerance)
    narrator = Object2VecNarrator(MetricLog(ALGORITHM.metrics, "algo-1"), selection)
    log.clear()
    for epoch, loss in enumerate(losses):
        is_kept = selection.judge(epoch, loss)
        means = {"loss": loss} if accuracy is None else {"loss": loss, "accuracy": accuracy}
        narrator.epoch_ends(
            EpochSummary(
                epoch,
                20,
                9,
                90,
                1.0,
                90.0,
                {**means, "loss": 1.0},
                means if with_validation else {},
                is_kept,
            )
        )
        if selection.is_over(epoch):
            break
    return selection, [record.getMessage() for record in log.records]


def test_the_published_run_stops_where_it_stopped_and_keeps_what_it_kept(log):
    selection, lines = told(OBSERVED, log)
    assert selection.last_words() == "Best model based on epoch 3. Best loss: 0.1813"
    assert lines[-4:-2] == [
        "Early stopping criterion met! Stopping training at epoch: 6",
        "Early stop condition met. Stopping training.",
    ]


def test_bad_epochs_are_counted_and_forgotten_by_a_good_one(log):
    _, lines = told(OBSERVED, log)
    assert [line for line in lines if line.startswith(("patience", "Bad"))] == [
        "patience losses: [0.2085, 0.1976]",
        "Bad epoch: loss has not improved (enough). Bad count:1",
        "patience losses: [0.1976, 0.2025]",
        "patience losses: [0.2025, 0.1813]",
        "Bad epoch: loss has not improved (enough). Bad count:1",
        "patience losses: [0.1813, 0.1969]",
        "Bad epoch: loss has not improved (enough). Bad count:2",
        "patience losses: [0.1969, 0.193]",
        "Bad epoch: loss has not improved (enough). Bad count:3",
    ]


def test_classification_says_accuracy_and_cross_entropy_of_each_epoch(log):
    _, lines = told([0.0], log)
    assert lines == [
        "#quality_metric: host=algo-1, epoch=0, train accuracy <score>=0.5",
        "#quality_metric: host=algo-1, epoch=0, train cross_entropy <loss>=1.0",
        "#quality_metric: host=algo-1, epoch=0, train perplexity <loss>=2.718281828459045",
        "#quality_metric: host=algo-1, epoch=0, validation accuracy <score>=0.5",
        "#quality_metric: host=algo-1, epoch=0, validation cross_entropy <loss>=0.0",
        "#quality_metric: host=algo-1, epoch=0, validation perplexity <loss>=1.0",
        "#progress_metric: host=algo-1, completed 5.0 % of epochs",
        "#throughput_metric: host=algo-1, train throughput=90.0 records/second",
    ]


def test_regression_says_the_squared_error(log):
    _, lines = told([0.25], log, accuracy=None)
    assert lines[:2] == [
        "#quality_metric: host=algo-1, epoch=0, train mean_squared_error <loss>=1.0",
        "#quality_metric: host=algo-1, epoch=0, validation mean_squared_error <loss>=0.25",
    ]


def test_a_run_without_validation_is_silent_about_it(log):
    assert not [line for line in told([0.3], log, with_validation=False)[1] if "validation" in line]


@pytest.mark.parametrize(("drop", "is_over"), [(0.009, True), (0.011, False)])
def test_the_tolerance_is_an_absolute_difference(log, drop, is_over):
    losses = [10 - drop * epoch for epoch in range(8)]
    selection, _ = told(losses, log, patience=1)
    assert selection.is_over(7) is is_over
