"""Augmentation (spec section 1.3): what is drawn for an image, and what the draws do.

The draws are numbers in [0, 1) that belong to a place in an epoch, whoever computes it. Ranges and
order are those of MXNet's augmentation levels 1 to 3.

B: images, C: channels, H, W: height and width, D: draws of an image.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sm_dl.algorithms.image_classification.colour import shifted

(
    DOWN, RIGHT, FLIP, HUE, LIGHTNESS, SATURATION, ANGLE, SHEAR, ASPECT, NUM_DRAWS,
) = range(10)  # fmt: skip
"""Which of an image's draws decides what."""
MAX_HUE, MAX_LIGHTNESS, MAX_SATURATION = 36, 50, 50
"""OpenCV's 8-bit units: hue runs from 0 to 180, the others to 255."""
MAX_ANGLE_DEGREES, MAX_SHEAR, MAX_ASPECT = 10, 0.1, 0.25

Matrix = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class Shape:
    """Where an image's window stands, and how the image is bent before."""

    down: float = 0.5
    """Of the room there is: 0 is the first possible window, 1 the last, 0.5 the centre."""
    right: float = 0.5
    matrix: Matrix | None = None
    """From (x, y) of the image, seen from its centre, to (x, y) of the bent one."""


@dataclass(frozen=True)
class Augmentation:
    """One of the presets of `augmentation_type`; None is the centre crop alone."""

    preset: str | None
    is_training: bool
    """Else images come in order, and nothing is drawn."""

    @property
    def _draws(self) -> bool:
        return self.is_training and self.preset is not None

    def shape(self, draws_D: NDArray[np.float64]) -> Shape:
        """Return the geometry of one image."""
        if not self._draws:
            return Shape()
        matrix = _matrix(draws_D) if self.preset == "crop_color_transform" else None
        return Shape(float(draws_D[DOWN]), float(draws_D[RIGHT]), matrix)

    def __call__(self, images_BCHW: Tensor, draws_BD: NDArray[np.float64]) -> Tensor:
        """Return a batch of bytes, mirrored and coloured as was drawn for each image.

        Grey images are mirrored only: they have no hue and no saturation.
        """
        if not self._draws:
            return images_BCHW
        if self.preset != "crop" and images_BCHW.shape[1] == 3:
            shift_B3 = torch.from_numpy(_colour_shifts(draws_BD)).to(images_BCHW.device)
            images_BCHW = shifted(images_BCHW, shift_B3)
        is_mirrored_B = draws_BD[:, FLIP] < 0.5
        if images_BCHW.device.type != "cpu":
            choice_B = torch.from_numpy(is_mirrored_B).to(images_BCHW.device)
            return torch.where(choice_B[:, None, None, None], images_BCHW.flip(-1), images_BCHW)
        for index in np.flatnonzero(is_mirrored_B).tolist():  # half of them: no need to copy all
            images_BCHW[index] = images_BCHW[index : index + 1].flip(-1)[0]
        return images_BCHW


def _colour_shifts(draws_BD: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return whole shifts of hue, lightness and saturation: (B, 3)."""
    ranges = np.array([MAX_HUE, MAX_LIGHTNESS, MAX_SATURATION])
    drawn_B3 = draws_BD[:, [HUE, LIGHTNESS, SATURATION]]
    return np.trunc(ranges * (2 * drawn_B3 - 1)).astype(np.float32)


def _matrix(draws_D: NDArray[np.float64]) -> Matrix:
    """Return the rotation by whole degrees, shear and change of aspect of one image."""
    angle = math.radians(
        math.floor(draws_D[ANGLE] * (2 * MAX_ANGLE_DEGREES + 1)) - MAX_ANGLE_DEGREES
    )
    shear = MAX_SHEAR * (2 * float(draws_D[SHEAR]) - 1)
    aspect = 1 + MAX_ASPECT * (2 * float(draws_D[ASPECT]) - 1)
    high = 2 / (1 + aspect)
    wide = aspect * high
    cosine, sine = math.cos(angle), math.sin(angle)
    return (
        (high * cosine - shear * sine * wide, high * sine + shear * cosine * wide),
        (-sine * wide, cosine * wide),
    )
