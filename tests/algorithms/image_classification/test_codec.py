"""Requests are one image each; answers have the service's two forms."""

import json

import numpy as np
import pytest

from sm_dl.algorithms.image_classification import codec
from sm_dl.content_types import JSON, JSON_LINES
from sm_dl.data.recordio import framed
from sm_dl.errors import UserError

SHAPE = (3, 12, 16)
PROBABILITIES = np.array([0.25, 0.5, 0.25], dtype=np.float32)


def test_json_is_a_bare_array() -> None:
    assert codec.encode(PROBABILITIES, JSON) == b"[0.25,0.5,0.25]"


def test_json_lines_is_an_object_on_a_line() -> None:
    assert codec.encode(PROBABILITIES, JSON_LINES) == b'{"prediction":[0.25,0.5,0.25]}\n'


def test_an_answer_read_back_is_the_numbers_that_were_sent() -> None:
    numbers = np.random.default_rng(1).random(1000).astype(np.float32)
    read = np.array(json.loads(codec.encode(numbers, JSON)), dtype=np.float32)
    np.testing.assert_array_equal(read, numbers)


@pytest.mark.parametrize(("text", "expected"), [(None, JSON), ("", JSON), ("false", JSON)])
def test_an_endpoint_answers_with_json(text: str | None, expected: str) -> None:
    assert codec.default_answer_type({} if text is None else {"SAGEMAKER_BATCH": text}) == expected


@pytest.mark.parametrize("text", ["true", "True", " TRUE "])
def test_a_batch_transform_answers_with_json_lines(text: str) -> None:
    assert codec.default_answer_type({"SAGEMAKER_BATCH": text}) == JSON_LINES


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("RGB", "PNG"),
        ("RGB", "JPEG"),
        ("L", "PNG"),
        ("L", "JPEG"),
        ("P", "PNG"),
        ("RGBA", "PNG"),
        ("CMYK", "JPEG"),
    ],
)
def test_every_kind_of_image_becomes_the_shape_of_the_network(image, mode: str, kind: str) -> None:
    pixels = codec.decode(image(mode=mode, kind=kind), SHAPE, None)
    assert (pixels.shape, pixels.dtype) == (SHAPE, np.uint8)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_grey_model_takes_any_image_too(image, mode: str) -> None:
    assert codec.decode(image(mode=mode), (1, 12, 16), None).shape == (1, 12, 16)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 500), (12, 16)])
def test_an_image_of_any_size_is_squashed(image, height: int, width: int) -> None:
    assert codec.decode(image(height, width), SHAPE, None).shape == SHAPE


def test_squashing_shows_the_whole_image_and_cropping_its_centre() -> None:
    import io  # noqa: PLC0415

    from PIL import Image  # noqa: PLC0415

    pixels = np.zeros((40, 160, 3), dtype=np.uint8)
    pixels[:, :20] = 255  # a white edge on the left
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    assert codec.decode(stream.getvalue(), SHAPE, None).max() > 200
    assert codec.decode(stream.getvalue(), SHAPE, 16).max() == 0


def test_cropping_is_asked_for_by_a_variable() -> None:
    assert not codec.is_cropping({})
    assert codec.is_cropping({codec.FIT_VARIABLE: "Crop"})
    with pytest.raises(UserError, match="IMAGE_CLASSIFICATION_FIT: expected squash"):
        codec.is_cropping({codec.FIT_VARIABLE: "stretch"})


@pytest.mark.parametrize("first", ["PNG", "JPEG"])
@pytest.mark.parametrize("second", ["PNG", "JPEG"])
def test_several_images_in_one_body_are_refused(image, first: str, second: str) -> None:
    with pytest.raises(UserError, match="expected one image; got several"):
        codec.decode(image(kind=first) + image(kind=second), SHAPE, None)


def test_a_camera_s_second_picture_is_no_second_image(image) -> None:
    first = image(kind="JPEG")
    marked = first[:2] + b"\xff\xe2\x00\x08MPF\0\0\0" + first[2:]
    assert codec.decode(marked + image(10, 10, kind="JPEG"), SHAPE, None).shape == SHAPE


def test_records_are_refused_with_what_to_do(image) -> None:
    with pytest.raises(UserError, match="BatchStrategy SingleRecord"):
        codec.decode(framed(image(), cuts=True), SHAPE, None)


@pytest.mark.parametrize("body", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
def test_what_is_no_image_is_refused_in_one_sentence(body: bytes) -> None:
    with pytest.raises(UserError, match="request body"):
        codec.decode(body, SHAPE, None)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_cut_image_is_refused(image, kind: str) -> None:
    whole = image(200, 200, kind=kind)
    with pytest.raises(UserError, match="damaged or cut short"):
        codec.decode(whole[: len(whole) // 2], SHAPE, None)


def test_a_bomb_is_refused_before_it_is_decoded(image) -> None:
    bomb = bytearray(image())
    bomb[16:24] = (60_000).to_bytes(4, "big") * 2  # width and height in the header
    with pytest.raises(UserError, match="expected at most 50000000 pixels; got 60000 x 60000"):
        codec.decode(bytes(bomb), SHAPE, None)
