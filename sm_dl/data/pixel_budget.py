"""How many pixels an image may have to be decoded: what a bomb of a few kilobytes may cost in memory."""

import os
import re
from collections.abc import Mapping

from sm_dl.errors import UserError, shown

PIXELS_VARIABLE = "SM_DL_MAX_IMAGE_PIXELS"
DEFAULT_PIXELS = 50_000_000
"""150 MB as RGB; cameras of the day stay below."""


def pixel_budget(environment: Mapping[str, str] = os.environ) -> int:
    """Return the most pixels of an image that is decoded.

    Ask for it once before the first image is read: of an image the error could be taken for its own.

    Raises:
        UserError: The variable holds no whole number from 1 to 12 digits.
    """
    text = environment.get(PIXELS_VARIABLE, "").strip()
    if not text:
        return DEFAULT_PIXELS
    if not re.fullmatch(r"[1-9][0-9]{0,11}", text):
        raise UserError(
            f"environment variable {PIXELS_VARIABLE}: expected a whole number of pixels, 1 or more; got "
            f"{shown(text)}. Unset it for {DEFAULT_PIXELS}."
        )
    return int(text)
