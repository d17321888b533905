"""What an image file says of itself, read before anything is decoded: JPEG and PNG only."""

import struct
from dataclasses import dataclass
from typing import Literal

from sm_dl.errors import UserError, shown

JPEG_SIGNATURE = b"\xff\xd8\xff"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Channels by colour type: grey, RGB, palette, grey with alpha, RGB with alpha."""
PNG_PALETTE = 3
MAX_SIDE_PX = 65535
"""JPEG's own limit."""

OTHER_FORMATS = (
    ("GIF", b"GIF87a"),
    ("GIF", b"GIF89a"),
    ("TIFF", b"II*\0"),
    ("TIFF", b"MM\0*"),
    ("JPEG 2000", b"\0\0\0\x0cjP  "),
    ("JPEG XL", b"\0\0\0\x0cJXL "),
)
"""What files begin with that are images all the same; WebP, HEIF and BMP say it further on."""

_NO_FRAMES = {0xC4, 0xC8, 0xCC}
_FRAMES = set(range(0xC0, 0xD0)) - _NO_FRAMES
_BARE = {0x01, *range(0xD0, 0xD8)}
_SCAN, _END = 0xDA, 0xD9


@dataclass(frozen=True)
class ImageHeader:
    """Format and size of an image."""

    format: Literal["JPEG", "PNG"]
    height_px: int
    width_px: int
    channels: int
    bits: int
    """Of each channel."""
    is_palette: bool = False

    def __str__(self) -> str:
        kind = "palette" if self.is_palette else f"{self.channels} x {self.bits} bit"
        return f"{self.format} {self.width_px} x {self.height_px} ({kind})"


def is_image(content: bytes) -> bool:
    """Return whether bytes begin as JPEG or PNG files do."""
    return content.startswith((JPEG_SIGNATURE, PNG_SIGNATURE))


def other_format(content: bytes) -> str | None:
    """Return the name of the format of an image that is neither JPEG nor PNG; None of anything else."""
    for name, signature in OTHER_FORMATS:
        if content.startswith(signature):
            return name
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "WebP"
    if content[4:8] == b"ftyp" and content[8:12] in (b"avif", b"heic", b"heix", b"mif1"):
        return "AVIF" if content[8:12] == b"avif" else "HEIF"
    if content.startswith(b"BM") and content[6:10] == bytes(4) and content[14:18] == b"\x28\0\0\0":
        return "BMP"
    return None


def read_header(content: bytes, place: str) -> ImageHeader:
    """Return what the first bytes of an image file say.

    Raises:
        UserError: They are neither JPEG nor PNG, or end within the header.
    """
    header = None
    if content.startswith(PNG_SIGNATURE):
        header = _png(content)
    elif content.startswith(JPEG_SIGNATURE):
        header = _jpeg(content)
    else:
        begin, known = content[:8].hex(" "), other_format(content)
        came = f"a {known} image" if known else f"bytes {begin}" if begin else "nothing"
        raise UserError(
            f"{place}: expected a JPEG or PNG image; got {came}. "
            "Convert the image, or remove it from the channel."
        )
    if header is None:
        raise UserError(
            f"{place}: the header of the image is damaged or cut short: got {len(content)} bytes "
            f"that begin {shown(content[:16])}. Copy the image again."
        )
    if not 0 < header.width_px <= MAX_SIDE_PX or not 0 < header.height_px <= MAX_SIDE_PX:
        raise UserError(
            f"{place}: expected sides of 1 to {MAX_SIDE_PX} pixels; "
            f"got {header.width_px} x {header.height_px}."
        )
    return header


def _png(content: bytes) -> ImageHeader | None:
    if len(content) < 33 or content[12:16] != b"IHDR":
        return None
    width, height, bits, colour = struct.unpack_from(">IIBB", content, 16)
    if colour not in PNG_CHANNELS:
        return None
    return ImageHeader("PNG", height, width, PNG_CHANNELS[colour], bits, colour == PNG_PALETTE)


def _jpeg(content: bytes) -> ImageHeader | None:
    """Return what the frame header says; segments before it are stepped over by their lengths."""
    position = 2
    while position + 4 <= len(content) and content[position] == 0xFF:
        marker = content[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        if marker in _BARE:
            position += 2
            continue
        if marker in (_SCAN, _END):
            return None
        if marker in _FRAMES:
            if position + 10 > len(content):
                return None
            bits, height, width, channels = struct.unpack_from(">BHHB", content, position + 4)
            return ImageHeader("JPEG", height, width, channels, bits)
        position += 2 + int.from_bytes(content[position + 2 : position + 4], "big")
    return None
