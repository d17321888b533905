"""Whether a stream is gzipped is told from its bytes, and what it unpacks to is bounded."""

import gzip
import io
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_dl.content_types import JSON_LINES
from sm_dl.data import compression
from sm_dl.data.compression import explained, opened_plain
from sm_dl.data.source import DataFile, NamedBytes, PipedEpoch
from sm_dl.errors import JobError, PlatformError, UserError
from tests.fifo import feeding

steady = settings(derandomize=True, deadline=None, max_examples=50)
Make = Callable[..., DataFile]


class Streamed:
    """Bytes that cannot be sought, a few at a time: a pipe without its file system."""

    name, media_type = "train_0", JSON_LINES

    def __init__(self, content: bytes, piece_bytes: int) -> None:
        self._content, self._piece_bytes = content, piece_bytes

    def open(self) -> BinaryIO:
        rest, piece_bytes = io.BytesIO(self._content), self._piece_bytes

        class Raw(io.RawIOBase):
            def readable(self) -> bool:
                return True

            def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
                piece = rest.read(min(piece_bytes, len(buffer)))
                buffer[: len(piece)] = piece
                return len(piece)

        return io.BufferedReader(Raw(), 16)  # type: ignore[return-value]


def _plain(file: NamedBytes) -> bytes:
    with explained(file, lambda: "line 0"), opened_plain(file) as stream:
        return stream.read()


def _drain(file: NamedBytes) -> None:
    with opened_plain(file) as stream:
        while stream.read(1 << 16):
            pass


def _message(file: DataFile) -> str:
    with pytest.raises(UserError) as refusal:
        _plain(file)
    return str(refusal.value)


@pytest.mark.parametrize("content", [b"", b"\x1f", b"\x1f\x8c", b"a", b"plain" * 1000])
def test_plain_bytes_stay_as_they_are(data_file: Make, content: bytes) -> None:
    assert _plain(data_file(content)) == content


@steady
@given(st.binary(max_size=300), st.integers(1, 20), st.booleans())
def test_a_stream_that_cannot_be_sought_is_read_from_its_first_byte(
    content: bytes, piece_bytes: int, packed: bool
) -> None:
    stored = gzip.compress(content) if packed else content
    if not packed and content.startswith(compression.GZIP_MAGIC):
        return
    assert _plain(Streamed(stored, piece_bytes)) == content


def test_gzip_through_a_pipe_is_unpacked(tmp_path: Path) -> None:
    packed = gzip.compress(b"x" * 100_000)
    with feeding(tmp_path / "train", [[packed[:1], packed[1:]]]):
        epoch = PipedEpoch(tmp_path / "train_0", "train_0", JSON_LINES, 20.0)
        assert _plain(epoch) == b"x" * 100_000


def test_objects_that_were_packed_each_are_one_stream() -> None:
    packed = gzip.compress(b"one") + gzip.compress(b"") + gzip.compress(b"two")
    assert _plain(Streamed(packed, 7)) == b"onetwo"


def test_what_comes_before_damage_is_read(data_file: Make) -> None:
    packed = gzip.compress(b"good\n", compresslevel=0)
    with opened_plain(data_file(packed[:-4])) as stream:
        assert stream.readline() == b"good\n"


PACKED = gzip.compress(b"some text of a file\n" * 20, mtime=0)


@steady
@given(st.integers(2, len(PACKED) - 1), st.integers(0, 255), st.booleans(), st.booleans())
def test_no_damage_leads_to_anything_but_a_sentence(
    position: int, change: int, is_cut: bool, is_streamed: bool
) -> None:
    damaged = bytearray(PACKED)
    damaged[position] ^= change
    content = PACKED[:position] if is_cut else bytes(damaged)
    file = Streamed(content, 11 if is_streamed else 1000)
    try:
        _plain(file)
    except JobError as refusal:
        assert str(refusal).startswith("train_0: ")  # noqa: PT017 - both ends are right


@pytest.mark.parametrize("kept", range(2, len(PACKED), 7))
def test_gzip_cut_anywhere_is_refused(data_file: Make, kept: int) -> None:
    assert _message(data_file(PACKED[:kept])).startswith(
        "train/a.json: after line 0: the gzip data are damaged or cut short ("
    )


def test_gzip_within_gzip_is_refused(data_file: Make) -> None:
    assert _message(data_file(gzip.compress(gzip.compress(b"x")))) == (
        "train/a.json: expected data packed by gzip once; got gzip within gzip. Unpack it."
    )


def test_a_bomb_is_refused_before_it_is_unpacked(
    data_file: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compression, "FREE_BYTES", 1 << 20)
    bomb = data_file(gzip.compress(bytes(100_000_000)))
    tracemalloc.start()
    with pytest.raises(UserError, match="at most 200 times their size"):
        _drain(bomb)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 8e6


def test_a_small_file_may_unpack_to_many_times_its_size(data_file: Make) -> None:
    assert len(_plain(data_file(gzip.compress(bytes(10_000_000))))) == 10_000_000


def test_text_is_far_from_the_bound(data_file: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "FREE_BYTES", 0)
    text = b'{"start": "2009-11-01 00:00:00", "target": [0.0, 1.0, 2.0]}\n' * 30
    assert _plain(data_file(gzip.compress(text))) == text


def test_what_the_disk_refuses_is_the_platforms_error(data_file: Make) -> None:
    with pytest.raises(PlatformError, match="train/absent: cannot be read \\(No such file"):
        _plain(data_file(None, "absent"))
