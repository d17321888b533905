"""Image files to arrays, the same in training and serving, whatever kind of image it is.

| kind | becomes |
| --- | --- |
| grey, palette, alpha, CMYK | RGB; alpha is dropped, not blended |
| 16 bits a channel | its upper 8 bits |
| animated PNG | its first picture |
| EXIF orientation | ignored: boxes and masks are drawn on the pixels as stored |

A JPEG is what libjpeg decodes without a warning. One warning is let pass: bytes without a meaning
between the last scan and the end, as some cameras leave them; the picture is whole there.

Nothing is decoded before the header has been checked against a budget of pixels. Resizing is left
to those who have tensors: it is several times faster there than here.
"""

import io
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sm_dl.data.image_header import ImageHeader, read_header
from sm_dl.data.pixel_budget import PIXELS_VARIABLE, pixel_budget
from sm_dl.errors import UserError, optional_import, shown

END_MARKS = {"PNG": b"IEND\xaeB`\x82", "JPEG": b"\xff\xd9"}
SCALES = (8, 4, 2)
"""Of the sizes at which libjpeg-turbo decodes, eighths of the whole one, only 1/8, 1/4 and 1/2 have vector
code: 3/8 of 1080p takes 1.3 times as long as 1/2, and 5/8 takes 1.7 times as long as the whole."""
CMYK_CHANNELS = 4
PURPOSE = "reading images"
HARMLESS = "extraneous bytes before marker 0xd9"
"""Comes after the last scan only. libjpeg tells the first of its warnings: before any other marker, one
of a scan that ends too soon may hide behind it."""

Colours = Literal["RGB", "L"]
Pixels = NDArray[np.uint8]


def decode(
    content: bytes,
    place: str,
    *,
    colours: Colours = "RGB",
    at_least: tuple[int, int] | None = None,
    max_pixels: int | None = None,
) -> Pixels:
    """Return an image file's pixels: shape (height, width, 3), or (height, width) for grey.

    Args:
        content: A whole JPEG or PNG file.
        place: What to call the image in an error.
        colours: Three channels, or one of grey.
        at_least: Height and width in pixels that are enough. A JPEG of at least twice that is
            decoded at 1/2, 1/4 or 1/8, which is faster; neither side gets smaller than asked.
        max_pixels: More than that are not decoded; by default `pixel_budget` decides.
    Raises:
        UserError: It is no such file, damaged, cut short, or too large.
    """
    header = checked_header(content, place, max_pixels)
    if header.format == "JPEG" and header.channels in (1, 3):
        size = _decoded_size(header, at_least)
        kind = "GRAY" if colours == "L" else "RGB"
        pixels = _guarded(lambda: _by_libjpeg(content, kind, size), place, header)
        return pixels[:, :, 0] if colours == "L" else pixels
    return _guarded(lambda: _by_pillow(content, header, colours), place, header)


def _by_libjpeg(content: bytes, kind: str, size: tuple[int, int]) -> Pixels:
    """Return a JPEG's pixels, shape (height, width, channels), at a scale of at least a size.

    Raises:
        ValueError: libjpeg cannot decode it, or warns of more than what is harmless.
    """
    jpeg = optional_import("simplejpeg", extra="images", purpose=PURPOSE)
    height, width = size
    wanted = {"colorspace": kind, "min_height": height, "min_width": width}
    try:
        pixels: Pixels = jpeg.decode_jpeg(content, **wanted)
    except ValueError as error:
        if HARMLESS not in str(error):
            raise
        pixels = jpeg.decode_jpeg(content, **wanted, strict=False)
    return pixels


def _decoded_size(header: ImageHeader, at_least: tuple[int, int] | None) -> tuple[int, int]:
    """Return height and width of the smallest scale that is enough."""
    whole = header.height_px, header.width_px
    height, width = at_least or whole
    for scale in SCALES:
        scaled = tuple(-(-side // scale) for side in whole)  # as libjpeg rounds
        if scaled[0] >= height and scaled[1] >= width:
            return scaled[0], scaled[1]
    return whole


def jpeg_bytes(pixels: Pixels, *, quality: int = 85) -> bytes:
    """Return a JPEG file of pixels, shape (height, width, 3), or (height, width) for grey."""
    image = optional_import("PIL.Image", extra="images", purpose="writing images")
    stream = io.BytesIO()
    image.fromarray(np.ascontiguousarray(pixels)).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def decode_mask(content: bytes, place: str, *, max_pixels: int | None = None) -> Pixels:
    """Return a mask's class numbers, shape (height, width): the index where there is a palette.

    Raises:
        UserError: It is no PNG of one channel with 8 bits, damaged, cut short, or too large.
    """
    header = checked_header(content, place, max_pixels)
    if header.format != "PNG" or header.channels != 1 or header.bits > 8:
        raise UserError(
            f"{place}: expected a mask: a PNG of one channel with 8 bits, grey or palette; "
            f"got {header}."
        )

    def load() -> Pixels:
        with _opened(content, header) as image:
            return np.array(image, dtype=np.uint8)

    return _guarded(load, place, header)


def checked_header(content: bytes, place: str, max_pixels: int | None = None) -> ImageHeader:
    """Return the header of an image that may be decoded.

    Raises:
        UserError: It is neither JPEG nor PNG, or has too many pixels.
    """
    header = read_header(content, place)
    most = pixel_budget() if max_pixels is None else max_pixels
    if header.height_px * header.width_px > most:
        raise UserError(
            f"{place}: expected at most {most} pixels; got {header.width_px} x {header.height_px}. "
            f"Make the image smaller, or set the environment variable {PIXELS_VARIABLE}."
        )
    return header


def _guarded(load: Callable[[], Pixels], place: str, header: ImageHeader) -> Pixels:
    try:
        return load()
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001 - fed damaged bytes, a decoder may raise anything
        raise UserError(
            f"{place}: the {header} image is damaged or cut short ({shown(str(error))}). "
            "Copy the image again, or remove it."
        ) from None


def _by_pillow(content: bytes, header: ImageHeader, colours: Colours) -> Pixels:
    """Return the pixels of what is no JPEG of one or three channels."""
    if header.format == "JPEG" and header.channels == CMYK_CHANNELS:
        # Pillow hears no warning of libjpeg; all scans are read at the smallest scale, too
        _by_libjpeg(content, "CMYK", (1, 1))
    with _opened(content, header) as image:
        if image.mode.startswith("I"):  # 16 bits, which Pillow would clip
            upper = (np.array(image).astype(np.uint32) >> 8).astype(np.uint8)
            return upper if colours == "L" else np.repeat(upper[:, :, None], 3, axis=2)
        # palette entries may be transparent: without this, Pillow would blend them
        image.info.pop("transparency", None)
        return np.array(image.convert("RGB").convert(colours))


def _opened(content: bytes, header: ImageHeader) -> Any:  # noqa: ANN401 - Pillow may be missing
    """Return Pillow's image, read by the one plug-in that its format needs."""
    name = "PngImagePlugin" if header.format == "PNG" else "JpegImagePlugin"
    plugin = optional_import(f"PIL.{name}", extra="images", purpose=PURPOSE)
    kind = plugin.PngImageFile if header.format == "PNG" else plugin.JpegImageFile
    if content.rfind(END_MARKS[header.format]) < 0:  # Pillow is content once the pixels are there
        raise EOFError("the end of the file is missing")
    image = kind(io.BytesIO(content))
    image.load()
    return image
