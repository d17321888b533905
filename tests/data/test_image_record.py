"""MXNet's image records."""

import hashlib
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sm_dl.data.image_record import (
    HEADER,
    image_record_bytes,
    image_record_from_bytes,
    read_image_records,
)
from sm_dl.data.recordio import framed
from sm_dl.errors import UserError
from tests.golden import content, expected, needs_golden

FILES = ["images.rec", "multilabel.rec", "detection.rec", "detection_object_width6.rec"]


@needs_golden
@pytest.mark.parametrize("name", FILES)
def test_golden_records_have_their_labels_ids_and_images(name: str) -> None:
    for record, listed in zip(
        read_image_records(io.BytesIO(content(name)), name), expected("mxnet")[name], strict=True
    ):
        assert record.labels.tolist() == np.ravel(listed["label"]).tolist()
        assert (record.identity, record.second_identity) == (listed["id"], listed["id2"])
        assert record.is_vector == (listed["flag"] > 0)
        assert hashlib.sha256(record.image).hexdigest() == listed["image_sha256"]
        assert record.place.endswith(f"at byte {listed['offset']}")


@needs_golden
def test_a_label_comes_in_every_form() -> None:
    records = list(read_image_records(io.BytesIO(content("label_forms.rec")), "a.rec"))
    for record, listed in zip(records, expected("mxnet")["label_forms.rec"], strict=True):
        assert record.labels.tolist() == np.ravel(listed["label"]).tolist()
        assert (record.identity, record.second_identity) == (listed["id"], listed["id2"])
        assert record.is_vector == (listed["flag"] > 0)
        assert record.image == content(f"images/{listed['image']}")


@needs_golden
@pytest.mark.parametrize("name", [*FILES, "label_forms.rec"])
def test_golden_records_are_written_byte_for_byte(name: str) -> None:
    written = [
        image_record_bytes(
            record.image,
            record.labels,
            record.identity,
            second_identity=record.second_identity,
            is_vector=record.is_vector,
        )
        for record in read_image_records(io.BytesIO(content(name)), name)
    ]
    assert b"".join(framed(payload, cuts=True) for payload in written) == content(name)


@given(
    labels=st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=9),
    image=st.binary(max_size=50),
    identity=st.integers(0, 2**64 - 1),
)
def test_a_record_comes_back(labels: list[float], image: bytes, identity: int) -> None:
    payload = image_record_bytes(image, np.float32(labels), identity)
    record = image_record_from_bytes(payload, "a.rec record 1")
    assert (record.labels.tolist(), record.image, record.identity) == (labels, image, identity)


def test_a_payload_without_room_for_its_header_is_refused() -> None:
    with pytest.raises(UserError, match="a header of 24 bytes; got 23 bytes"):
        image_record_from_bytes(bytes(23), "a.rec record 1")


def test_a_number_of_labels_beyond_the_record_is_refused() -> None:
    payload = HEADER.pack(2**32 - 1, 0.0, 1, 0) + bytes(9)
    with pytest.raises(UserError, match="promises 4294967295 labels; the record has room for 2"):
        image_record_from_bytes(payload, "a.rec record 1")


def test_an_id_that_does_not_fit_is_refused() -> None:
    with pytest.raises(UserError, match="expected an id"):
        image_record_bytes(b"", np.float32([1]), 2**64)


@given(st.binary(max_size=60))
def test_any_payload_is_read_or_refused(payload: bytes) -> None:
    try:
        record = image_record_from_bytes(payload, "a.rec record 1")
    except UserError as error:
        assert str(error).startswith("a.rec record 1: ")  # noqa: PT017 - both ways out are right
    else:
        assert len(record.image) + 24 <= len(payload)
