"""A FIFO is awaited, read to its end or left early, and silence has a limit."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_dl.data.jsonlines import read_objects
from sm_dl.data.pipe import open_fifo
from sm_dl.data.source import PipeSource, byte_source
from sm_dl.errors import AlgorithmError, PlatformError, UserError
from sm_dl.job.job import ChannelSource
from tests.fifo import feeding

SHORT_S = 0.2
LONG_S = 20.0


def _source(path: Path, timeout_s: float = LONG_S) -> PipeSource:
    source = byte_source(
        ChannelSource("train", path, "application/jsonlines", "Pipe"), timeout_s=timeout_s
    )
    assert isinstance(source, PipeSource)
    return source


def _bytes(source: PipeSource, count: int = -1) -> bytes:
    (epoch,) = source.next_epoch()
    with epoch.open() as stream:
        return stream.read(count)


def _timeout(path: Path) -> str:
    with pytest.raises(PlatformError) as failure:
        _bytes(_source(path, SHORT_S))
    return str(failure.value)


@pytest.fixture
def channel(tmp_path: Path) -> Path:
    """Return where the platform would put the FIFOs of a channel."""
    return tmp_path / "train"


def test_the_log_says_what_the_service_says(
    channel: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _source(channel)
    assert caplog.messages == [
        f"The channel 'train' is in pipe input mode under {channel}.",
    ]


def test_pipe_mode_reads_one_epoch_after_the_other(channel: Path) -> None:
    with feeding(channel, [[b"first"], [b"second"], [b"third"]]):
        source = _source(channel)
        assert [_bytes(source) for _ in range(3)] == [b"first", b"second", b"third"]


def test_a_pipe_that_appears_late_is_awaited(channel: Path) -> None:
    with feeding(channel, [[b"late"]], late_s=0.1):
        assert _bytes(_source(channel)) == b"late"


def test_a_writer_that_comes_late_is_awaited(channel: Path) -> None:
    os.mkfifo(f"{channel}_0")
    (epoch,) = _source(channel).next_epoch()
    with epoch.open() as stream:
        writer = os.open(f"{channel}_0", os.O_WRONLY)
        os.write(writer, b"here")
        os.close(writer)
        assert stream.read() == b"here"


def test_an_epoch_left_early_is_followed_by_the_next_one(channel: Path) -> None:
    with feeding(channel, [[b"x" * 100_000] * 100, [b"second"]]):
        source = _source(channel)
        assert (_bytes(source, 10), _bytes(source)) == (b"x" * 10, b"second")


def test_a_number_is_never_opened_again(channel: Path) -> None:
    source = _source(channel)
    names = [epoch.name for _ in range(3) for epoch in source.next_epoch()]
    assert names == ["train_0", "train_1", "train_2"]


def test_an_epoch_is_read_once(channel: Path) -> None:
    with feeding(channel, [[b"first"]]):
        (epoch,) = _source(channel).next_epoch()
        epoch.open().close()
        with pytest.raises(AlgorithmError, match="train_0: a FIFO is read once"):
            epoch.open()


def test_channels_count_their_epochs_alone(tmp_path: Path) -> None:
    train, test = _source(tmp_path / "train"), _source(tmp_path / "test")
    train.next_epoch()
    assert test.next_epoch()[0].name.endswith("_0")


def test_a_writer_that_closes_without_a_byte_gives_an_empty_epoch(channel: Path) -> None:
    with feeding(channel, [[], [b"second"]]):
        source = _source(channel)
        assert (_bytes(source), _bytes(source)) == (b"", b"second")


def test_bytes_that_come_slowly_are_all_read(channel: Path) -> None:
    def slowly() -> Iterator[bytes]:
        for number in range(5):
            time.sleep(0.02)
            yield b"%d" % number

    with feeding(channel, [slowly()]):
        assert _bytes(_source(channel)) == b"01234"


@settings(derandomize=True, deadline=None, max_examples=20)
@given(st.lists(st.binary(max_size=200), max_size=10))
def test_pieces_of_any_size_are_read_as_one_stream(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]
) -> None:
    channel = tmp_path_factory.mktemp("pipe") / "train"
    with feeding(channel, [pieces]):
        assert _bytes(_source(channel)) == b"".join(pieces)


def test_a_reader_of_records_sits_on_a_pipe_as_on_a_file(channel: Path) -> None:
    with feeding(channel, [[b'{"a": 1}\n{"a"', b": 2}\n"]]):
        (epoch,) = _source(channel).next_epoch()
        found = list(read_objects(epoch))
    assert found == [("train_0 line 1", {"a": 1}), ("train_0 line 2", {"a": 2})]


# What never comes.


def test_a_pipe_that_never_appears_is_the_services_own_error(channel: Path) -> None:
    assert _timeout(channel) == (
        f"SageMaker pipe channel timed out. train_0: {channel}_0 did not appear within 0.2 s; "
        "check that the channel's objects can be read and that its writer runs."
    )


def test_a_pipe_without_a_writer_times_out(channel: Path) -> None:
    os.mkfifo(f"{channel}_0")
    assert "train_0: nothing came for 0.2 s after byte 0;" in _timeout(channel)


def test_a_stream_that_stalls_names_the_last_byte(channel: Path) -> None:
    os.mkfifo(f"{channel}_0")
    reader = open_fifo(Path(f"{channel}_0"), "train_0", SHORT_S)
    writer = os.open(f"{channel}_0", os.O_WRONLY)
    os.write(writer, b"x" * 1000)
    with reader, pytest.raises(PlatformError, match=r"nothing came for 0\.2 s after byte 1000;"):
        reader.read()
    os.close(writer)


def test_two_readers_of_one_pipe_are_one_too_many(channel: Path) -> None:
    os.mkfifo(f"{channel}_0")
    with (
        open_fifo(Path(f"{channel}_0"), "train_0", SHORT_S),
        pytest.raises(UserError, match=r"train_0: .* is being read by another process"),
    ):
        open_fifo(Path(f"{channel}_0"), "train_0", SHORT_S)


@pytest.mark.parametrize("is_folder", [False, True])
def test_what_is_no_pipe_is_refused(channel: Path, is_folder: bool) -> None:
    other = Path(f"{channel}_0")
    other.mkdir() if is_folder else other.write_bytes(b"a file")
    with pytest.raises(UserError, match=r"train_0: expected a FIFO at .*; got a file or a folder"):
        _bytes(_source(channel))


def test_a_channel_that_says_no_format_is_refused(channel: Path) -> None:
    with pytest.raises(UserError, match="train: the format cannot be told from the extension"):
        byte_source(ChannelSource("train", channel, None, "Pipe"))
