"""Streams of images: records or a manifest's samples, told apart by their first bytes."""

from collections.abc import Callable

import pytest

from sm_dl.data.image_stream import read_image_stream
from sm_dl.data.recordio import framed
from sm_dl.data.source import DataFile
from sm_dl.errors import UserError
from tests.algorithms.image_classification.pictures import flat, manifest_bytes, record_bytes
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
