"""Augmentation: the ranges of the draws, what colours and bending do, beside second implementations."""

import colorsys
import math

import numpy as np
import pytest
import torch
from PIL import Image

from sm_dl.algorithms.image_classification import augment
from sm_dl.algorithms.image_classification.augment import NUM_DRAWS, Augmentation
from sm_dl.algorithms.image_classification.colour import shifted
from sm_dl.algorithms.image_classification.crop import OUTSIDE, bent
from sm_dl.data.shard import uniform_at
from tests.data.images import rgb

LOW, HIGH = np.zeros(NUM_DRAWS), np.full(NUM_DRAWS, np.nextafter(1, 0))
PRESETS = ("crop", "crop_color", "crop_color_transform")


def by_colorsys(pixel: tuple[int, int, int], shift: tuple[int, int, int]) -> list[int]:
    """Return a pixel shifted in OpenCV's units with the standard library's conversions."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*(value / 255 for value in pixel))
    hue = (hue + shift[0] / 180) % 1
    lightness = min(1, max(0, lightness + shift[1] / 255))
    saturation = min(1, max(0, saturation + shift[2] / 255))
    return [round(255 * value) for value in colorsys.hls_to_rgb(hue, lightness, saturation)]


@pytest.mark.parametrize("shift", [(0, 0, 0), (36, 50, 50), (-36, -50, -50), (7, -20, 33)])
def test_colours_shift_as_the_standard_library_converts_them(shift: tuple[int, int, int]) -> None:
    random = np.random.default_rng(1)
    pixels = random.integers(0, 256, (400, 3))
    pixels[:8] = [[v, v, v] for v in range(0, 256, 36)]
    pixels[8:14] = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [0, 255, 255], [9, 9, 0]]
    image_B3HW = torch.from_numpy(pixels.astype(np.uint8).reshape(1, 20, 20, 3)).permute(0, 3, 1, 2)
    got = shifted(image_B3HW, torch.tensor([shift], dtype=torch.float32))
    expected = np.array([by_colorsys(tuple(pixel), shift) for pixel in pixels.tolist()])
    difference = np.abs(got.permute(0, 2, 3, 1).reshape(-1, 3).numpy().astype(int) - expected)
    assert difference.max() <= 1


def test_each_image_of_a_batch_has_colours_of_its_own() -> None:
    images = torch.from_numpy(np.stack([rgb()] * 3)).permute(0, 3, 1, 2)
    shift = torch.tensor([[0.0, 0, 0], [10, 0, 0], [0, 30, -9]])
    alone = torch.cat([shifted(images[i : i + 1], shift[i : i + 1]) for i in range(3)])
    assert (shifted(images, shift) == alone).all()
    assert (alone[0] == images[0]).all()
    assert not (alone[0] == alone[1]).all()


def test_draws_span_the_documented_ranges() -> None:
    shifts = augment._colour_shifts(np.stack([LOW, HIGH]))
    assert shifts.tolist() == [[-36, -50, -50], [35, 49, 49]]
    draws = uniform_at(np.arange(20_000), NUM_DRAWS, 3, 0)
    assert np.abs(augment._colour_shifts(draws)).max(axis=0).tolist() == [35, 49, 49]


def test_bending_turns_by_ten_degrees_shears_by_a_tenth_and_keeps_the_area_nearly() -> None:
    draws = uniform_at(np.arange(2000), NUM_DRAWS, 3, 0)
    matrices = np.array([augment._matrix(one) for one in draws])
    wide = np.hypot(matrices[:, 1, 0], matrices[:, 1, 1])
    degrees = np.degrees(np.arctan2(-matrices[:, 1, 0], matrices[:, 1, 1]))
    assert degrees.min() == pytest.approx(-10)
    assert degrees.max() == pytest.approx(10)
    assert np.unique(np.round(degrees, 6)).size == 21
    aspect = wide / (2 - wide)  # high = 2 / (1 + aspect), wide = aspect * high
    assert 0.75 <= aspect.min() < 0.76
    assert 1.24 < aspect.max() <= 1.25
    area = np.linalg.det(matrices)
    assert area.min() > 0.97
    assert area.max() < 1.01


def test_nothing_drawn_in_the_middle_bends_nothing() -> None:
    assert np.allclose(augment._matrix(np.full(NUM_DRAWS, 0.5)), np.eye(2))
    image = rgb(30, 40)
    window = bent(image, ((1, 0), (0, 1)), (3, 5), (20, 25))
    assert (window == image[3:23, 5:30]).all()


@pytest.mark.parametrize("degrees", [-10, 7])
def test_a_bent_image_is_the_one_that_pillow_bends(degrees: int) -> None:
    image = rgb(60, 80)
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    matrix = np.array([[1.1 * cosine, sine], [-0.9 * sine, 0.9 * cosine]])
    back = np.linalg.inv(matrix)
    centre = np.array([40, 30])
    offset = centre - back @ centre
    coefficients = (*back[0], offset[0], *back[1], offset[1])
    grey = (int(OUTSIDE),) * 3
    peer = Image.fromarray(image).transform(
        (80, 60), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR, fillcolor=grey
    )
    ours = bent(image, matrix.tolist(), (0, 0), (60, 80))
    inside = np.asarray(
        Image.new("L", (80, 60), 255).transform((80, 60), Image.Transform.AFFINE, coefficients)
    )
    difference = np.abs(ours.astype(int) - np.asarray(peer).astype(int)).max(axis=-1)
    assert np.median(difference) <= 1
    core = inside.copy()
    core[:2] = core[-2:] = 0
    core[:, :2] = core[:, -2:] = 0
    assert (difference[core > 0] > 3).mean() < 0.02  # Pillow does not blend at the very border


def test_beyond_the_border_an_image_is_grey() -> None:
    white = np.full((40, 40, 3), 255, np.uint8)
    turned = bent(white, augment._matrix(HIGH), (0, 0), (40, 40))
    assert turned[0, 0].tolist() == [127, 127, 127]
    assert turned[20, 20].tolist() == [255, 255, 255]


@pytest.mark.parametrize("preset", PRESETS)
def test_half_of_the_images_are_mirrored(preset: str) -> None:
    image = torch.from_numpy(rgb()).permute(2, 0, 1)
    batch = image.repeat(200, 1, 1, 1)
    draws = uniform_at(np.arange(200), NUM_DRAWS, 5, 0)
    draws[:, [augment.HUE, augment.LIGHTNESS, augment.SATURATION]] = 0.5
    got = Augmentation(preset, is_training=True)(batch, draws)
    mirrored = sum(bool((one == image.flip(-1)).all()) for one in got)
    assert 80 < mirrored < 120
    assert mirrored + sum(bool((one == image).all()) for one in got) == 200


@pytest.mark.parametrize(("preset", "is_training"), [(None, True), ("crop_color", False)])
def test_without_a_preset_and_in_validation_nothing_is_drawn(
    preset: str | None, is_training: bool
) -> None:
    image = torch.from_numpy(rgb()).permute(2, 0, 1)[None]
    way = Augmentation(preset, is_training=is_training)
    assert way.shape(LOW) == way.shape(HIGH)
    assert (way(image.clone(), LOW[None]) == image).all()


def test_windows_stand_anywhere() -> None:
    draws = uniform_at(np.arange(4000), NUM_DRAWS, 5, 0)
    way = Augmentation("crop", is_training=True)
    where = np.array([(one.down, one.right) for one in map(way.shape, draws)])
    counts, _, _ = np.histogram2d(*where.T, bins=4, range=[[0, 1], [0, 1]])
    assert counts.min() > 200  # 250 are expected


def test_on_another_device_the_same_code_serves() -> None:
    """A device that is no processor takes the batch at once; `meta` checks shapes and types."""
    images = torch.empty((3, 3, 8, 8), dtype=torch.uint8, device="meta")
    draws = uniform_at(np.arange(3), NUM_DRAWS, 1, 0)
    got = Augmentation("crop_color", is_training=True)(images, draws)
    assert got.shape == images.shape
    assert got.dtype == torch.uint8
