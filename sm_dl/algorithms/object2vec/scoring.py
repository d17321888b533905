"""Scores of the `test` channel, and what they are to be compared with (spec section 5).

Shape letters in this file: R = pairs, C = outputs.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from sm_dl.algorithms.object2vec.batches import AllPairs
from sm_dl.algorithms.object2vec.data import Pairs
from sm_dl.algorithms.object2vec.epochs import by_length
from sm_dl.algorithms.object2vec.module import step_loss
from sm_dl.algorithms.object2vec.narration import named, say_metrics
from sm_dl.algorithms.object2vec.predictor import Object2VecPredictor
from sm_dl.contract.metrics import MetricLog
from sm_dl.engine.losses import Sums, sums_of
from sm_dl.engine.place import Place

logger = logging.getLogger(__name__)

BATCH_SIZE = 512


@dataclass(frozen=True)
class Tested:
    """How good a model is on the test channel."""

    metrics: Mapping[str, float]
    """By the service's names, without the channel."""
    naive: Mapping[str, float]
    """The same where it makes sense, of always answering the commonest class or the mean of training."""
    truth_R: npt.NDArray[np.float64]
    answer_R: npt.NDArray[np.float64]
    """Class with the highest probability, or score; in the order of `truth_R`."""


@torch.inference_mode()
def score(
    predictor: Object2VecPredictor,
    test: Pairs,
    train: Pairs,
    log: MetricLog,
    batch_size: int = BATCH_SIZE,
) -> Tested:
    """Return the scores of the test channel, and print them."""
    network, sums, answers = predictor.network, Sums(), []
    is_regression = network.shape.num_outputs == 1
    head_device = predictor.head_device
    for batch in AllPairs(test, batch_size)(Place(0, device=predictor.device)):
        encodings = (
            network.encode(number, sequences).to(head_device)
            for number, sequences in enumerate((batch.in0, batch.in1))
        )
        outputs_BC = network.compare(*encodings).to(predictor.device)
        loss = step_loss(outputs_BC, batch)
        sums.add(sums_of(loss).tolist(), tuple(loss.get("figures", ())))
        answers.append(outputs_BC.squeeze(1) if is_regression else outputs_BC.argmax(1))
    metrics = named(sums.means())
    say_metrics(log, "test", sums.means())
    for name, value in metrics.items():
        logger.info("#test_score (%s) : ('%s', %s)", log.host, name, value)
    answer_R = torch.cat(answers).cpu().numpy().astype(np.float64)
    truth_R = by_length(test).labels
    if is_regression:
        correlation = pearson(answer_R, truth_R)
        metrics |= {"root mean squared error": metrics["mean_squared_error"] ** 0.5}
        metrics |= {"Pearson correlation": correlation}
        logger.info("test: Pearson correlation of score and label: %s", correlation)
    return Tested(metrics, _naive(train.labels, truth_R, is_regression), truth_R, answer_R)


def pearson(one_R: npt.NDArray[np.float64], two_R: npt.NDArray[np.float64]) -> float:
    """Return Pearson's correlation; NaN where one side is constant."""
    one, two = one_R - one_R.mean(), two_R - two_R.mean()
    size = float(np.sqrt((one**2).sum() * (two**2).sum()))
    return float((one * two).sum()) / size if size else float("nan")


def _naive(
    train_labels: npt.NDArray[np.float64],
    truth_R: npt.NDArray[np.float64],
    is_regression: bool,  # noqa: FBT001
) -> dict[str, float]:
    if is_regression:
        error = float(((truth_R - train_labels.mean()) ** 2).mean())
        return {"mean_squared_error": error, "root mean squared error": error**0.5}
    classes, counts = np.unique(train_labels, return_counts=True)
    return {"accuracy": float((truth_R == classes[counts.argmax()]).mean())}
