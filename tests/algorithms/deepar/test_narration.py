"""DeepAR's lines: when they come, and what they say."""

import pytest

from sm_dl.algorithms.deepar import ALGORITHM
from sm_dl.algorithms.deepar.narration import DeepARNarrator
from sm_dl.contract.metrics import MetricLog
from sm_dl.engine.losses import Running
from sm_dl.engine.narration import EpochSummary


@pytest.fixture
def narrator():
    return DeepARNarrator(MetricLog(ALGORITHM.metrics, "algo-1"))


def running(total, count):
    sums = Running()
    sums.add([total, count, count], ())
    return sums


def said(log):
    return [record.getMessage() for record in log.records]


def test_a_running_loss_is_printed_at_every_fifth_batch(narrator, log):
    for batch in range(12):
        narrator.batch_ends(0, batch, running(3.0, 2.0))
    assert said(log) == [
        f"#quality_metric: host=algo-1, epoch=0, batch={batch} train loss <loss>=1.5"
        for batch in (0, 5, 10)
    ]


def test_nothing_is_printed_before_anything_is_observed(narrator, log):
    narrator.batch_ends(0, 0, running(0.0, 0.0))
    assert not said(log)


def test_an_epoch_ends_with_its_losses_the_progress_and_the_speed(narrator, log):
    narrator.epoch_ends(
        EpochSummary(1, 4, 10, 640, 2.0, 320.0, {"loss": 1.5}, {"loss": 2.5}, is_kept=True)
    )
    assert said(log) == [
        "#quality_metric: host=algo-1, epoch=1, train loss <loss>=1.5",
        "#progress_metric: host=algo-1, completed 50.0 % of epochs",
        "#throughput_metric: host=algo-1, train throughput=320.0 records/second",
        "#quality_metric: host=algo-1, epoch=1, validation loss <loss>=2.5",
    ]
