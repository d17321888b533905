"""RecordIO: what two libraries wrote is read, written, and refused where it is damaged."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sm_dl.data import recordio
from sm_dl.data.frames import MAGIC_BYTES
from sm_dl.data.recordio import CHUNK_BYTES, framed, read_frames, read_records
from sm_dl.errors import PlatformError, UserError
from tests.golden import RECORD_FILES, content, expected, needs_golden

PAYLOADS = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.lists(st.sampled_from([MAGIC_BYTES, b"abcd", b"x"]), max_size=6).map(b"".join),
    ),
    max_size=20,
)


def _read(stream: bytes) -> list[bytes]:
    return list(read_records(io.BytesIO(stream), "a.rec"))


class Trickle(io.RawIOBase):
    """A stream that gives at most a few bytes at a time, as a FIFO may, and notes what is asked."""

    def __init__(self, content: bytes, at_once: int) -> None:
        self._inner = io.BytesIO(content)
        self._at_once = at_once
        self.most_wanted = 0

    def read(self, size: int = -1) -> bytes:
        self.most_wanted = max(self.most_wanted, size)
        return self._inner.read(min(size, self._at_once))


@needs_golden
def test_the_payloads_that_mxnet_cut_are_joined() -> None:
    payloads = expected("mxnet")["multipart.rec"]["payload_hex"]
    assert [payload.hex() for payload in _read(content("multipart.rec"))] == payloads


@needs_golden
def test_the_payload_that_the_sdk_did_not_cut_is_whole() -> None:
    payloads = expected("protobuf")["embedded_magic_sdk_framing.rec"]["payload_hex"]
    found = _read(content("embedded_magic_sdk_framing.rec"))
    assert [payload.hex() for payload in found] == payloads


@needs_golden
@pytest.mark.parametrize("name", RECORD_FILES)
def test_every_golden_file_is_written_byte_for_byte(name: str) -> None:
    cuts = not name.endswith(".pbr") and not name.startswith(("embedded", "seq2seq"))
    written = b"".join(framed(payload, cuts=cuts) for payload in _read(content(name)))
    assert written == content(name)


@needs_golden
@pytest.mark.parametrize("name", RECORD_FILES)
def test_a_golden_file_cut_at_any_byte_is_refused_unless_a_record_ends_there(name: str) -> None:
    whole = content(name)
    ends = {0}
    for frames in read_frames(io.BytesIO(whole), name):
        ends |= set(frames.offsets_bytes.tolist())
    for cut in range(len(whole)):
        if cut in ends:
            _read(whole[:cut])
            continue
        with pytest.raises(UserError, match=r"a\.rec record \d+ at byte \d+: .*cut short"):
            _read(whole[:cut])


@given(payloads=PAYLOADS, cuts=st.booleans())
def test_what_is_written_in_either_dialect_is_read(payloads: list[bytes], cuts: bool) -> None:
    assert _read(b"".join(framed(one, cuts=cuts) for one in payloads)) == payloads


@given(payloads=PAYLOADS, cuts=st.booleans(), at_once=st.integers(1, 64))
def test_a_stream_may_come_in_any_pieces(payloads: list[bytes], cuts: bool, at_once: int) -> None:
    stream = Trickle(b"".join(framed(one, cuts=cuts) for one in payloads), at_once)
    assert list(read_records(stream, "a.rec")) == payloads  # type: ignore[arg-type]


@pytest.mark.parametrize("cuts", [False, True])
@pytest.mark.parametrize("size", [CHUNK_BYTES // 3, CHUNK_BYTES - 8, CHUNK_BYTES, 3 * CHUNK_BYTES])
@pytest.mark.parametrize("extra", range(4))
def test_records_around_the_size_of_a_chunk_are_whole(cuts: bool, size: int, extra: int) -> None:
    begin = bytes(100) + MAGIC_BYTES if cuts else b""
    payloads = [begin + bytes([number]) * (size + extra) for number in range(3)] + [b"end"]
    assert _read(b"".join(framed(one, cuts=cuts) for one in payloads)) == payloads


@pytest.mark.parametrize("extra", range(4))
def test_long_records_of_a_file_are_whole(tmp_path: Path, extra: int) -> None:
    payloads = [bytes([number]) * (2 * CHUNK_BYTES + extra) for number in range(3)] + [b"end"]
    path = tmp_path / "a.rec"
    whole = b"".join(framed(one, cuts=False) for one in payloads)
    path.write_bytes(whole)
    with path.open("rb") as stream:
        assert list(read_records(stream, "a.rec")) == payloads
    path.write_bytes(whole[: 5 * CHUNK_BYTES])
    with (
        path.open("rb") as stream,
        pytest.raises(UserError, match=r"a\.rec record 3 at byte \d+: "),
    ):
        list(read_records(stream, "a.rec"))


def test_a_record_of_many_parts_over_many_chunks_is_joined() -> None:
    payload = (b"abcd" + MAGIC_BYTES) * (CHUNK_BYTES // 4)
    assert _read(framed(payload, cuts=True) + framed(b"x", cuts=True)) == [payload, b"x"]


def test_records_before_a_bad_one_are_given_first() -> None:
    records = read_records(io.BytesIO(framed(b"one", cuts=False) + b"garbage!"), "a.rec")
    assert next(records) == b"one"
    with pytest.raises(UserError, match=r"a\.rec record 2 at byte 12: expected a RecordIO record"):
        next(records)


def test_other_bytes_are_named_and_the_way_out_too() -> None:
    with pytest.raises(UserError) as caught:
        _read(b"1,2,3\n4,5,6\n")
    assert str(caught.value) == (
        "a.rec record 1 at byte 0: expected a RecordIO record, which begins with bytes 0a 23 d7 ce; "
        "got 31 2c 32 2c. Set the channel's content type to what it holds; in Pipe mode set "
        "RecordWrapperType to RecordIO."
    )


@pytest.mark.parametrize("flag", [2, 3, 4, 7])
def test_a_record_that_begins_in_its_middle_is_refused(flag: int) -> None:
    part = MAGIC_BYTES + (flag << 29 | 4).to_bytes(4, "little") + b"abcd"
    with pytest.raises(UserError, match=r"record 2 at byte 12: the parts .* do not follow"):
        _read(framed(b"abcd", cuts=False) + part)


def test_a_record_without_its_last_part_is_refused() -> None:
    first = MAGIC_BYTES + (1 << 29 | 4).to_bytes(4, "little") + b"abcd"
    with pytest.raises(UserError, match="do not follow"):
        _read(first + framed(b"abcd", cuts=False))
    with pytest.raises(UserError, match="cut short"):
        _read(first)


def test_a_length_beyond_the_file_asks_for_no_memory() -> None:
    stream = Trickle(MAGIC_BYTES + (2**29 - 1).to_bytes(4, "little") + bytes(100), CHUNK_BYTES)
    with pytest.raises(UserError, match="expected 536870920 bytes from here; got 108"):
        list(read_records(stream, "a.rec"))  # type: ignore[arg-type]
    assert stream.most_wanted <= CHUNK_BYTES


def test_parts_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordio, "MAX_RECORD_BYTES", 3 * CHUNK_BYTES)
    first = MAGIC_BYTES + (1 << 29 | 4).to_bytes(4, "little") + b"abcd"
    middle = MAGIC_BYTES + (2 << 29 | 4).to_bytes(4, "little") + b"abcd"
    with pytest.raises(UserError, match="expected a record of at most"):
        _read(first + middle * (CHUNK_BYTES // 2))


def test_a_payload_that_no_length_can_hold_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordio, "MAX_RECORD_BYTES", 10)
    with pytest.raises(UserError, match="holds at most 10 bytes; got 11"):
        framed(bytes(11), cuts=False)


def test_a_stream_that_breaks_is_the_machines_fault() -> None:
    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(PlatformError, match=r"a\.rec: cannot be read \(Input/output error\)"):
        list(read_records(Broken(), "a.rec"))  # type: ignore[arg-type]


def test_frames_say_where_each_record_is() -> None:
    stream = b"".join(framed(bytes(size), cuts=False) for size in (1, 4, 9))
    (frames,) = read_frames(io.BytesIO(stream), "a.rec")
    assert frames.offsets_bytes.tolist() == [0, 12, 24]
    assert frames.place(2) == "a.rec record 3 at byte 24"


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(begin: bytes, end: bytes) -> None:
    try:
        records = _read(begin + MAGIC_BYTES + end)
    except UserError as error:
        assert "a.rec record" in str(error)  # noqa: PT017 - both ways out are right
    else:
        assert sum(map(len, records)) <= len(begin) + len(end)


def test_an_empty_stream_has_no_records() -> None:
    assert _read(b"") == []
    assert list(read_frames(io.BytesIO(), "a.rec")) == []
    assert np.sum([len(frames) for frames in read_frames(io.BytesIO(), "a.rec")]) == 0
