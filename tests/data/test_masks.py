"""Label maps of masks."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sm_dl.data.image import decode_mask
from sm_dl.data.masks import default_map, label_map_from_text
from sm_dl.errors import UserError
from tests.golden import content, needs_golden


@needs_golden
def test_the_default_map_changes_no_golden_mask() -> None:
    mask = decode_mask(content("masks/mask_palette.png"), "a")
    assert (default_map().apply(mask, "a") == mask).all()


@pytest.mark.parametrize("scale", ["3", 3])
def test_a_scale_divides_and_leaves_holes(scale: object) -> None:
    labels = label_map_from_text(json.dumps({"scale": scale}).encode(), "map.json")
    assert labels.apply(np.uint8([[0, 3, 8, 255]]), "a").tolist() == [[0, 1, 2, 255]]


def test_in_a_map_the_key_is_the_label_and_the_value_is_the_pixel() -> None:
    labels = label_map_from_text(b'{"map": {"0": 5, "1": 0, "2": "2"}}', "map.json")
    assert labels.apply(np.uint8([[0, 5, 2, 255]]), "a").tolist() == [[1, 0, 2, 255]]


def test_a_pixel_that_the_map_lacks_is_named() -> None:
    labels = label_map_from_text(b'{"map": {"0": 5}}', "map.json")
    with pytest.raises(UserError, match="a: the pixel in row 1, column 0 has the value 7"):
        labels.apply(np.uint8([[5, 255], [7, 5]]), "a")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"{}", "expected {.scale"),
        (b'{"scale": 3, "map": {}}', "expected {.scale"),
        (b'{"map": [1]}', "expected {.scale"),
        (b'{"scale": 0}', "scale: expected a whole number of 1 to 255; got 0"),
        (b'{"scale": 1.5}', "scale: expected a whole number"),
        (b'{"scale": true}', "scale: expected a whole number"),
        (b'{"map": {"0": 256}}', "map '0': expected a whole number of 0 to 255; got 256"),
        (b'{"map": {"x": 1}}', "map: expected a whole number of 0 to 255; got 'x'"),
        (b'{"map": {"0": 1, "1": 1}}', "the pixel value 1 has two labels, 0 and 1"),
        (b"[1]", "expected a JSON object"),
    ],
)
def test_a_map_that_is_none_is_named(text: bytes, problem: str) -> None:
    with pytest.raises(UserError, match=f"^map.json: {problem}"):
        label_map_from_text(text, "map.json")


@given(st.dictionaries(st.integers(0, 254).map(str), st.integers(0, 254), max_size=30))
def test_a_map_of_distinct_pixels_is_applied(pairs: dict[str, int]) -> None:
    distinct = {pixel: label for label, pixel in pairs.items()}
    text = json.dumps({"map": {label: pixel for pixel, label in distinct.items()}}).encode()
    pixels = np.array([*distinct, 255], dtype=np.uint8)
    wanted = [int(label) for label in distinct.values()]
    assert label_map_from_text(text, "m").apply(pixels[None], "a").tolist() == [[*wanted, 255]]
