"""How good a classifier is on a channel: accuracy, scores of each class, its most confident mistakes.

Shape letters in this file: B = images of a batch, N = images of a channel, C = channels, H, W =
pixels, K = classes.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sm_dl.algorithms.image_classification.data import Batch, ImageBatches
from sm_dl.algorithms.image_classification.predictor import ImageClassificationPredictor
from sm_dl.engine.place import Place
from sm_dl.job import stop

Integers = NDArray[np.int64]

MOST_MISTAKES = 24
THRESHOLD = 0.5
"""From this probability on a class counts as present, where an image may have several."""


@dataclass(frozen=True)
class Mistake:
    """An image that was classified wrongly, with much confidence."""

    pixels_CHW: NDArray[np.uint8]
    true: int
    """With several labels an image: the class whose presence or absence was missed."""
    predicted: int
    probability: float
    """Of the predicted class."""


@dataclass(frozen=True)
class Evaluation:
    """What a classifier came to on one channel."""

    num_images: int
    accuracy: float
    """Share of images; with several labels an image, of images and classes."""
    present_K: Integers
    """Images that have each class."""
    predicted_K: Integers
    """Images that were said to have each class."""
    right_K: Integers
    """Those of which it was said rightly."""
    pairs: dict[tuple[int, int], int]
    """Images by true and predicted class; empty where images have several labels."""
    mistakes: tuple[Mistake, ...]
    """The most confident ones first."""

    @property
    def precision_K(self) -> NDArray[np.float64]:  # noqa: N802
        """Return the share of right ones among the predicted; NaN where there are none."""
        return _share(self.right_K, self.predicted_K)

    @property
    def recall_K(self) -> NDArray[np.float64]:  # noqa: N802
        """Return the share of right ones among the present; NaN where there are none."""
        return _share(self.right_K, self.present_K)

    @property
    def f1_K(self) -> NDArray[np.float64]:  # noqa: N802
        """Return the harmonic mean of precision and recall; NaN where a class never comes up."""
        return _share(2 * self.right_K, self.present_K + self.predicted_K)


def evaluate(predictor: ImageClassificationPredictor, batches: ImageBatches) -> Evaluation:
    """Return how good a model is on a channel, in one process.

    Raises:
        StoppedError: SIGTERM came.
    """
    tally = _Tally(predictor.facts.num_classes, is_multi_label=predictor.facts.is_multi_label)
    for batch in _batches(batches, predictor.device):
        probabilities_BK = predictor.probabilities(batch.images_BCHW).cpu().numpy()
        tally.add(batch, probabilities_BK)
    return tally.result()


def _batches(batches: ImageBatches, device: torch.device) -> Iterator[Batch]:
    for batch in batches(Place(0, device=device)):
        stop.check("SIGTERM came after training; the model is written, its scores are not.")
        yield batch


class _Tally:
    """Counts batch by batch; holds no more of a channel than a few images."""

    def __init__(self, num_classes: int, *, is_multi_label: bool) -> None:
        self._num_classes, self._is_multi_label = num_classes, is_multi_label
        self._present_K, self._predicted_K, self._right_K = np.zeros((3, num_classes), np.int64)
        self._pairs: dict[tuple[int, int], int] = {}
        self._num_images, self._num_right = 0, 0.0
        self._num_noted = 0
        self._mistakes: list[tuple[float, int, Mistake]] = []
        """A heap by confidence; of equal ones the later number is the first to go."""

    def add(self, batch: Batch, probabilities_BK: NDArray[np.float32]) -> None:
        is_real_B = batch.weight_B.cpu().numpy() > 0
        labels = batch.labels.cpu().numpy()[is_real_B]
        images_BCHW = batch.images_BCHW[torch.from_numpy(is_real_B).to(batch.images_BCHW.device)]
        add = self._add_marks if self._is_multi_label else self._add_classes
        add(images_BCHW, labels, probabilities_BK[is_real_B])
        self._num_images += len(labels)

    def _add_classes(
        self, images_BCHW: torch.Tensor, true_B: Integers, probabilities_BK: NDArray[np.float32]
    ) -> None:
        predicted_B = probabilities_BK.argmax(1)
        is_right_B = predicted_B == true_B
        self._num_right += int(is_right_B.sum())
        size = self._num_classes
        self._present_K += np.bincount(true_B, minlength=size)
        self._predicted_K += np.bincount(predicted_B, minlength=size)
        self._right_K += np.bincount(true_B[is_right_B], minlength=size)
        for pair in zip(true_B.tolist(), predicted_B.tolist(), strict=True):
            self._pairs[pair] = self._pairs.get(pair, 0) + 1
        for index in np.flatnonzero(~is_right_B).tolist():
            true, predicted = int(true_B[index]), int(predicted_B[index])
            probability = float(probabilities_BK[index, predicted])
            self._note(probability, images_BCHW[index], true, predicted, probability)

    def _add_marks(
        self,
        images_BCHW: torch.Tensor,
        marks_BK: NDArray[np.float32],
        probabilities_BK: NDArray[np.float32],
    ) -> None:
        is_present_BK, is_predicted_BK = marks_BK > THRESHOLD, probabilities_BK > THRESHOLD
        is_right_BK = is_present_BK == is_predicted_BK
        self._num_right += float(is_right_BK.mean(1).sum())
        self._present_K += is_present_BK.sum(0)
        self._predicted_K += is_predicted_BK.sum(0)
        self._right_K += (is_present_BK & is_predicted_BK).sum(0)
        sureness_BK = np.where(is_right_BK, 0.0, np.abs(probabilities_BK - THRESHOLD))
        for index in np.flatnonzero(~is_right_BK.all(1)).tolist():
            missed = int(sureness_BK[index].argmax())
            probability = float(probabilities_BK[index, missed])
            self._note(
                float(sureness_BK[index, missed]), images_BCHW[index], missed, missed, probability
            )

    def _note(
        self,
        sureness: float,
        image_CHW: torch.Tensor,
        true: int,
        predicted: int,
        probability: float,
    ) -> None:
        """Keep a mistake if it is among the most confident; of equal ones the first."""
        self._num_noted += 1
        is_full = len(self._mistakes) == MOST_MISTAKES
        if is_full and sureness <= self._mistakes[0][0]:
            return
        pixels_CHW = image_CHW.to(torch.uint8).cpu().numpy()
        entry = (sureness, -self._num_noted, Mistake(pixels_CHW, true, predicted, probability))
        (heapq.heappushpop if is_full else heapq.heappush)(self._mistakes, entry)

    def result(self) -> Evaluation:
        best_first = sorted(self._mistakes, key=lambda entry: entry[:2], reverse=True)
        return Evaluation(
            self._num_images,
            self._num_right / max(1, self._num_images),
            self._present_K,
            self._predicted_K,
            self._right_K,
            {} if self._is_multi_label else self._pairs,
            tuple(mistake for _, _, mistake in best_first),
        )


def _share(part_K: Integers, whole_K: Integers) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = np.where(whole_K > 0, part_K / np.maximum(whole_K, 1), np.nan)
    return shares
