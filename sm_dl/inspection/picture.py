"""What an image file is, and which values a mask holds."""

import numpy as np

from sm_dl.data.image import decode, decode_mask
from sm_dl.data.image_header import ImageHeader, read_header
from sm_dl.data.pixel_budget import pixel_budget
from sm_dl.errors import UserError
from sm_dl.inspection.histogram import histogram


def look_at_picture(content: bytes, name: str) -> list[str]:
    """Return what an image file holds; it is decoded when it is not too large for that.

    Raises:
        UserError: It is damaged.
    """
    header = read_header(content, name)
    lines = [f"image: {header}"]
    if header.height_px * header.width_px > pixel_budget():
        return [*lines, f"more than {pixel_budget()} pixels: training and serving refuse it"]
    if _may_be_mask(header):
        values, counts = np.unique(decode_mask(content, name), return_counts=True)
        found = dict(zip(values.tolist(), counts.tolist(), strict=True))
        return [*lines, "as a mask, pixels by value (255 is a hole):", *histogram(found)]
    means = decode(content, name).mean(axis=(0, 1))
    return [*lines, f"mean of red, green, blue: {', '.join(f'{mean:.1f}' for mean in means)}"]


def picture_title(content: bytes) -> str | None:
    """Return format and size of an image that is part of a record, or None if it is none."""
    try:
        return str(read_header(content, ""))
    except UserError:
        return None


def _may_be_mask(header: ImageHeader) -> bool:
    return header.format == "PNG" and header.channels == 1 and header.bits <= 8
