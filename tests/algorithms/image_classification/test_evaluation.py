"""Scores by class are those of their definitions; the most confident mistakes are found."""

import numpy as np
import pytest
import torch

from sm_dl.algorithms.image_classification.batches import Batch
from sm_dl.algorithms.image_classification.evaluation import MOST_MISTAKES, evaluate
from sm_dl.algorithms.image_classification.facts import ModelFacts
from sm_dl.algorithms.image_classification.summary import (
    MOST_ROWS,
    _judgement,
    name_of,
    scores_by_class,
)
from sm_dl.contract.figures import Matrix, Pictures, Table


class _Predictor:
    """Says what it was told for the image of a number, which the first two channels hold."""

    device = torch.device("cpu")

    def __init__(self, facts: ModelFacts, said_NK: torch.Tensor) -> None:
        self.facts, self.said_NK = facts, said_NK

    def probabilities(self, images_BCHW: torch.Tensor) -> torch.Tensor:
        digits_B2 = images_BCHW[:, :2, 0, 0].long()
        return self.said_NK[digits_B2[:, 0] + 256 * digits_B2[:, 1]]


def _evaluated(said, labels, *, weights=None, is_multi: bool = False, batch_size: int = 7):
    said, labels = torch.tensor(said), torch.tensor(labels)
    numbers = torch.arange(len(said))
    digits = torch.stack([numbers % 256, numbers // 256, numbers * 0], 1).to(torch.uint8)
    images = digits[:, :, None, None].expand(-1, -1, 2, 2)
    weights = torch.ones(len(said)) if weights is None else torch.tensor(weights)
    facts = ModelFacts(20, (3, 12, 16), said.shape[1], is_multi_label=is_multi)

    def batches(_place):
        for begin in range(0, len(said), batch_size):
            part = slice(begin, begin + batch_size)
            yield Batch(images[part], labels[part], weights[part])

    return evaluate(_Predictor(facts, said), batches)


def _random(count: int = 50, classes: int = 4):
    random = np.random.default_rng(3)
    said = random.dirichlet(np.ones(classes), count)
    return said.round(2).tolist(), random.integers(0, classes, count).tolist()


def test_scores_are_those_of_the_definitions() -> None:
    said, labels = _random()
    judged = _evaluated(said, labels)
    predicted, true = np.argmax(np.array(said, np.float32), 1), np.array(labels)
    assert judged.accuracy == pytest.approx((predicted == true).mean())
    for index in range(4):
        hits = ((predicted == index) & (true == index)).sum()
        assert judged.precision_K[index] == pytest.approx(hits / (predicted == index).sum())
        assert judged.recall_K[index] == pytest.approx(hits / (true == index).sum())
        harmonic = 2 * hits / ((predicted == index).sum() + (true == index).sum())
        assert judged.f1_K[index] == pytest.approx(harmonic)


def test_pairs_are_the_confusion_matrix() -> None:
    said, labels = _random()
    judged = _evaluated(said, labels)
    assert sum(judged.pairs.values()) == judged.num_images == 50
    assert sum(n for (t, p), n in judged.pairs.items() if t == p) == sum(judged.right_K)


def test_batches_do_not_matter() -> None:
    said, labels = _random()
    one, two = _evaluated(said, labels, batch_size=3), _evaluated(said, labels, batch_size=50)
    assert (one.pairs, one.accuracy) == (two.pairs, two.accuracy)


def test_padding_counts_for_nothing() -> None:
    judged = _evaluated([[1.0, 0.0], [1.0, 0.0]], [0, 1], weights=[1.0, 0.0])
    assert (judged.num_images, judged.accuracy) == (1, 1)


def test_the_most_confident_mistakes_come_first_and_are_bounded() -> None:
    said = [[0.5 + number / 500, 0.5 - number / 500] for number in range(200)]
    judged = _evaluated(said, [1] * 200)
    assert len(judged.mistakes) == MOST_MISTAKES
    probabilities = [one.probability for one in judged.mistakes]
    assert probabilities == sorted(probabilities, reverse=True)
    assert probabilities[0] == pytest.approx(0.898, abs=0.003)
    assert {(one.true, one.predicted) for one in judged.mistakes} == {(1, 0)}


def test_a_class_that_never_comes_up_has_no_score() -> None:
    judged = _evaluated([[1.0, 0.0, 0.0]], [0])
    assert np.isnan(judged.f1_K[2])
    assert b'"f1": null' in scores_by_class(ModelFacts(20, (3, 12, 16), 3), judged)


def test_several_labels_are_judged_class_by_class() -> None:
    judged = _evaluated([[0.9, 0.1], [0.9, 0.9]], [[1.0, 0.0], [0.0, 1.0]], is_multi=True)
    assert judged.accuracy == 0.75
    assert judged.present_K.tolist() == [1, 1]
    assert judged.predicted_K.tolist() == [2, 1]
    assert [(one.true, round(one.probability, 1)) for one in judged.mistakes] == [(0, 0.9)]
    assert judged.pairs == {}


def test_the_page_stays_small_with_a_thousand_classes() -> None:
    said, labels = _random(300, 1000)
    facts = ModelFacts(20, (3, 12, 16), 1000)
    judged = _evaluated(said, labels)
    matrix, pictures, table = _judgement(judged, facts)
    assert isinstance(matrix, Matrix)
    assert isinstance(pictures, Pictures)
    assert isinstance(table, Table)
    assert len(matrix.rows) == len(matrix.columns) == len(table.rows) == MOST_ROWS
    assert len(pictures.pictures) <= MOST_MISTAKES


def test_classes_have_their_names_where_there_are_any(facts) -> None:
    assert name_of(facts, 1) == "bee"
    assert name_of(ModelFacts(20, (3, 12, 16), 4), 1) == "1"
