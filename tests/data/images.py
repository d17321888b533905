"""Images made for a test."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image


def rgb(height: int = 20, width: int = 30) -> np.ndarray:
    """Return smooth pixels, so that JPEG keeps them nearly as they are."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 5, y * 7, (x + y) * 3], axis=-1).clip(0, 255).astype(np.uint8)


def encoded(image: Image.Image | np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    """Return an image file."""
    stream = io.BytesIO()
    made = image if isinstance(image, Image.Image) else Image.fromarray(image)
    made.save(stream, kind, **options)
    return stream.getvalue()


def png_header(width: int, height: int) -> bytes:
    """Return the begin of a PNG that says it is so large, and a little of its data."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(bytes(99)))


def _chunk(name: bytes, content: bytes) -> bytes:
    check = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)
