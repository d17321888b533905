"""Objects become payloads: which records, how many, how large."""

import io
import itertools

import pytest

from sm_dl.errors import PlatformError, UserError
from sm_dl.serving.batch.rules import Rules
from sm_dl.serving.batch.splitting import payloads
from tests.data.test_tfrecord import written
from tests.serving.batch.calls import framed

LINES = b"1\n2\n3\n"
MIB = 1024 * 1024
PAYLOADS = (b"one", b"", b"three!")


def split(content, **rules):
    source = content if hasattr(content, "read") else io.BytesIO(content)
    return [one.body for one in payloads(source, "part", Rules(**rules))]


def places(content, **rules):
    return [one.place for one in payloads(io.BytesIO(content), "part", Rules(**rules))]


def refusal(content, **rules):
    with pytest.raises(UserError) as refused:
        split(content, **rules)
    return str(refused.value)


def test_no_split_sends_the_whole_object_at_once():
    assert split(LINES) == [LINES]


def test_an_empty_object_is_one_empty_payload_without_a_split():
    assert split(b"") == [b""]


def test_single_record_sends_one_line_at_a_time():
    bodies = split(LINES, split_type="Line", batch_strategy="SingleRecord")
    assert bodies == [b"1\n", b"2\n", b"3\n"]


def test_multi_record_fills_each_payload_up_to_the_limit():
    lines = [b"%d" % number + b" " * 400_000 + b"\n" for number in range(5)]
    bodies = split(b"".join(lines), split_type="Line", max_payload_mb=1)
    assert bodies == [lines[0] + lines[1], lines[2] + lines[3], lines[4]]


def test_a_payload_may_be_filled_to_its_last_byte():
    lines = [b"x" * (MIB // 2 - 1) + b"\n"] * 3
    assert split(b"".join(lines), split_type="Line", max_payload_mb=1) == [
        b"".join(lines[:2]),
        lines[2],
    ]


def test_empty_lines_hold_no_record():
    bodies = split(b"\n1\n\r\n\n2\n\n", split_type="Line", batch_strategy="SingleRecord")
    assert bodies == [b"1\n", b"2\n"]


def test_lines_of_windows_keep_their_ends():
    bodies = split(b"1\r\n2\r\n", split_type="Line", batch_strategy="SingleRecord")
    assert bodies == [b"1\r\n", b"2\r\n"]


def test_an_object_above_the_limit_is_refused_without_a_split():
    assert "part: expected at most 1048576 bytes" in refusal(b"1" + b" " * MIB, max_payload_mb=1)


def test_a_line_above_the_limit_is_refused():
    message = refusal(b"1\n2" + b" " * MIB + b"\n", split_type="Line", max_payload_mb=1)
    assert message.startswith("part: line 2: expected at most 1048576 bytes in one payload")


@pytest.mark.parametrize(
    ("kind", "content"),
    [("RecordIO", b"".join(map(framed, PAYLOADS))), ("TFRecord", written(*PAYLOADS))],
)
class TestBinaryRecords:
    def test_a_single_record_comes_without_frame_and_padding(self, kind, content):
        assert split(content, split_type=kind, batch_strategy="SingleRecord") == list(PAYLOADS)

    def test_several_records_keep_their_frames_and_padding(self, kind, content):
        assert split(content, split_type=kind) == [content]

    def test_a_record_is_named_by_its_number(self, kind, content):
        assert places(content, split_type=kind) == ["part: records 1 to 3"]
        single = places(content, split_type=kind, batch_strategy="SingleRecord")
        assert single == [f"part: record {number}" for number in (1, 2, 3)]

    def test_a_record_that_is_cut_short_is_refused(self, kind, content):
        assert f"the last {kind} record is cut short" in refusal(content[:-1], split_type=kind)

    def test_lines_are_refused_by_their_offset(self, kind, content):
        message = refusal(content + b"1,2,3,4\n" * 9, split_type=kind)
        assert message.startswith(f"part: byte {len(content)}: expected ")


@pytest.mark.parametrize(("kind", "frame"), [("RecordIO", framed), ("TFRecord", written)])
@pytest.mark.parametrize("strategy", ["SingleRecord", "MultiRecord"])
def test_a_record_above_the_limit_is_refused(kind, frame, strategy):
    message = refusal(
        frame(bytes(MIB + 1)), split_type=kind, batch_strategy=strategy, max_payload_mb=1
    )
    assert "of at most 1048576 bytes" in message


def test_a_record_whose_frame_is_too_large_is_refused():
    message = refusal(framed(bytes(MIB)), split_type="RecordIO", max_payload_mb=1)
    assert message.startswith("part: record 1: expected at most 1048576 bytes in one payload")


def test_records_fill_a_payload_up_to_the_limit():
    frames = [framed(bytes(400_000))] * 5
    bodies = split(b"".join(frames), split_type="RecordIO", max_payload_mb=1)
    assert [len(body) for body in bodies] == [800_016, 800_016, 400_008]


def test_a_disk_that_fails_is_the_machines_fault():
    class Failing(io.BytesIO):
        def readline(self, size=-1, /):
            raise OSError(5, "Input/output error")

    with pytest.raises(PlatformError, match=r"part: cannot be read to its end \(Input/output"):
        split(Failing(), split_type="Line")


def test_payloads_are_made_as_they_are_asked_for():
    source = io.BytesIO(b"x" * 1000 + b"\n" + b"y" * 1000)
    rules = Rules(split_type="Line", batch_strategy="SingleRecord")
    assert len(list(itertools.islice(payloads(source, "part", rules), 1))) == 1
    assert source.tell() == 1001
