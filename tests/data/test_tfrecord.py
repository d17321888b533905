"""TFRecord frames, against the writer of TensorBoard."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.record_writer import RecordWriter

from sm_dl.data.tfrecord import read_frames, read_records
from sm_dl.errors import UserError

steady = settings(derandomize=True, deadline=None)


def written(*payloads):
    sink = io.BytesIO()
    writer = RecordWriter(sink)
    for payload in payloads:
        writer.write(payload)
    return sink.getvalue()


def read(content, max_bytes=1000):
    return list(read_records(io.BytesIO(content), "a.tfrecord", max_bytes))


def refusal(content, max_bytes=1000):
    with pytest.raises(UserError) as refused:
        read(content, max_bytes)
    return str(refused.value)


@steady
@given(st.lists(st.binary(max_size=20), max_size=4))
def test_what_tensorboard_wrote_is_read(payloads):
    assert read(written(*payloads)) == payloads


def test_a_message_survives():
    event = Event(step=7).SerializeToString()
    assert read(written(event)) == [event]


def test_frames_are_the_bytes_of_the_stream():
    content = written(b"one", b"two")
    assert list(read_frames(io.BytesIO(content), "a", 9)) == [written(b"one"), written(b"two")]


def test_other_bytes_are_named_by_their_offset():
    message = refusal(written(b"one") + b"a,b,c\n1,2,3\n4,5,6\n")
    assert message.startswith("a.tfrecord: byte 19: expected a TFRecord length with its checksum")


def test_a_changed_payload_is_refused():
    content = bytearray(written(b"one"))
    content[13] ^= 1
    assert "byte 0: the TFRecord checksum does not fit" in refusal(bytes(content))


@pytest.mark.parametrize("kept", [1, 11, 12, 14, 18])
def test_a_record_that_is_cut_short_is_refused(kept):
    assert "byte 19: the last TFRecord record is cut short" in refusal(
        written(b"one") + written(b"two")[:kept]
    )


def test_nothing_of_a_record_above_the_limit_is_read():
    stream = io.BytesIO(written(bytes(1000)))
    with pytest.raises(UserError, match="of at most 999 bytes; got 1000"):
        next(read_records(stream, "a.tfrecord", 999))
    assert stream.tell() == 12
