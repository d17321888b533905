"""A channel's files are found, named and told apart without opening one."""

import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sm_dl.content_types import CSV, JSON_LINES, PARQUET
from sm_dl.data.jsonlines import read_objects
from sm_dl.data.source import byte_source, channel_files
from sm_dl.errors import UserError
from sm_dl.job import stop
from sm_dl.job.job import ChannelSource
from sm_dl.job.outcome import run_to_exit_code
from tests.fifo import feeding

Make = Callable[..., ChannelSource]


@pytest.fixture
def channel(tmp_path: Path) -> Make:
    """Return a maker of a channel whose folder holds the files named."""

    def make(*files: str, content_type: str | None = None) -> ChannelSource:
        for file in files:
            path = tmp_path / "data" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"not opened")
        (tmp_path / "data").mkdir(exist_ok=True)
        return ChannelSource("train", tmp_path / "data", content_type)

    return make


def _names(source: ChannelSource) -> list[str]:
    return [file.name for file in channel_files(source)]


def _message(source: ChannelSource) -> str:
    with pytest.raises(UserError) as refusal:
        channel_files(source)
    return str(refusal.value)


def test_files_are_named_by_channel_and_path(channel: Make) -> None:
    assert _names(channel("a.json", "deep/er/b.json")) == ["train/a.json", "train/deep/er/b.json"]


def test_files_come_in_the_order_of_their_names(channel: Make) -> None:
    assert _names(channel("b.json", "c/a.json", "a.json", "B.json")) == [
        "train/B.json",
        "train/a.json",
        "train/b.json",
        "train/c/a.json",
    ]


@pytest.mark.parametrize("hidden", [".a.json", ".DS_Store", "_SUCCESS", "x/_SUCCESS", ".x/a.json"])
def test_what_spark_and_desktops_leave_is_ignored(channel: Make, hidden: str) -> None:
    assert _names(channel("a.json", hidden)) == ["train/a.json"]


@pytest.mark.parametrize("name", ["_a.json", "a..json", "SUCCESS.json", "_SUCCESS.json"])
def test_a_name_that_only_looks_hidden_is_read(channel: Make, name: str) -> None:
    assert _names(channel(name)) == [f"train/{name}"]


def test_a_hidden_folder_above_the_channel_hides_nothing(tmp_path: Path) -> None:
    folder = tmp_path / ".cache" / "train"
    folder.mkdir(parents=True)
    (folder / "a.json").write_bytes(b"")
    assert _names(ChannelSource("train", folder)) == ["train/a.json"]


def test_an_empty_folder_beside_the_files_is_no_file(channel: Make, tmp_path: Path) -> None:
    source = channel("a.json")
    (tmp_path / "data" / "b.json").mkdir()
    assert _names(source) == ["train/a.json"]


def test_a_pipe_beside_the_files_is_no_file(channel: Make, tmp_path: Path) -> None:
    source = channel("a.json")
    os.mkfifo(tmp_path / "data" / "b.json")
    assert _names(source) == ["train/a.json"]


def test_a_link_to_nowhere_is_no_file(channel: Make, tmp_path: Path) -> None:
    source = channel("a.json")
    (tmp_path / "data" / "b.json").symlink_to(tmp_path / "absent")
    assert _names(source) == ["train/a.json"]


def test_a_linked_file_is_read(channel: Make, tmp_path: Path) -> None:
    source = channel("a.json")
    (tmp_path / "data" / "b.json").symlink_to(tmp_path / "data" / "a.json")
    assert _names(source) == ["train/a.json", "train/b.json"]


def test_a_channel_may_be_one_file(channel: Make, tmp_path: Path) -> None:
    channel("a.json")
    source = ChannelSource("train", tmp_path / "data" / "a.json")
    assert _names(source) == ["train/a.json"]


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.json", JSON_LINES),
        ("a.json.gz", JSON_LINES),
        ("a.jsonl", JSON_LINES),
        ("a.jsonl.gz", JSON_LINES),
        ("a.jsonlines", JSON_LINES),
        ("a.jsonlines.gz", JSON_LINES),
        ("a.JSON", JSON_LINES),
        ("a.Json.GZ", JSON_LINES),
        ("part-0.snappy.parquet", PARQUET),
        ("a.PARQUET", PARQUET),
        ("a.csv.json", JSON_LINES),
    ],
)
def test_the_extension_tells_the_format(channel: Make, name: str, media_type: str) -> None:
    assert channel_files(channel(name))[0].media_type == media_type


@pytest.mark.parametrize(
    ("content_type", "media_type"),
    [
        ("application/jsonlines", JSON_LINES),
        ("application/json", JSON_LINES),
        ("json", JSON_LINES),
        ("json.gz", JSON_LINES),
        ("Application/JSONLines; charset=utf-8", JSON_LINES),
        ("parquet", PARQUET),
        ("application/x-parquet", PARQUET),
    ],
)
@pytest.mark.parametrize("name", ["part-00000", "a.csv", "a.json", "a.parquet"])
def test_a_content_type_is_stronger_than_the_extension(
    channel: Make, name: str, content_type: str, media_type: str
) -> None:
    files = channel_files(channel(name, content_type=content_type))
    assert files[0].media_type == media_type


@pytest.mark.parametrize("name", ["part-00000", "a.csv", "a.gz", "README.md", "json", "a.json.bz2"])
def test_an_extension_that_tells_nothing_is_answered_by_the_known_ones(
    channel: Make, name: str
) -> None:
    with pytest.raises(UserError) as refusal:
        channel_files(channel(name), accepted=(JSON_LINES, PARQUET))
    assert str(refusal.value) == (
        f"train/{name}: the format cannot be told from the extension; expected .json, .json.gz, "
        ".jsonl, .jsonl.gz, .jsonlines, .jsonlines.gz, .parquet. Rename the file, or set content_type for "
        "channel train."
    )


@pytest.mark.parametrize("name", ["part-00000", "log.txt", "a.gz", "a.json", "a.parquet"])
def test_a_name_is_free_where_one_format_alone_is_read(channel: Make, name: str) -> None:
    assert channel_files(channel(name), accepted=(CSV,))[0].media_type == CSV


@pytest.mark.parametrize("files", [[], [".a.json"], ["_SUCCESS"], [".x/a.json"]])
def test_a_channel_without_data_is_refused(channel: Make, files: list[str]) -> None:
    source = channel(*files)
    assert _message(source) == (
        f"channel train: expected at least one data file below {source.path}; got none."
    )


def test_a_linked_folder_is_read_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.json").write_text("{}")
    (tmp_path / "channel").mkdir()
    (tmp_path / "channel" / "linked").symlink_to(tmp_path / "real")
    found = channel_files(ChannelSource("train", tmp_path / "channel"))
    assert [file.name for file in found] == ["train/linked/a.json"]


def test_a_path_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    assert "got none" in _message(ChannelSource("train", tmp_path / "absent"))


# A folder that is a mount, slow and read-only.


def test_files_come_in_the_order_an_object_store_has_them(channel: Make) -> None:
    assert _names(channel("a/c.json", "a.json", "a-b.json")) == [
        "train/a-b.json",
        "train/a.json",
        "train/a/c.json",
    ]


def test_a_link_back_up_is_not_followed_for_ever(channel: Make, tmp_path: Path) -> None:
    source = channel("x/a.json")
    (tmp_path / "data" / "x" / "up").symlink_to(tmp_path / "data")
    assert _names(source) == ["train/x/a.json"]


def test_a_folder_is_listed_once_for_all_epochs(channel: Make, tmp_path: Path) -> None:
    source = byte_source(channel("a.json"))
    (tmp_path / "data" / "b.json").write_bytes(b"came later")
    assert [file.name for _ in range(2) for file in source.next_epoch()] == ["train/a.json"] * 2


def test_a_mount_that_cannot_be_written_is_enough(channel: Make, tmp_path: Path) -> None:
    source = replace(channel("x/a.json"), input_mode="FastFile")
    folders = [tmp_path / "data", tmp_path / "data" / "x"]
    for folder in folders:
        folder.chmod(0o555)
    try:
        before = {path: path.stat().st_mtime_ns for path in folders}
        (file,) = byte_source(source).next_epoch()
        with file.open() as stream:
            assert stream.read() == b"not opened"
        assert {path: path.stat().st_mtime_ns for path in folders} == before
    finally:
        for folder in folders:
            folder.chmod(0o755)


def test_listing_a_folder_asks_for_no_file(channel: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    source = channel(*(f"{number}.json" for number in range(50)))
    asked: list[object] = []
    ask = os.stat
    monkeypatch.setattr(os, "stat", lambda path, **rest: asked.append(path) or ask(path, **rest))
    _names(source)
    assert not [path for path in asked if str(path).endswith(".json")]


def test_what_another_algorithm_reads_is_no_format_here(channel: Make) -> None:
    with pytest.raises(UserError, match=r"train/a\.csv: the format cannot be told"):
        channel_files(channel("a.csv"), accepted=(JSON_LINES, PARQUET))


def test_one_loop_reads_a_file_and_a_pipe_alike(channel: Make, tmp_path: Path) -> None:
    def objects(source: ChannelSource) -> list[dict[str, object]]:
        return [
            value for file in byte_source(source).next_epoch() for _, value in read_objects(file)
        ]

    folder = channel("a.json", "b.json")
    for number, name in enumerate("ab"):
        (tmp_path / "data" / f"{name}.json").write_bytes(b'{"a": %d}\n' % number)
    content = b'{"a": 0}\n{"a": 1}\n'
    with feeding(tmp_path / "train", [[content]]):
        pipe = ChannelSource("train", tmp_path / "train", "application/jsonlines", "Pipe")
        assert objects(pipe) == objects(folder) == [{"a": 0}, {"a": 1}]


@pytest.mark.parametrize("num_hosts", [1, 2, 3, 5])
def test_hosts_share_the_files_of_a_folder_out_as_they_do_with_keys(
    channel: Make, num_hosts: int
) -> None:
    every = ["B.json", "a.json", "c/a.json", "d.json"]
    source = replace(channel(*every), distribution="ShardedByS3Key")
    shares = [
        [file.name for file in byte_source(source, host=(host, num_hosts)).next_epoch()]
        for host in range(num_hosts)
    ]
    assert shares == [
        [f"train/{name}" for name in every[host::num_hosts]] for host in range(num_hosts)
    ]


def test_what_the_platform_has_shared_out_is_not_shared_out_again(channel: Make) -> None:
    source = replace(channel("a.json", "b.json"), distribution="ShardedByS3Key", is_shared_out=True)
    assert len(byte_source(source, host=(1, 2)).next_epoch()) == 2


def test_hosts_read_all_of_a_replicated_folder(channel: Make) -> None:
    assert len(byte_source(channel("a.json", "b.json"), host=(1, 2)).next_epoch()) == 2


def test_a_sigterm_that_was_swallowed_ends_the_job_at_the_next_file(channel: Make) -> None:
    first, second = channel_files(channel("a.json", "b.json"))
    read = []

    def work() -> None:
        with contextlib.suppress(BaseException), first.open() as stream:
            read.append(stream.read())
            os.kill(os.getpid(), signal.SIGTERM)
        read.append(second.open().read())

    with stop.listening():
        assert run_to_exit_code(work, None) == 143
    assert read == [b"not opened"]


def test_files_are_still_opened_where_sigterm_is_deferred(channel: Make) -> None:
    (file,) = channel_files(channel("a.json"))
    with stop.listening(), stop.deferred():
        os.kill(os.getpid(), signal.SIGTERM)
        with file.open() as stream:
            assert stream.read() == b"not opened"
