"""What a label may be: one class, or marks of 0 and 1 for each class (spec section 3)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sm_dl.data.augmented_manifest import class_from_text, classes_from_text
from sm_dl.errors import UserError, shown


@dataclass(frozen=True)
class LabelRule:
    """How labels become numbers of a batch."""

    num_classes: int
    is_multi: bool
    """Any number of classes an image."""
    are_class_ids: bool = False
    """Whether several labels of a manifest are class numbers, not marks."""

    def from_vector(self, labels: NDArray[np.float32], place: str) -> NDArray[np.float32]:
        """Return the label in a record or a list line: one class, or a mark for each class.

        Raises:
            UserError: There are too many or too few labels, or one is no class or no mark.
        """
        if self.is_multi:
            return self._marks(labels, place)
        if len(labels) != 1:
            raise UserError(
                f"{place}: rec file provide {len(labels)}-dimensional label but label_width is set "
                "to 1: expected one class an image; set multi_label=1 if there are several."
            )
        value = float(labels[0])
        if not value.is_integer():
            raise UserError(f"{place}: expected a whole number as class; got {value:g}.")
        self._check_class(int(value), place)
        return labels

    def from_text(self, text: bytes, place: str) -> NDArray[np.float32]:
        """Return the label in a manifest's second record; it is JSON.

        Raises:
            UserError: It is no class, or no list of marks or classes.
        """
        if not self.is_multi:
            number = class_from_text(text, place)
            self._check_class(number, place)
            return np.array([number], dtype=np.float32)
        numbers = classes_from_text(text, place)
        if not self.are_class_ids:
            return self._marks(np.array(numbers, dtype=np.float32), place)
        for number in numbers:
            self._check_class(number, place)
        marks = np.zeros(self.num_classes, dtype=np.float32)
        marks[numbers] = 1
        return marks

    def batch(self, labels: Sequence[NDArray[np.float32]]) -> NDArray[np.int64 | np.float32]:
        """Return labels as a loss wants them: int64 (B,), or float32 (B, num_classes)."""
        stacked = np.stack(labels)
        return stacked if self.is_multi else stacked[:, 0].astype(np.int64)

    def positives(self, labels: Sequence[NDArray[np.float32]]) -> NDArray[np.int64]:
        """Return how many images have each class."""
        if self.is_multi:
            marked: NDArray[np.int64] = np.stack(labels).astype(np.int64).sum(axis=0)
            return marked
        classes = np.concatenate(labels).astype(np.int64)
        counts: NDArray[np.int64] = np.bincount(classes, minlength=self.num_classes)
        return counts

    def nothing(self) -> NDArray[np.float32]:
        """Return what stands for the label of an image that is left out."""
        return np.zeros(self.num_classes if self.is_multi else 1, dtype=np.float32)

    def _marks(self, labels: NDArray[np.float32], place: str) -> NDArray[np.float32]:
        if len(labels) != self.num_classes:
            raise UserError(
                f"{place}: Mismatch between number of labels in the multi-label data "
                f"({len(labels)}) and the num_classes parameter ({self.num_classes})."
            )
        if not ((labels == 0) | (labels == 1)).all():
            raise UserError(
                f"{place}: expected a mark of 0 or 1 for each class; got {shown(labels.tolist())}. "
                "If the channel is a manifest with class numbers, add ;label-format=class-id to "
                "its content type."
            )
        return labels

    def _check_class(self, number: int, place: str) -> None:
        if not 0 <= number < self.num_classes:
            raise UserError(
                f"{place}: expected a class of 0 to {self.num_classes - 1}, as num_classes="
                f"{self.num_classes} says; got {number}. Correct the label or num_classes."
            )
