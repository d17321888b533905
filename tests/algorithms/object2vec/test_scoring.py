"""Scores of a test channel against scores computed pair by pair."""

import numpy as np
import pytest

from sm_dl.algorithms.object2vec import ALGORITHM
from sm_dl.algorithms.object2vec.data import Pairs
from sm_dl.algorithms.object2vec.predictor import Object2VecPredictor
from sm_dl.algorithms.object2vec.scoring import pearson, score
from sm_dl.contract.metrics import MetricLog
from tests.algorithms.object2vec.conftest import network_of, random_rows

NUM = 45
LABELS = np.random.default_rng(0).integers(0, 3, NUM).astype(float)
TEST = Pairs(random_rows(NUM, 1), random_rows(NUM, 2), LABELS)
LOG = MetricLog(ALGORITHM.metrics, "algo-1")


@pytest.mark.parametrize("batch_size", [7, 512])
def test_classes_are_scored_each_pair_once(batch_size, log):
    predictor = Object2VecPredictor(network_of(), environment={})
    tested = score(predictor, TEST, TEST, LOG, batch_size)
    probabilities = predictor.scores(TEST.in0, TEST.in1)
    chosen = probabilities[np.arange(NUM), LABELS.astype(int)]
    accuracy = float((probabilities.argmax(1) == LABELS).mean())
    assert tested.metrics["accuracy"] == pytest.approx(accuracy)
    assert tested.metrics["cross_entropy"] == pytest.approx(-np.log(chosen).mean(), rel=1e-5)
    assert f"#test_score (algo-1) : ('accuracy', {tested.metrics['accuracy']})" in log.text
    assert (
        f"#quality_metric: host=algo-1, test accuracy <score>={tested.metrics['accuracy']}"
        in log.text
    )


def test_a_regression_is_scored_by_squared_error_and_correlation():
    predictor = Object2VecPredictor(network_of(num_outputs=1), environment={})
    tested = score(predictor, TEST, TEST, LOG)
    scores = predictor.scores(TEST.in0, TEST.in1)[:, 0].astype(float)
    assert tested.metrics["mean_squared_error"] == pytest.approx(
        ((scores - LABELS) ** 2).mean(), rel=1e-5
    )
    assert tested.metrics["Pearson correlation"] == pytest.approx(
        np.corrcoef(scores, LABELS)[0, 1], rel=1e-4
    )
    assert tested.naive["mean_squared_error"] == pytest.approx(LABELS.var())


def test_the_naive_answer_is_the_commonest_class_of_training():
    train = Pairs(TEST.in0, TEST.in1, np.full(NUM, 2.0))
    predictor = Object2VecPredictor(network_of(), environment={})
    assert score(predictor, TEST, train, LOG).naive == {"accuracy": float((LABELS == 2).mean())}


def test_a_constant_has_no_correlation():
    assert np.isnan(pearson(np.ones(3), np.arange(3.0)))
