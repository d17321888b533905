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

from sm_dl.data.image import MAX_PIXELS
from sm_dl.errors import UserError

Pixels = NDArray[np.uint8]
CENTRE = (0.5, 0.5)


@dataclass(frozen=True)
class Crop:
    """What becomes of an image before augmentation."""

    height_px: int
    width_px: int
    shorter_px: int | None = None
    """What the shorter side is resized to; None leaves the image as it is."""

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
        if height * width > MAX_PIXELS:
            raise UserError(
                f"{place}: expected at most {MAX_PIXELS} pixels after resize={shorter}; got "
                f"{width} x {height}. Cut the image, it is very long and narrow."
            )
        return height, width

    def cut(self, pixels_HWC: Pixels, at: tuple[float, float], place: str) -> Pixels:
        """Return the window of the crop's size that stands at a place of the resized image.

        Args:
            pixels_HWC: The decoded image.
            at: Down and right, each from 0 (first possible window) to 1 (last); 0.5 is the centre.
            place: What to call the image in an error.
        Raises:
            UserError: The image is too small.
        """
        before = (pixels_HWC.shape[0], pixels_HWC.shape[1])
        after = self.resized(*before, place)
        wanted = (self.height_px, self.width_px)
        first = [
            min(int(share * (size - part + 1)), size - part)
            for share, size, part in zip(at, after, wanted, strict=True)
        ]
        if after[0] > before[0] or after[1] > before[1]:
            pixels_HWC, before = resize(pixels_HWC, *after), after
        if before == after:
            return pixels_HWC[first[0] : first[0] + wanted[0], first[1] : first[1] + wanted[1]]
        top, left = (round(f * b / a) for f, b, a in zip(first, before, after, strict=True))
        bottom, right = (
            round((f + w) * b / a) for f, w, b, a in zip(first, wanted, before, after, strict=True)
        )
        return resize(np.ascontiguousarray(pixels_HWC[top:bottom, left:right]), *wanted)


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
