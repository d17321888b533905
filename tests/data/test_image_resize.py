"""Resizing: the fast library and Pillow agree, and a box is what a crop of the whole would show."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sm_dl.data import image_resize
from sm_dl.data.image_resize import resized, resized_shorter_side, shorter_side
from tests.data.images import rgb

steady = settings(derandomize=True, deadline=None)
SIDES = st.integers(1, 70)


def _noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def _distance(one: np.ndarray, other: np.ndarray) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other).max())


@pytest.fixture(params=["fast", "without"])
def _library(request, monkeypatch):
    if request.param == "without":
        monkeypatch.setattr(image_resize, "_fast_resizer", lambda: None)


def test_the_fast_library_is_the_one_in_use() -> None:
    assert image_resize._fast_resizer() is not None


@steady
@given(before=st.tuples(SIDES, SIDES), after=st.tuples(SIDES, SIDES), is_grey=st.booleans())
def test_any_size_comes_within_two_levels_of_pillow(before, after, is_grey) -> None:
    image = _noise(*before) if is_grey else _noise(*before, 3)
    peer = np.array(Image.fromarray(image).resize(after[::-1], Image.Resampling.BILINEAR))
    assert _distance(resized(image, *after), peer) <= 2


@steady
@given(data=st.data(), after=st.tuples(SIDES, SIDES))
def test_a_box_comes_within_two_levels_of_pillow(data, after) -> None:
    image = _noise(40, 50, 3)
    top, left = data.draw(st.floats(0, 30)), data.draw(st.floats(0, 40))
    rows, columns = data.draw(st.floats(0.5, 40 - top)), data.draw(st.floats(0.5, 50 - left))
    corners = (left, top, left + columns, top + rows)
    peer = Image.fromarray(image).resize(after[::-1], Image.Resampling.BILINEAR, box=corners)
    assert _distance(resized(image, *after, box=(top, left, rows, columns)), np.array(peer)) <= 2


@pytest.mark.usefixtures("_library")
def test_a_box_is_what_a_crop_of_the_whole_shows() -> None:
    image = rgb(400, 600)
    whole = resized(image, 200, 300)
    box = (2 * 20.0, 2 * 30.0, 2 * 100.0, 2 * 110.0)
    inner = (slice(1, -1), slice(1, -1))  # at its edges a box sees nothing outside
    found = resized(image, 100, 110, box=box)[inner]
    assert _distance(found, whole[20:120, 30:140][inner]) <= 1


@pytest.mark.usefixtures("_library")
@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 1), (9, 7, 3)])
def test_what_comes_back_is_an_array_of_ones_own(shape) -> None:
    image = _noise(*shape)
    pixels = resized(image, 5, 6)
    pixels[:] = 0
    assert (pixels.shape, pixels.dtype) == ((5, 6, *shape[2:]), np.uint8)
    assert image.any()


@pytest.mark.usefixtures("_library")
def test_an_image_that_is_a_view_is_read_as_it_looks() -> None:
    image = _noise(30, 40, 3)
    view = image[::-1, 5:35:2]
    assert np.array_equal(resized(view, 7, 8), resized(np.ascontiguousarray(view), 7, 8))


@pytest.mark.usefixtures("_library")
def test_one_colour_stays_one_colour() -> None:
    assert (resized(np.full((37, 53, 3), 201, np.uint8), 80, 11) == 201).all()


def test_an_image_of_that_size_is_not_touched() -> None:
    image = _noise(5, 6, 3)
    assert resized(image, 5, 6) is image


@pytest.mark.parametrize(
    ("before", "after"),
    [((375, 500), (256, 341)), ((500, 375), (341, 256)), ((7, 7), (256, 256)), ((1, 9), (2, 18))],
)
def test_the_longer_side_follows_rounded_down(before, after) -> None:
    assert shorter_side(*before, min(after[0], after[1])) == after


def test_the_shorter_side_gets_its_pixels() -> None:
    assert resized_shorter_side(_noise(30, 47, 3), 12).shape == (12, 18, 3)


@pytest.mark.parametrize("size", [(0, 5), (5, -1)])
def test_no_size_is_no_image(size) -> None:
    with pytest.raises(ValueError, match="cannot make"):
        resized(_noise(5, 6, 3), *size)


def test_an_alpha_channel_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot make"):
        resized(_noise(5, 6, 4), 2, 2)


@pytest.mark.parametrize("box", [(-1, 0, 2, 2), (0, 0, 6, 2), (0, 4.5, 2, 2), (0, 0, 0, 2)])
def test_a_box_outside_the_image_is_refused(box) -> None:
    with pytest.raises(ValueError, match="cannot make"):
        resized(_noise(5, 6, 3), 2, 2, box=box)


def test_threads_do_not_disturb_each_other() -> None:
    images = [_noise(90 + index, 70, 3) for index in range(8)]
    alone = [resized(image, 31, 29) for image in images]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda image: resized(image, 31, 29), images * 20))
    assert all(map(np.array_equal, together, alone * 20))
