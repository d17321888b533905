"""From a decoded image to the network's size: resize the shorter side, cut a window out.

Only what the window shows is resized: cut first, on whole pixels of the image, and resized then, it
differs by at most half a pixel of place from the whole image resized and cut. The filter is bilinear
with antialiasing, on bytes. Differs from the service: OpenCV's bilinear filter has none.

H, W: height and width of an image, C: its channels.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from sm_dl.algorithms.image_classification.augment import Matrix, Shape
from sm_dl.data.image import Colours, decode
from sm_dl.data.pixel_budget import pixel_budget
from sm_dl.errors import UserError

Pixels = NDArray[np.uint8]
OUTSIDE = 127.0
"""What a bent image shows beyond its border, as in MXNet's example."""


@dataclass(frozen=True)
class Squash:
    """The whole image in the network's size, its aspect not kept: what the endpoint does."""

    height_px: int
    width_px: int
    channels: int

    @property
    def at_least(self) -> tuple[int, int] | None:
        """Return the height and width that are enough of an image."""
        return self.height_px, self.width_px

    def cut(self, pixels_HWC: Pixels, shape: Shape, place: str) -> Pixels:  # noqa: ARG002 - as `Crop`
        """Return the squashed image."""
        return resize(pixels_HWC, self.height_px, self.width_px)


@dataclass(frozen=True)
class Crop:
    """The shorter side resized, if at all, and a window of the network's size cut out."""

    height_px: int
    width_px: int
    channels: int
    shorter_px: int | None = None
    """What the shorter side is resized to; None leaves the image as it is."""

    @property
    def at_least(self) -> tuple[int, int] | None:
        """Return the height and width that are enough of an image; None: all of it."""
        return None if self.shorter_px is None else (self.shorter_px, self.shorter_px)

    def resized(self, height: int, width: int, place: str) -> tuple[int, int]:
        """Return height and width of an image once its shorter side has been resized.

        Raises:
            UserError: It is then smaller than the crop, or absurdly large.
        """
        shorter = self.shorter_px
        if shorter is not None:
            longer = max(shorter, shorter * max(height, width) // min(height, width))
            height, width = (shorter, longer) if height <= width else (longer, shorter)
        if height < self.height_px or width < self.width_px:
            cure = "resize" if shorter is None else f"a larger resize than {shorter}"
            raise UserError(
                f"{place}: expected an image of at least {self.width_px} x {self.height_px} pixels, "
                f"the size that image_shape cuts out; got {width} x {height}. "
                f"Set {cure}, or leave the image out."
            )
        if height * width > pixel_budget():
            raise UserError(
                f"{place}: expected at most {pixel_budget()} pixels after resize={shorter}; got "
                f"{width} x {height}. Cut the image, it is very long and narrow."
            )
        return height, width

    def cut(self, pixels_HWC: Pixels, shape: Shape, place: str) -> Pixels:
        """Return the window of the crop's size that stands at a place of the resized image.

        Args:
            pixels_HWC: The decoded image.
            shape: Where the window stands, and how the image is bent before it is cut out.
            place: What to call the image in an error.
        Raises:
            UserError: The image is too small.
        """
        before = (pixels_HWC.shape[0], pixels_HWC.shape[1])
        after = self.resized(*before, place)
        wanted = (self.height_px, self.width_px)
        top, left = (
            min(int(share * (size - part + 1)), size - part)
            for share, size, part in zip((shape.down, shape.right), after, wanted, strict=True)
        )
        is_bent = shape.matrix is not None
        if is_bent or after[0] > before[0] or after[1] > before[1]:
            pixels_HWC, before = resize(pixels_HWC, *after), after
        if shape.matrix is not None:
            return bent(pixels_HWC, shape.matrix, (top, left), wanted)
        if before == after:
            return pixels_HWC[top : top + wanted[0], left : left + wanted[1]]
        rows, columns = (
            slice(round(first * b / a), round((first + part) * b / a))
            for first, part, b, a in zip((top, left), wanted, before, after, strict=True)
        )
        return resize(np.ascontiguousarray(pixels_HWC[rows, columns]), *wanted)


def bent(
    pixels_HWC: Pixels, matrix: Matrix, first: tuple[int, int], wanted: tuple[int, int]
) -> Pixels:
    """Return a window of an image that has been bent around its centre, bilinear.

    Args:
        pixels_HWC: The image; what lies outside of it is grey.
        matrix: From (x, y) of the image to (x, y) of the bent one.
        first: Row and column of the bent image where the window begins.
        wanted: Height and width of the window.
    """
    height, width, _ = pixels_HWC.shape
    inverse = np.linalg.inv(np.array(matrix))
    x = np.arange(wanted[1]) + (first[1] + 0.5 - width / 2)
    y = np.arange(wanted[0]) + (first[0] + 0.5 - height / 2)
    scale = inverse * (2 / np.array([[width], [height]]))  # grid_sample counts from -1 to 1
    grid_HW2 = np.empty((*wanted, 2), dtype=np.float32)
    for axis in range(2):
        np.add.outer(
            y * scale[axis, 1], x * scale[axis, 0], out=grid_HW2[:, :, axis], casting="same_kind"
        )
    centred_HWC = pixels_HWC.astype(np.float32)
    centred_HWC -= OUTSIDE
    sampled_BCHW = functional.grid_sample(
        torch.from_numpy(centred_HWC).unsqueeze(0).permute(0, 3, 1, 2),
        torch.from_numpy(grid_HW2).unsqueeze(0),
        align_corners=False,
    )
    sampled_CHW = sampled_BCHW[0].numpy()
    sampled_CHW += OUTSIDE + 0.5  # the conversion cuts the fraction off
    return sampled_CHW.astype(np.uint8).transpose(1, 2, 0)


def pixels_of(content: bytes, place: str, crop: Crop | Squash) -> Pixels:
    """Return an image file's pixels, decoded no larger than needed: (height, width, channels).

    Raises:
        UserError: It is neither JPEG nor PNG, damaged, or too large.
    """
    colours: Colours = "L" if crop.channels == 1 else "RGB"
    pixels = decode(content, place, colours=colours, at_least=crop.at_least)
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


def resize(pixels_HWC: Pixels, height: int, width: int) -> Pixels:
    """Return an image in another size, its aspect not kept: bilinear with antialiasing, on bytes.

    For images of bytes whose channels lie side by side the kernel runs in this thread alone.
    """
    if pixels_HWC.shape[:2] == (height, width):
        return pixels_HWC
    image_BCHW = torch.from_numpy(pixels_HWC).unsqueeze(0).permute(0, 3, 1, 2)
    resized_BCHW = functional.interpolate(
        image_BCHW, (height, width), mode="bilinear", align_corners=False, antialias=True
    )
    resized: Pixels = resized_BCHW.permute(0, 2, 3, 1)[0].numpy()
    return resized
