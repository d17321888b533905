"""Streams of images: records or a manifest's samples, told apart by their first bytes."""

from collections.abc import Callable

import pytest

from sm_dl.data.image_header import read_header
from sm_dl.data.image_stream import read_image_stream
from sm_dl.data.recordio import framed
from sm_dl.data.source import DataFile
from sm_dl.errors import UserError
from tests.algorithms.image_classification.pictures import flat, manifest_bytes, record_bytes
from tests.data.images import encoded, rgb
from tests.golden import content, needs_golden

Maker = Callable[..., DataFile]


def test_records_come_whole(data_file: Maker) -> None:
    images = [flat(number) for number in range(3)]
    got = list(read_image_stream(data_file(record_bytes(images))))
    assert [one.annotation for one in got] == [None] * 3
    assert [one.payload[24:] for one in got] == images
    assert [one.place.partition(" at ")[0] for one in got] == [
        f"train/a.json record {number}" for number in (1, 2, 3)
    ]


def test_a_manifest_comes_as_images_and_annotations(data_file: Maker) -> None:
    images = [flat(number) for number in range(3)]
    got = list(read_image_stream(data_file(manifest_bytes(images, ["0", "1", "[2]"]))))
    assert [(one.payload, one.annotation) for one in got] == [
        (images[0], b"0"), (images[1], b"1"), (images[2], b"[2]"),
    ]  # fmt: skip
    assert [one.place.partition(" at ")[0] for one in got] == [
        f"train/a.json record {number}" for number in (1, 3, 5)
    ]


def test_an_empty_stream_has_no_images(data_file: Maker) -> None:
    assert list(read_image_stream(data_file(b""))) == []


def test_a_record_shorter_than_what_is_looked_at_is_one(data_file: Maker) -> None:
    (got,) = read_image_stream(data_file(framed(b"a", cuts=True)))
    assert got.payload == b"a"


def _sent(*payloads: bytes) -> bytes:
    return b"".join(framed(payload, cuts=True) for payload in payloads)


@pytest.mark.parametrize(
    ("payloads", "expected"),
    [
        ([b"0", flat(1), b"1", flat(2)], "got the text b'0': the label comes first"),
        ([b"cat", flat(1)], "got the text b'cat': the label comes first"),
        ([b"[1, 0, 1]", flat(1)], "the label comes first in AttributeNames"),
        ([b'"1"', b'"0"'], "the image attribute is missing"),
        ([b"0"], "the image attribute is missing"),
        (
            [b'{"class-name": "a long name of a class"}', b'{"class-name": "b"}'],
            "image attribute is",
        ),
        ([flat(1), flat(2), flat(3)], "got two images: the label attribute is missing"),
        ([flat(1), b"0", b'{"a": 1}', flat(2)], "got b'{\"a\": 1}' and an image: .* more than 2"),
    ],
)
def test_attributes_that_are_missing_or_swapped_are_named(
    payloads: list[bytes], expected: str, data_file: Maker
) -> None:
    with pytest.raises(UserError, match=expected) as caught:
        list(read_image_stream(data_file(_sent(*payloads))))
    assert "train/a.json record " in str(caught.value)
    assert 'e.g. ["source-ref", "class"].' in str(caught.value)


def test_a_first_record_that_is_too_short_may_be_left_out_of_others(data_file: Maker) -> None:
    content = _sent(b"short") + record_bytes([flat(1), flat(2)])
    assert len(list(read_image_stream(data_file(content)))) == 3


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WebP", "BMP", "JPEG 2000"])
def test_a_manifest_of_other_images_is_one(kind: str, data_file: Maker) -> None:
    picture = encoded(rgb(), kind.replace(" ", ""))
    (got,) = read_image_stream(data_file(_sent(picture, b"0")))
    assert (got.payload, got.annotation) == (picture, b"0")
    with pytest.raises(
        UserError, match=f"expected a JPEG or PNG image; got a {kind} image. Convert"
    ):
        read_header(got.payload, got.place)


@pytest.mark.parametrize("content", [b"\xff\xd8\xff\xe0" + bytes(100), b"a", b"0\t0\ta.jpg\n" * 20])
def test_what_is_not_framed_is_refused(content: bytes, data_file: Maker) -> None:
    with pytest.raises(UserError, match=r"\(Input Error\) Unable to parse record: .* magic number"):
        list(read_image_stream(data_file(content)))


@needs_golden
def test_the_golden_streams_are_told_apart(data_file: Maker) -> None:
    of_manifest = list(read_image_stream(data_file(content("pipe_classification.rec"))))
    of_records = list(read_image_stream(data_file(content("images.rec"))))
    assert {one.annotation is None for one in of_manifest} == {False}
    assert {one.annotation is None for one in of_records} == {True}
    assert of_manifest[0].annotation == b"0"
