"""Crops: the window that resize-then-crop shows, whichever way it is computed."""

import numpy as np
import pytest
from PIL import Image

from sm_dl.algorithms.image_classification.augment import Shape
from sm_dl.algorithms.image_classification.crop import Crop, Squash, pixels_of, resize
from sm_dl.errors import UserError
from tests.data.images import encoded, rgb

PLACE = "a.jpg"


def smooth(height: int, width: int) -> np.ndarray:
    """Return waves, so that half a pixel of place makes a small difference."""
    y, x = np.mgrid[:height, :width]
    waves = [128 + 100 * np.sin(y / height * k + x / width * (7 - k)) for k in (2, 3, 4)]
    return np.stack(waves, axis=-1).astype(np.uint8)


@pytest.mark.parametrize("size", [(375, 500), (500, 375), (256, 256), (300, 1000), (100, 130)])
@pytest.mark.parametrize("where", [(0.0, 0.0), (0.5, 0.5), (0.999, 0.2)])
def test_a_window_is_that_of_the_resized_image(
    size: tuple[int, int], where: tuple[float, float]
) -> None:
    pixels = smooth(*size)
    crop = Crop(224, 224, 3, 256)
    height, width = crop.resized(*size, PLACE)
    assert min(height, width) == 256
    assert max(height, width) / 256 == pytest.approx(max(size) / min(size), rel=0.01)
    whole = np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR))
    top, left = (int(w * (s - 224 + 1)) for w, s in zip(where, (height, width), strict=True))
    expected = whole[top : top + 224, left : left + 224].astype(int)
    got = crop.cut(pixels, Shape(*where), PLACE).astype(int)
    assert got.shape == (224, 224, 3)
    assert np.abs(got - expected).max() <= 4


def test_without_resize_the_window_is_cut_out_as_it_is() -> None:
    pixels = rgb(20, 30)
    got = Crop(16, 16, 3).cut(pixels, Shape(), PLACE)
    assert (got == pixels[2:18, 7:23]).all()


def test_the_last_window_ends_with_the_image() -> None:
    pixels = rgb(20, 30)
    got = Crop(16, 16, 3).cut(pixels, Shape(0.9999999, 1.0), PLACE)
    assert (got == pixels[4:, 14:]).all()


@pytest.mark.parametrize("size", [(20, 30), (60, 40), (300, 700)])
@pytest.mark.parametrize("channels", [1, 3])
def test_resizing_agrees_with_pillow(size: tuple[int, int], channels: int) -> None:
    pixels = rgb(*size)[:, :, :channels]
    shown = Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)
    peer = np.asarray(shown.resize((50, 40), Image.Resampling.BILINEAR)).reshape(40, 50, channels)
    assert np.abs(resize(pixels, 40, 50).astype(int) - peer.astype(int)).max() <= 1


def test_squashing_shows_all_of_the_image() -> None:
    pixels = smooth(100, 300)
    got = Squash(50, 50, 3).cut(pixels, Shape(), PLACE)
    expected = np.asarray(Image.fromarray(pixels).resize((50, 50), Image.Resampling.BILINEAR))
    assert np.abs(got.astype(int) - expected.astype(int)).max() <= 1


def test_a_large_photograph_is_decoded_no_larger_than_needed() -> None:
    image = encoded(smooth(1200, 1600), "JPEG", quality=95)
    pixels = pixels_of(image, PLACE, Crop(224, 224, 3, 256))
    assert pixels.shape == (300, 400, 3)
    whole = pixels_of(image, PLACE, Crop(224, 224, 3))
    assert whole.shape == (1200, 1600, 3)
    window = Crop(224, 224, 3, 256).cut(pixels, Shape(), PLACE).astype(int)
    expected = Crop(224, 224, 3, 256).cut(whole, Shape(), PLACE)
    assert np.abs(window - expected).max() <= 6


@pytest.mark.parametrize(
    ("crop", "size", "expected"),
    [
        (Crop(16, 20, 3), (16, 19), r"at least 20 x 16 .* got 19 x 16\. Set resize"),
        (Crop(16, 64, 3, 24), (100, 50), r"at least 64 x 16 .* got 24 x 48\. Set a larger resize"),
    ],
)
def test_an_image_smaller_than_the_window_is_refused(
    crop: Crop, size: tuple[int, int], expected: str
) -> None:
    with pytest.raises(UserError, match=expected):
        crop.cut(rgb(*size), Shape(), PLACE)
