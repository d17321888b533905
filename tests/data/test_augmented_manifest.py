"""Augmented manifests and the Pipe-mode streams made of them."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sm_dl.data.annotations import boxes_from_text
from sm_dl.data.augmented_manifest import (
    attribute_bytes,
    class_from_text,
    classes_from_text,
    is_manifest_stream,
    read_samples,
)
from sm_dl.data.recordio import framed, read_records
from sm_dl.errors import UserError
from tests.golden import content, expected, needs_golden


def _fetch(uri: str) -> bytes:
    return content(uri.removeprefix("s3://bucket/"))


@needs_golden
def test_the_golden_classes_are_read() -> None:
    stream = io.BytesIO(content("pipe_classification.rec"))
    for (place, (image, text)), listed in zip(
        read_samples(stream, "a.rec", 2), expected("pipe")["pipe_classification.rec"], strict=True
    ):
        assert image == content(listed["image"])
        assert class_from_text(text, place) == int(listed["label_text"])


@needs_golden
def test_the_golden_marks_are_read() -> None:
    stream = io.BytesIO(content("pipe_multilabel.rec"))
    listed = expected("pipe")["pipe_multilabel.rec"]["samples"]
    found = [classes_from_text(text, place) for place, (_, text) in read_samples(stream, "a", 2)]
    assert found == [json.loads(sample["label_text"]) for sample in listed]


@needs_golden
def test_the_golden_boxes_are_read() -> None:
    stream = io.BytesIO(content("pipe_detection.rec"))
    counts = [
        len(boxes_from_text(text, place)) for place, (_, text) in read_samples(stream, "a", 2)
    ]
    assert counts == [2, 1]


@needs_golden
def test_the_golden_mask_follows_its_image() -> None:
    stream = io.BytesIO(content("pipe_segmentation.rec"))
    (sample,) = read_samples(stream, "a.rec", 2)
    wanted = (content("images/img_00.png"), content("masks/mask_gray.png"))
    assert sample == ("a.rec record 1 at byte 0", wanted)


@needs_golden
@pytest.mark.parametrize(
    ("kind", "names"),
    [("classification", ["source-ref", "class"]), ("detection", ["source-ref", "bounding-box"])],
)
def test_a_golden_manifest_becomes_its_stream(kind: str, names: list[str]) -> None:
    made = [
        attribute
        for line in content(f"pipe_{kind}.manifest").splitlines()
        for attribute in attribute_bytes(json.loads(line), names, "a", _fetch)
    ]
    sent = list(read_records(io.BytesIO(content(f"pipe_{kind}.rec")), "a"))
    assert made[::2] == sent[::2]
    assert [json.loads(text) for text in made[1::2]] == [json.loads(text) for text in sent[1::2]]


@needs_golden
def test_a_stream_of_bare_images_is_told_from_one_with_headers() -> None:
    for name in ("classification", "multilabel", "detection", "segmentation"):
        assert is_manifest_stream(content(f"pipe_{name}.rec"))
    for name in ("images", "multilabel", "detection", "label_forms"):
        assert not is_manifest_stream(content(f"{name}.rec"))
    assert not is_manifest_stream(b"")


@pytest.mark.parametrize(
    ("value", "sent"),
    [("0", b"0"), (1, b"1"), (1.5, b"1.5"), ([1, 0], b"[1,0]"), ({"a": 1}, b'{"a":1}')],
)
def test_values_are_sent_as_text(value: object, sent: bytes) -> None:
    assert attribute_bytes({"label": value}, ["label"], "a", _fetch) == [sent]


@pytest.mark.parametrize(
    ("line", "names", "problem"),
    [
        ({"Label": 1}, ["label"], r"a: expected the attribute 'label', .* got \['Label'\]"),
        ({"x-ref": 1}, ["x-ref"], "a: expected a URI as 'x-ref'; got 1"),
        ({"x": 1}, [], "AttributeNames: expected 1 to 16 names; got 0"),
        ({"x": 1}, ["x"] * 17, "AttributeNames: expected 1 to 16 names; got 17"),
    ],
)
def test_an_attribute_that_cannot_be_sent_is_named(line: dict, names: list, problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        attribute_bytes(line, names, "a", _fetch)


def test_a_sample_that_is_not_whole_is_named() -> None:
    stream = b"".join(framed(text, cuts=True) for text in (b"i", b"0", b"i"))
    samples = read_samples(io.BytesIO(stream), "a.rec", 2)
    assert next(samples)[1] == (b"i", b"0")
    with pytest.raises(
        UserError, match=r"a\.rec record 3 at byte 24: expected 2 records .* after 1"
    ):
        next(samples)


@pytest.mark.parametrize("text", [b"3", b"3.0", b'"3"', b" 3 ", b'"3.0"'])
def test_a_class_comes_in_many_spellings(text: bytes) -> None:
    assert class_from_text(text, "a") == 3


@pytest.mark.parametrize(
    "text", [b"", b"dog", b"-1", b"1.5", b"[1]", b"true", b"null", b"1e99", b"{"]
)
def test_what_is_no_class_is_named(text: bytes) -> None:
    with pytest.raises(UserError, match=r"^a: expected a "):
        class_from_text(text, "a")


@pytest.mark.parametrize("text", [b"[1,0,8]", b'"[1, 0, 8]"', b"[1.0, 0, 8]"])
def test_classes_come_in_many_spellings(text: bytes) -> None:
    assert classes_from_text(text, "a") == [1, 0, 8]


@pytest.mark.parametrize("text", [b"1", b"[-1]", b'["dog"]', b"[[1]]", b"[1", b"{}"])
def test_what_are_no_classes_is_named(text: bytes) -> None:
    with pytest.raises(UserError, match=r"^a: expected a "):
        classes_from_text(text, "a")


@given(st.binary(max_size=40))
def test_any_label_is_read_or_refused(text: bytes) -> None:
    for read in (class_from_text, classes_from_text):
        try:
            read(text, "a")
        except UserError as error:
            assert str(error).startswith("a: ")  # noqa: PT017 - both ways out are right
