"""Images to another size: bilinear with antialiasing, which is Pillow's `BILINEAR` to a level or two.

The work is fast_image_resize's, through `cykooz-resizer`: 9 MB, no threads of its own, three to four
times as fast as Pillow. Where it is not installed Pillow does the same. OpenCV's bilinear filter is
twice as fast again, but takes four pixels however many there are, so that what is made smaller
flickers; and it is 150 MB.

Differs from the service: MXNet's reader resizes by OpenCV's bilinear filter, which has no
antialiasing.
"""

import threading
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sm_dl.data.image import PURPOSE
from sm_dl.errors import UserError, optional_import

Pixels = NDArray[np.uint8]
Box = tuple[float, float, float, float]
"""Top, left, height and width of a piece of an image, in pixels; parts of a pixel count."""

_of_thread = threading.local()


def resized(image: Pixels, height: int, width: int, box: Box | None = None) -> Pixels:
    """Return an image in another size, its aspect not kept: `image` itself if it has that size.

    Args:
        image: Shape (height, width, 3); grey (height, width, 1) or (height, width).
        height: Wanted, in pixels.
        width: Wanted, in pixels.
        box: The piece of `image` to take; None means all. To resize and then crop, hand in what the
            crop shows: no pixel outside it is computed.
    Raises:
        ValueError: A size is not positive, the box leaves the image, or it has other channels.
    """
    if box is None and image.shape[:2] == (height, width):
        return image
    top, left, rows, columns = box or (0, 0, *image.shape[:2])
    is_inside = top + rows <= image.shape[0] and left + columns <= image.shape[1]
    is_box = is_inside and min(top, left) >= 0 and min(rows, columns) > 0
    if min(height, width) < 1 or not is_box or image.shape[2:] not in ((), (1,), (3,)):
        raise ValueError(f"cannot make {height} x {width} of {box} of {image.shape}")
    fast = _fast_resizer()
    if fast is None:
        found = _by_pillow(image, (width, height), (left, top, left + columns, top + rows))
        return found.reshape(height, width, *image.shape[2:])
    kind = fast.PixelType.U8x3 if image.shape[2:] == (3,) else fast.PixelType.U8
    source = fast.ImageData(image.shape[1], image.shape[0], kind, image.tobytes())
    target = fast.ImageData(width, height, kind)
    options = fast.ResizeOptions(
        fast.ResizeAlg.convolution(fast.FilterType.bilinear),
        use_alpha=False,
        crop_box=fast.CropBox(left, top, columns, rows),
    )
    _resizer_of_thread(fast).resize(source, target, options)
    pixels: Pixels = np.frombuffer(bytearray(target.get_buffer()), dtype=np.uint8)
    return pixels.reshape(height, width, *image.shape[2:])


def resized_shorter_side(image: Pixels, pixels: int) -> Pixels:
    """Return an image whose shorter side has so many pixels, its aspect kept."""
    return resized(image, *shorter_side(image.shape[0], image.shape[1], pixels))


def shorter_side(height: int, width: int, pixels: int) -> tuple[int, int]:
    """Return height and width once the shorter side has so many pixels; the longer is rounded down.

    As in MXNet's reader. Mind that a long and narrow image may become very long.
    """
    if height <= width:
        return pixels, pixels * width // height
    return pixels * height // width, pixels


def _fast_resizer() -> ModuleType | None:
    """Return cykooz_resizer where it is installed; Pillow does the same at a third of the speed."""
    try:
        return optional_import("cykooz_resizer", extra="images", purpose=PURPOSE)
    except UserError:
        return None


def _resizer_of_thread(fast: ModuleType) -> Any:  # noqa: ANN401 - cykooz_resizer ships no types
    """Return this thread's resizer: one serves one thread at a time, and keeps its buffers."""
    if not hasattr(_of_thread, "resizer"):
        _of_thread.resizer = fast.Resizer()
    return _of_thread.resizer


def _by_pillow(image: Pixels, size: tuple[int, int], box: Box) -> Pixels:
    pillow = optional_import("PIL.Image", extra="images", purpose=PURPOSE)
    plane = image[:, :, 0] if image.shape[2:] == (1,) else image
    return np.array(pillow.fromarray(plane).resize(size, pillow.Resampling.BILINEAR, box=box))
