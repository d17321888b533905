"""A contact sheet: small JPEG pictures that stand in the page itself."""

import base64
import binascii
from typing import Any

from sm_dl.contract.figures import Picture, Pictures

SHOWN_PX = 128
"""Smaller pictures are enlarged, pixel by pixel, until their longer side is about as long."""
JPEG_START = b"\xff\xd8\xff"


def shown(figure: Pictures) -> list[dict[str, Any]]:
    """Return what the page needs to show the pictures; what is no JPEG file is left out."""
    return [_picture(one) for one in figure.pictures if _is_jpeg(one.jpeg)]


def _picture(picture: Picture) -> dict[str, Any]:
    factor = max(1, round(SHOWN_PX / max(picture.width_px, picture.height_px, 1)))
    return {
        "source": f"data:image/jpeg;base64,{picture.jpeg}",
        "width": picture.width_px * factor,
        "height": picture.height_px * factor,
        "is_enlarged": factor > 1,
        "caption": picture.caption,
        "detail": picture.detail,
    }


def _is_jpeg(text: str) -> bool:
    try:
        return base64.b64decode(text, validate=True).startswith(JPEG_START)
    except (binascii.Error, ValueError):
        return False
