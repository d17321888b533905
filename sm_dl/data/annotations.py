"""Boxes around objects, from each form they come in: label vectors and JSON.

A box is written `xyxy` (corners) in fractions of the image's sides here; the service's JSON has
`left, top, width, height` in pixels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sm_dl.data.jsonlines import object_from_line
from sm_dl.errors import UserError, shown

MIN_HEADER_WIDTH, MIN_OBJECT_WIDTH = 2, 5
MIN_VECTOR = MIN_HEADER_WIDTH + MIN_OBJECT_WIDTH
OVERHANG = 1e-3
"""How far, as a fraction, a box may stick out of its image: what rounding can do. It is cut off."""
MAX_CLASS_ID = 1 << 24
"""Up to here float32, in which label vectors are written, holds every whole number."""


@dataclass(frozen=True)
class Boxes:
    """The objects in one image."""

    class_ids: NDArray[np.int64]
    xyxy: NDArray[np.float32]
    """Shape (objects, 4), each in [0, 1]."""
    difficult: NDArray[np.bool_]
    """Objects that are left out of the score."""
    names: Mapping[int, str]
    """Of classes, where the annotation has them."""

    def __len__(self) -> int:
        return len(self.class_ids)


def boxes_from_vector(vector: NDArray[Any], place: str) -> Boxes:
    """Return the boxes in a detection label: header width, object width, objects.

    Raises:
        UserError: The numbers do not add up, or coordinates are no fractions.
    """
    if len(vector) < MIN_VECTOR:
        raise UserError(
            f"{place}: Not enough annotation packed in the list file or the RecordIO file: expected "
            f"at least {MIN_VECTOR} numbers: header width, object width, and for each object class, "
            f"xmin, ymin, xmax, ymax; got {len(vector)}. Pack the list with all its labels "
            "(im2rec: --pack-label)."
        )
    header_width, object_width = (float(vector[0]), float(vector[1]))
    if not (
        header_width >= MIN_HEADER_WIDTH
        and object_width >= MIN_OBJECT_WIDTH
        and header_width.is_integer()
        and object_width.is_integer()
        and header_width <= len(vector)
        and (len(vector) - int(header_width)) % int(object_width) == 0
    ):
        raise UserError(
            f"{place}: expected a header width of at least {MIN_HEADER_WIDTH}, an object width of at "
            f"least {MIN_OBJECT_WIDTH}, and then whole objects; got {len(vector)} numbers that "
            f"begin {shown(vector[:4].tolist())}."
        )
    table = vector[int(header_width) :].reshape(-1, int(object_width))
    difficult = (
        table[:, 5] > 0 if table.shape[1] > MIN_OBJECT_WIDTH else np.zeros(len(table), dtype=bool)
    )
    return _checked(table[:, 0], table[:, 1:5], difficult, {}, place)


def vector_from_boxes(boxes: Boxes, *, with_difficult: bool = False) -> NDArray[np.float32]:
    """Return boxes as a detection label."""
    columns: list[NDArray[Any]] = [boxes.class_ids[:, None], boxes.xyxy]
    if with_difficult:
        columns.append(boxes.difficult[:, None])
    table = np.concatenate(columns, axis=1).astype(np.float32)
    return np.concatenate([[MIN_HEADER_WIDTH, table.shape[1]], table.ravel()]).astype(np.float32)


def boxes_from_text(text: bytes, place: str) -> Boxes:
    """Return the boxes in the JSON text of an annotation file or a manifest's record.

    Raises:
        UserError: It is no JSON object, or not such a one.
    """
    return boxes_from_json(object_from_line(text, place), place)


def boxes_from_json(annotation: Mapping[str, object], place: str) -> Boxes:
    """Return the boxes in `image_size`, `annotations` and `categories`.

    Raises:
        UserError: One of the first two is missing or malformed, or a box lies outside the image.
    """
    width, height = _image_size(annotation.get("image_size"), place)
    objects = annotation.get("annotations")
    if not isinstance(objects, list):
        raise UserError(
            f"{place}: expected annotations: a list of objects with class_id, left, top, width, "
            f"height; got {shown(objects)}."
        )
    rows = [
        [_number(box, name, f"{place}: object {index}") for name in _BOX_KEYS]
        for index, box in enumerate(objects, start=1)
    ]
    table = np.array(rows, dtype=np.float64).reshape(-1, len(_BOX_KEYS))
    corners = np.concatenate([table[:, 1:3], table[:, 1:3] + table[:, 3:5]], axis=1)
    fractions = corners / [width, height, width, height]
    difficult = np.zeros(len(table), dtype=np.bool_)
    names = _names(annotation.get("categories"), place)
    return _checked(table[:, 0], fractions, difficult, names, place)


_BOX_KEYS = ("class_id", "left", "top", "width", "height")


def _checked(
    class_ids: NDArray[Any],
    xyxy: NDArray[Any],
    difficult: NDArray[np.bool_],
    names: Mapping[int, str],
    place: str,
) -> Boxes:
    is_class = (class_ids >= 0) & (class_ids <= MAX_CLASS_ID) & (class_ids == np.floor(class_ids))
    is_inside = ((xyxy >= -OVERHANG) & (xyxy <= 1 + OVERHANG)).all(axis=1)
    for index in np.flatnonzero(~is_class)[:1].tolist():
        raise UserError(
            f"{place}: object {index + 1}: expected a class number, 0 or more; "
            f"got {shown(class_ids[index].item())}."
        )
    for index in np.flatnonzero(~is_inside)[:1].tolist():
        raise UserError(
            f"{place}: object {index + 1}: expected a box inside the image, as xmin, ymin, xmax, ymax "
            f"in fractions of its sides; got {shown(xyxy[index].tolist())}. In a list or a .rec, "
            "divide pixels by the image's width and height."
        )
    clipped = np.clip(xyxy, 0, 1).astype(np.float32)
    return Boxes(class_ids.astype(np.int64), clipped, difficult, names)


def _image_size(size: object, place: str) -> tuple[float, float]:
    first = size[0] if isinstance(size, list) and len(size) == 1 else size
    if isinstance(first, Mapping):
        width, height = (
            _number(first, name, f"{place}: image_size") for name in ("width", "height")
        )
        if width > 0 and height > 0:
            return width, height
    raise UserError(
        f"{place}: expected image_size: a list of one object with width and height in pixels; "
        f"got {shown(size)}."
    )


def _number(holder: object, name: str, place: str) -> float:
    value = holder.get(name) if isinstance(holder, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e9:
        raise UserError(f"{place}: expected a number as {name}; got {shown(value)}.")
    return float(value)


def _names(categories: object, place: str) -> dict[int, str]:
    if categories is None:
        return {}
    if not isinstance(categories, list):
        raise UserError(f"{place}: expected categories: a list; got {shown(categories)}.")
    names = {}
    for index, category in enumerate(categories, start=1):
        number = _number(category, "class_id", f"{place}: category {index}")
        names[int(number)] = str(category.get("name", int(number)))
    return names
