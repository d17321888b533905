"""Hue, lightness and saturation shifted, in OpenCV's 8-bit units.

Hue goes round from 0 to 180, the others from 0 to 255 and are clipped there. A grey pixel has hue 0.
Differs from the service: MXNet's augmenter clips the hue as well, which tears a red surface, whose
hues lie on both sides of 0, in two; and it rounds to 8 bits between the two conversions.

B: images, H, W: their size; 3: red, green, blue; hue, lightness, saturation.
"""

import torch
from torch import Tensor

CHUNK_PIXELS = 1 << 16
"""On a processor so many pixels are taken at once: then they stay in its cache."""


def shifted(images_B3HW: Tensor, shift_B3: Tensor) -> Tensor:
    """Return images of bytes with their colours shifted, each by numbers of its own.

    Args:
        images_B3HW: Red, green and blue.
        shift_B3: Hue, lightness and saturation, in OpenCV's 8-bit units.
    """
    shifted_B3HW = torch.empty_like(images_B3HW)
    num_pixels = images_B3HW.shape[2] * images_B3HW.shape[3]
    chunk = max(1, CHUNK_PIXELS // num_pixels)
    if images_B3HW.device.type != "cpu":
        chunk = len(images_B3HW)
    for start in range(0, len(images_B3HW), chunk):
        part = slice(start, start + chunk)
        _shift(images_B3HW[part], shift_B3[part], shifted_B3HW[part])
    return shifted_B3HW


def _shift(images_B3HW: Tensor, shift_B3: Tensor, shifted_B3HW: Tensor) -> None:
    """Write the shifted images into `shifted_B3HW`; lightness is in 0 to 255, hue in 0 to 6."""
    red, green, blue = (plane.float() for plane in images_B3HW.unbind(1))
    shift_of_hue, shift_of_lightness, shift_of_saturation = shift_B3[:, :, None, None].unbind(1)
    most = torch.maximum(torch.maximum(red, green), blue)
    least = torch.minimum(torch.minimum(red, green), blue)
    chroma = most - least
    total = most + least
    hue = torch.where(
        most == red,
        green - blue,
        torch.where(most == green, blue - red + 2 * chroma, red - green + 4 * chroma),
    ).div_(chroma.clamp(min=1.0))  # whole numbers: a chroma below 1 is 0, as is the hue then
    hue.add_(shift_of_hue / 30)
    hue.sub_((hue / 6).floor_().mul_(6))  # three times as fast as remainder()
    saturation = chroma.div_(torch.minimum(total, 510 - total).clamp_(min=1.0))
    saturation.add_(shift_of_saturation / 255).clamp_(0, 1)
    lightness = total.mul_(0.5).add_(shift_of_lightness).clamp_(0, 255)
    half_chroma = torch.minimum(lightness, 255 - lightness).mul_(saturation)
    rounding = lightness.add_(0.5)  # what follows cuts the fraction off
    # each channel is a trapezoid over the hue: full for two sixths, empty for two, slopes between
    for channel, (centre, sign) in enumerate(((3, 1), (2, -1), (4, -1))):
        height = (hue - centre).abs_().mul_(2 * sign).sub_(3 * sign).clamp_(-1, 1)
        shifted_B3HW[:, channel] = height.mul_(half_chroma).add_(rounding)
