"""Boxes, from label vectors and from JSON."""

import io
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sm_dl.data.annotations import (
    boxes_from_json,
    boxes_from_text,
    boxes_from_vector,
    vector_from_boxes,
)
from sm_dl.data.image_record import read_image_records
from sm_dl.errors import UserError
from tests.golden import content, expected, needs_golden

SIZE = [{"width": 500, "height": 400, "depth": 3}]
BOX = {"class_id": 1, "left": 111, "top": 134, "width": 61, "height": 128}


@needs_golden
@pytest.mark.parametrize(
    ("name", "width"), [("detection.rec", 5), ("detection_object_width6.rec", 6)]
)
def test_golden_vectors_become_boxes_and_the_same_vectors_again(name: str, width: int) -> None:
    for record in read_image_records(io.BytesIO(content(name)), name):
        boxes = boxes_from_vector(record.labels, record.place)
        table = record.labels[2:].reshape(-1, width)
        assert boxes.class_ids.tolist() == table[:, 0].tolist()
        assert boxes.xyxy.tolist() == table[:, 1:5].tolist()
        assert (
            boxes.difficult.tolist()
            == ((table[:, 5] > 0) if width == 6 else table[:, 0] < 0).tolist()
        )
        again = vector_from_boxes(boxes, with_difficult=width == 6)
        assert again.tolist() == record.labels.tolist()


@needs_golden
def test_the_golden_annotation_becomes_fractions() -> None:
    listed = expected("pipe")["pipe_detection.rec"][0]["annotation"]
    boxes = boxes_from_text(json.dumps(listed).encode(), "a")
    assert boxes.class_ids.tolist() == [0, 1]
    assert boxes.xyxy == pytest.approx(
        np.float32([[3 / 12, 0.1, 9 / 12, 0.6], [0, 0, 4 / 12, 0.4]])
    )


def test_extra_header_numbers_are_stepped_over() -> None:
    vector = np.float32([4, 5, 640, 480, 2, 0.1, 0.2, 0.3, 0.4])
    assert boxes_from_vector(vector, "a").class_ids.tolist() == [2]


def test_categories_name_the_classes() -> None:
    annotation = {
        "image_size": SIZE,
        "annotations": [BOX],
        "categories": [{"class_id": 0, "name": "dog"}, {"class_id": 1, "name": "cat"}],
    }
    boxes = boxes_from_json(annotation, "a")
    assert (dict(boxes.names), len(boxes)) == ({0: "dog", 1: "cat"}, 1)
    assert boxes.xyxy[0] == pytest.approx([111 / 500, 134 / 400, 172 / 500, 262 / 400])


def test_an_image_may_have_no_objects() -> None:
    assert len(boxes_from_json({"image_size": SIZE, "annotations": []}, "a")) == 0


def test_a_box_that_sticks_out_by_rounding_is_cut_off() -> None:
    vector = np.float32([2, 5, 0, -0.0005, 0, 1.0005, 1])
    assert boxes_from_vector(vector, "a").xyxy.tolist() == [[0, 0, 1, 1]]


@pytest.mark.parametrize(
    ("vector", "problem"),
    [
        ([1.0], "Not enough annotation packed .* got 1"),
        ([2, 5, 0, 0.1, 0.2, 0.3], "Not enough annotation"),
        ([1, 5, 0, 0, 0, 1, 1], "header width"),
        ([2, 4, 0, 0, 0, 1, 1], "header width"),
        ([2, 5.5, 0, 0, 0, 1, 1], "header width"),
        ([99, 5, 0, 0, 0, 1, 1], "header width"),
        ([np.nan, 5, 0, 0, 0, 1, 1], "header width"),
        ([np.inf, 5, 0, 0, 0, 1, 1], "header width"),
        ([2, 5, 0, 0, 0, 1, 1, 1], "header width"),
        ([2, 5, 0.5, 0, 0, 1, 1], "object 1: expected a class number, 0 or more; got 0.5"),
        ([2, 5, -1, 0, 0, 1, 1], "object 1: expected a class number"),
        ([2, 5, np.nan, 0, 0, 1, 1], "object 1: expected a class number"),
        ([2, 5, 0, 0, 0, 1, 1, 0, 10, 20, 42.5, 60], "object 2: .* divide pixels by the image's"),
        ([2, 5, 0, 0, np.nan, 1, 1], "object 1: expected a box inside the image"),
    ],
)
def test_a_vector_that_does_not_add_up_is_named(vector: list[float], problem: str) -> None:
    with pytest.raises(UserError, match=f"^a: .*{problem}"):
        boxes_from_vector(np.float32(vector), "a")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"image_size": None}, "expected image_size"),
        ({"image_size": [{"width": 0, "height": 5}]}, "expected image_size"),
        ({"image_size": [{"width": 10}]}, "image_size: expected a number as height; got None"),
        ({"image_size": [*SIZE, *SIZE]}, "expected image_size"),
        ({"annotations": None}, "expected annotations"),
        ({"annotations": [7]}, "object 1: expected a number as class_id; got None"),
        (
            {"annotations": [BOX, BOX | {"left": "3"}]},
            "object 2: expected a number as left; got '3'",
        ),
        ({"annotations": [BOX | {"class_id": True}]}, "object 1: expected a number as class_id"),
        ({"annotations": [BOX | {"class_id": -1}]}, "object 1: expected a class number"),
        ({"annotations": [BOX | {"width": 400}]}, "object 1: expected a box inside the image"),
        ({"categories": 3}, "expected categories"),
        ({"categories": [{}]}, "category 1: expected a number as class_id"),
    ],
)
def test_an_annotation_that_is_malformed_is_named(change: dict[str, Any], problem: str) -> None:
    annotation = {"image_size": SIZE, "annotations": [BOX]} | change
    with pytest.raises(UserError, match=f"^a: {problem}"):
        boxes_from_json(annotation, "a")


@given(st.lists(st.floats(width=32), max_size=20))
def test_any_vector_is_read_or_refused(vector: list[float]) -> None:
    try:
        boxes = boxes_from_vector(np.array(vector, dtype=np.float32), "a")
    except UserError as error:
        assert str(error).startswith("a: ")  # noqa: PT017 - both ways out are right
    else:
        assert ((boxes.xyxy >= 0) & (boxes.xyxy <= 1)).all()


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["image_size", "annotations", "categories", *BOX]), inner, max_size=6
        ),
    ),
)


@given(
    st.dictionaries(st.sampled_from(["image_size", "annotations", "categories"]), JSON),
    st.booleans(),
)
def test_any_json_is_read_or_refused(annotation: dict[str, Any], with_size: bool) -> None:
    if with_size:
        annotation["image_size"] = SIZE
    try:
        boxes_from_json(annotation, "a")
    except UserError as error:
        assert str(error).startswith("a: ")  # noqa: PT017 - both ways out are right
