"""Augmentation (spec section 1.3): what is drawn for an image, and what the draws do to a batch.

The draws are numbers in [0, 1) that belong to a place in an epoch, whoever computes it. Colours are
shifted in 8-bit HLS units as OpenCV has them, clipped at their ends as MXNet's augmenter does.

B: images, C: channels, H, W: height and width, D: draws of an image.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sm_dl.algorithms.image_classification.crop import CENTRE

DOWN, RIGHT, FLIP, HUE, SATURATION, LIGHTNESS = range(6)
"""Which of an image's draws decides what."""
NUM_DRAWS = 12
MAX_HUE, MAX_SATURATION, MAX_LIGHTNESS = 36, 50, 50
"""OpenCV's 8-bit units: hue runs from 0 to 180, the others to 255."""


class Augmentation:
    """One of the presets of `augmentation_type`; None is the centre crop alone."""

    def __init__(self, preset: str | None) -> None:
        """Remember what is to be drawn."""
        self._crops = preset is not None
        self._colours = preset in ("crop_color", "crop_color_transform")
        self.num_draws = NUM_DRAWS

    def crop_at(self, draws_D: NDArray[np.float64]) -> tuple[float, float]:
        """Return where an image's window stands, down and right, each from 0 to 1."""
        return (float(draws_D[DOWN]), float(draws_D[RIGHT])) if self._crops else CENTRE

    def __call__(self, images_BCHW: Tensor, draws_BD: Tensor) -> Tensor:
        """Return the batch, flipped and coloured as was drawn for each image."""
        if not self._crops:
            return images_BCHW
        is_flipped_B = draws_BD[:, FLIP] < 0.5
        return torch.where(is_flipped_B[:, None, None, None], images_BCHW.flip(-1), images_BCHW)
