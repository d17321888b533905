"""RecordIO frames: what MXNet and the SDK wrote is cut out of a stream, nothing larger than asked."""

import io
import os
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_dl.errors import UserError
from sm_dl.serving.batch.record_frames import MAGIC_BYTES, read_frames, read_records
from tests.serving.batch.calls import framed

steady = settings(derandomize=True, deadline=None)
MULTIPART = {
    b"plain record": "0a23d7ce 0c000000 706c61696e207265636f7264",
    b"": "0a23d7ce 00000000",
    b"ABCD"
    + MAGIC_BYTES
    + b"EFGHI": "0a23d7ce 04000020 41424344 0a23d7ce 05000060 4546474849 000000",
    MAGIC_BYTES: "0a23d7ce 00000020 0a23d7ce 00000060",
    MAGIC_BYTES * 2 + b"z": "0a23d7ce 00000020 0a23d7ce 00000040 0a23d7ce 01000060 7a 000000",
    b"xABCD" + MAGIC_BYTES + b"tail": "0a23d7ce 0d000000 7841424344 0a23d7ce 7461696c 000000",
}
"""Written by MXNet 1.9.1 (data_formats.md, section 1)."""
UNCUT = bytes.fromhex("0a23d7ce 0d000000 41424344 0a23d7ce 4546474849 000000")
"""The third of them, written by the SageMaker SDK."""
WHOLE_FILE = b"".join(map(bytes.fromhex, MULTIPART.values()))
payloads = st.lists(
    st.binary(max_size=9)
    | st.lists(st.sampled_from([MAGIC_BYTES, b"abcd", b"x"]), max_size=6).map(b"".join),
    max_size=5,
)


def read(content, max_bytes=1000):
    return list(read_records(io.BytesIO(content), "train/a.rec", max_bytes))


def refusal(content, **limits):
    with pytest.raises(UserError) as refused:
        read(content, **limits)
    return str(refused.value)


def test_records_of_mxnet_are_read():
    assert read(WHOLE_FILE) == list(MULTIPART)


@pytest.mark.parametrize(("payload", "written"), MULTIPART.items())
def test_records_are_written_as_mxnet_does(payload, written):
    assert framed(payload) == bytes.fromhex(written)


def test_a_record_that_the_sdk_did_not_cut_is_read():
    assert read(UNCUT) == [b"ABCD" + MAGIC_BYTES + b"EFGHI"]


@steady
@given(payloads)
def test_what_was_written_is_read(records):
    assert read(b"".join(map(framed, records))) == records


@steady
@given(payloads)
def test_frames_are_the_bytes_of_the_stream(records):
    content = b"".join(map(framed, records))
    frames = list(read_frames(io.BytesIO(content), "a.rec", 1000))
    assert (b"".join(frames), len(frames)) == (content, len(records))


@steady
@given(st.data())
def test_a_damaged_stream_is_read_or_refused_in_one_sentence(data):
    content = bytearray(WHOLE_FILE)
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    records, reason = [], ""
    try:
        records = read(bytes(content))
    except UserError as error:
        reason = str(error)
    assert sum(map(len, records)) <= len(content)
    assert reason.startswith("train/a.rec: byte " if reason else "")


def test_an_empty_stream_holds_no_record():
    assert read(b"") == []


def test_a_wrong_magic_is_named_by_its_byte():
    assert refusal(framed(b"abc") + b"a,b,c\n1,2,3\n").startswith(
        "train/a.rec: byte 12: expected RecordIO magic 0x0a23d7ce, got 0x612c622c. "
    )


def test_a_wrong_magic_hints_at_the_wrapping():
    assert "needs RecordWrapperType RecordIO" in refusal(b"\xff\xd8\xff\xe0" * 3)


@pytest.mark.parametrize("kept", range(1, 15))
def test_a_record_that_is_cut_short_is_refused(kept):
    content = framed(b"whole") + framed(b"cut off")[:kept]
    assert refusal(content) == (
        "train/a.rec: byte 16: the last RecordIO record is cut short. Copy the file again."
    )


def test_a_record_without_its_last_part_is_refused():
    content = framed(MAGIC_BYTES * 2)[:-8]
    assert "byte 16: the last RecordIO record is cut short" in refusal(content)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([2], "0 or 1; got 2"),
        ([3], "0 or 1; got 3"),
        ([1, 0], "2 or 3; got 0"),
        ([1, 1], "2 or 3; got 1"),
    ],
)
def test_parts_out_of_order_are_refused(flags, expected):
    content = b"".join(MAGIC_BYTES + (flag << 29).to_bytes(4, "little") for flag in flags)
    assert f"expected a RecordIO part flag of {expected}" in refusal(content)


@pytest.mark.parametrize("payload", [b"1234567", MAGIC_BYTES * 2, MAGIC_BYTES + b"123"])
def test_a_record_above_the_limit_is_refused(payload):
    assert read(framed(payload), max_bytes=len(payload)) == [payload]
    assert f"of at most {len(payload) - 1} bytes" in refusal(
        framed(payload), max_bytes=len(payload) - 1
    )


def test_nothing_of_a_record_above_the_limit_is_read():
    stream = io.BytesIO(framed(bytes(1000)))
    with pytest.raises(UserError):
        next(read_records(stream, "a.rec", max_bytes=999))
    assert stream.tell() == 8


def test_parts_without_end_are_bounded():
    middle = MAGIC_BYTES + (2 << 29).to_bytes(4, "little")
    stream = io.BytesIO(MAGIC_BYTES + (1 << 29).to_bytes(4, "little") + middle * 10_000)
    with pytest.raises(UserError):
        next(read_records(stream, "a.rec", max_bytes=400))
    assert stream.tell() == 8 * 102


def test_a_fifo_is_read_as_it_fills(tmp_path):
    fifo = tmp_path / "train_0"
    os.mkfifo(fifo)
    writer = threading.Thread(target=fifo.write_bytes, args=[framed(b"x" * 100_000) * 3])
    writer.start()
    with fifo.open("rb") as stream:
        assert [len(record) for record in read_records(stream, "train", 100_000)] == [100_000] * 3
    writer.join()
