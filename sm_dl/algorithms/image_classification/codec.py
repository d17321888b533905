"""Requests and answers: one encoded image in, one probability a class out (spec section 6)."""

import os
from collections.abc import Mapping

import numpy as np
import orjson
from numpy.typing import NDArray

from sm_dl.algorithms.image_classification.data import prepared
from sm_dl.content_types import JSON, JSON_LINES
from sm_dl.data.frames import MAGIC_BYTES
from sm_dl.data.image_header import JPEG_SIGNATURE, PNG_SIGNATURE
from sm_dl.errors import UserError, shown

Pixels = NDArray[np.uint8]
Probabilities = NDArray[np.float32]

BATCH_VARIABLE = "SAGEMAKER_BATCH"
FIT_VARIABLE = "IMAGE_CLASSIFICATION_FIT"
SQUASH, CROP = "squash", "crop"
ENDS = {JPEG_SIGNATURE: b"\xff\xd9", PNG_SIGNATURE: b"IEND\xaeB`\x82"}
MULTI_PICTURE = b"MPF\0"
"""In the head of JPEG files in which cameras put a second, smaller picture behind the first."""


def is_cropping(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether images are resized and cropped as in validation, not squashed.

    Raises:
        UserError: The variable holds neither of the two.
    """
    value = environment.get(FIT_VARIABLE, "").strip().lower() or SQUASH
    if value not in (SQUASH, CROP):
        raise UserError(
            f"environment variable {FIT_VARIABLE}: expected {SQUASH} (the service's way) or {CROP} "
            f"(resize and centre crop, as in validation); got {shown(value)}."
        )
    return value == CROP


def default_answer_type(environment: Mapping[str, str] = os.environ) -> str:
    """Return what is answered when nobody asks: a batch transform gets JSON Lines."""
    is_batch = environment.get(BATCH_VARIABLE, "").strip().lower() == "true"
    return JSON_LINES if is_batch else JSON


def decode(body: bytes, shape: tuple[int, int, int], shorter_px: int | None) -> Pixels:
    """Return the image of a request as the network wants it: bytes, shape (channels, height, width).

    Args:
        body: A JPEG or PNG file.
        shape: Channels, height and width.
        shorter_px: None squashes the image to the shape; else see `data.prepared`.
    Raises:
        UserError: It is no image, or more than one.
    """
    if body.startswith(MAGIC_BYTES):
        raise UserError(
            "request body: expected one JPEG or PNG image; got RecordIO records. Send images one by "
            "one: a batch transform needs SplitType None and BatchStrategy SingleRecord."
        )
    if _holds_several(body):
        raise UserError(
            "request body: expected one image; got several, one behind the other. Send them one "
            "by one: a batch transform needs BatchStrategy SingleRecord."
        )
    return prepared(body, shape=shape, crop=shorter_px, place="request body")


def _holds_several(body: bytes) -> bool:
    """Return whether a JPEG or PNG file ends where another one, of either format, begins."""
    end = next((end for signature, end in ENDS.items() if body.startswith(signature)), None)
    if end is None:
        return False
    ends = [at for signature in ENDS if (at := body.find(end + signature)) >= 0]
    return bool(ends) and MULTI_PICTURE not in body[: min(ends)]


def encode(probabilities_K: Probabilities, media_type: str) -> bytes:
    """Return the response body: a bare JSON array, or `{"prediction": [...]}` on a line."""
    if media_type == JSON_LINES:
        return _json({"prediction": probabilities_K}) + b"\n"
    return _json(probabilities_K)


def _json(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
