"""Pixel labels: what the numbers of a mask stand for, by a `label_map`."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sm_dl.data.jsonlines import object_from_line
from sm_dl.errors import UserError, shown

HOLE = 255
"""Pixels that belong to no class, before and after the map."""
NUM_VALUES = 256
UNMAPPED = -1


@dataclass(frozen=True)
class LabelMap:
    """The label of each value that a pixel may have."""

    table: NDArray[np.int16]
    """256 labels: -1 where the map has none."""

    def apply(self, mask: NDArray[np.uint8], place: str) -> NDArray[np.uint8]:
        """Return the labels of a mask.

        Raises:
            UserError: A pixel has a value that the map lacks.
        """
        labels = self.table[mask]
        if (labels == UNMAPPED).any():
            row, column = (int(axis[0]) for axis in np.nonzero(labels == UNMAPPED))
            raise UserError(
                f"{place}: the pixel in row {row}, column {column} has the value "
                f"{mask[row, column]}, which the label map does not name. "
                f"Add it to the map, or make it {HOLE}."
            )
        return labels.astype(np.uint8)


def default_map() -> LabelMap:
    """Return the map that changes nothing."""
    return LabelMap(np.arange(NUM_VALUES, dtype=np.int16))


def label_map_from_text(text: bytes, place: str) -> LabelMap:
    """Return the map in a JSON file: `{"scale": 3}`, or `{"map": {LABEL: PIXEL, ...}}`.

    Raises:
        UserError: It is neither, or gives one pixel value two labels.
    """
    content = object_from_line(text, place)
    if set(content) == {"scale"}:
        scale = _whole(content["scale"], f"{place}: scale", low=1)
        labels = np.arange(NUM_VALUES, dtype=np.int16) // scale
    elif set(content) == {"map"} and isinstance(content["map"], Mapping):
        labels = np.full(NUM_VALUES, UNMAPPED, dtype=np.int16)
        for label, pixel in content["map"].items():
            value = _whole(pixel, f"{place}: map {label!r}", low=0)
            if labels[value] != UNMAPPED:
                raise UserError(
                    f"{place}: the pixel value {value} has two labels, {labels[value]} and {label}. "
                    "In this map the key is the label and the value is the pixel."
                )
            labels[value] = _whole(label, f"{place}: map", low=0)
    else:
        raise UserError(
            f'{place}: expected {{"scale": N}} or {{"map": {{...}}}}; got {shown(content)}.'
        )
    labels[HOLE] = HOLE
    return LabelMap(labels)


def _whole(value: object, place: str, *, low: int) -> int:
    text = str(value).strip() if isinstance(value, int | str) else ""
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 3 else -1
    if not low <= number < NUM_VALUES:
        raise UserError(f"{place}: expected a whole number of {low} to 255; got {shown(value)}.")
    return number
