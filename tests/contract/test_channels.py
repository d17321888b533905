"""A channel is welcome or refused by name; what holds nothing counts as absent."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sm_dl.content_types import ALIASES, JSON_LINES, PARQUET
from sm_dl.contract.channels import Channel, check_channels
from sm_dl.errors import UserError
from sm_dl.job.job import ChannelSource

DECLARED = (
    Channel(
        "train",
        "What to learn from.",
        (JSON_LINES, PARQUET),
        required=True,
        modes=("File", "FastFile"),
        distributions=("FullyReplicated", "ShardedByS3Key"),
    ),
    Channel("test", "What to score.", (JSON_LINES,)),
)
Make = Callable[..., ChannelSource]


@pytest.fixture
def source(tmp_path: Path) -> Make:
    """Return a maker of channels that hold the files named."""

    def make(name: str, *files: str, **facts: Any) -> ChannelSource:
        folder = tmp_path / name
        folder.mkdir()
        for file in files:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(b"{}")
        return ChannelSource(name, folder, **facts)

    return make


def _checked(*given: ChannelSource) -> dict[str, ChannelSource]:
    return check_channels(DECLARED, {source.name: source for source in given})


def _message(*given: ChannelSource) -> str:
    with pytest.raises(UserError) as refusal:
        _checked(*given)
    return str(refusal.value)


def test_channels_that_hold_something_are_returned(source: Make) -> None:
    given = source("train", "a.json"), source("test", "b.json")
    assert _checked(*given) == {"train": given[0], "test": given[1]}


@pytest.mark.parametrize("file", ["a", "deep/deeper/a.json", "a b.json", "_part", "é"])
def test_a_file_anywhere_below_is_something(source: Make, file: str) -> None:
    assert "train" in _checked(source("train", file))


def test_a_channel_may_be_one_file(tmp_path: Path) -> None:
    file = tmp_path / "series.json"
    file.write_bytes(b"{}")
    assert "train" in _checked(ChannelSource("train", file))


def test_an_optional_channel_may_be_left_out(source: Make) -> None:
    assert list(_checked(source("train", "a.json"))) == ["train"]


def test_an_empty_optional_channel_counts_as_absent(source: Make) -> None:
    assert list(_checked(source("train", "a.json"), source("test"))) == ["train"]


def test_an_empty_optional_channel_is_warned_about(
    source: Make, log: pytest.LogCaptureFixture
) -> None:
    test = source("test")
    _checked(source("train", "a.json"), test)
    assert log.messages == [f"channel test: {test.path} is absent or empty; going on without it."]


@pytest.mark.parametrize("files", [[".hidden"], ["_SUCCESS"], [".a/b.json"], [".x", "_SUCCESS"]])
def test_a_channel_of_hidden_files_counts_as_empty(source: Make, files: list[str]) -> None:
    assert list(_checked(source("train", "a.json"), source("test", *files))) == ["train"]


def test_an_absent_optional_channel_counts_as_absent(source: Make, tmp_path: Path) -> None:
    absent = ChannelSource("test", tmp_path / "absent")
    assert list(_checked(source("train", "a.json"), absent)) == ["train"]


# Refusals, in the words of the service.


def test_a_missing_required_channel_is_named() -> None:
    assert _message() == "Missing required channel: train. expected what to learn from."


def test_an_empty_required_channel_is_missing_and_says_where(source: Make) -> None:
    train = source("train")
    assert _message(train).startswith(
        f"Missing required channel: train. {train.path} is absent or empty; expected"
    )


def test_a_folder_of_empty_folders_is_empty(source: Make) -> None:
    train = source("train")
    (train.path / "a" / "b").mkdir(parents=True)
    assert "is absent or empty" in _message(train)


def test_an_absent_required_channel_is_missing_and_says_where(tmp_path: Path) -> None:
    absent = ChannelSource("train", tmp_path / "trian")
    assert f"{absent.path} is absent or empty" in _message(absent)


@pytest.mark.parametrize("files", [[".hidden"], ["_SUCCESS"]])
def test_a_required_channel_of_hidden_files_is_missing(source: Make, files: list[str]) -> None:
    assert _message(source("train", *files)).startswith("Missing required channel: train.")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Train", "Did you mean 'train'?"),
        ("trian", "Did you mean 'train'?"),
        ("tset", "Did you mean 'test'?"),
        ("validation", "Known: train, test."),
        ("..", "Known: train, test."),
    ],
)
def test_an_unknown_channel_is_answered_by_the_nearest(
    source: Make, tmp_path: Path, name: str, hint: str
) -> None:
    message = _message(source("train", "a.json"), ChannelSource(name, tmp_path))
    assert message == f"Extraneous channel found: {name}. {hint}"


def test_an_unknown_channel_is_refused_even_when_empty(source: Make) -> None:
    assert "Extraneous channel" in _message(source("train", "a.json"), source("validation"))


@pytest.mark.parametrize("mode", ["File", "FastFile"])
def test_a_declared_mode_is_accepted(source: Make, mode: str) -> None:
    assert _checked(source("train", "a.json", input_mode=mode))


def test_another_mode_is_refused(source: Make) -> None:
    message = _message(source("train", "a.json", input_mode="Pipe", content_type=JSON_LINES))
    assert message == (
        "Channel configuration for 'train' channel is not supported: "
        "{'TrainingInputMode': 'Pipe'}. expected one of File, FastFile."
    )


def test_another_distribution_is_refused(source: Make) -> None:
    message = _message(source("test", "a.json", distribution="ShardedByS3Key"))
    assert message == (
        "Channel configuration for 'test' channel is not supported: "
        "{'S3DistributionType': 'ShardedByS3Key'}. expected one of FullyReplicated."
    )


@pytest.mark.parametrize(
    "content_type",
    [*ALIASES, JSON_LINES, PARQUET, "Application/JSONLines; charset=utf-8", " json "],
)
def test_every_spelling_of_a_declared_type_is_accepted(source: Make, content_type: str) -> None:
    assert _checked(source("train", "a.json", content_type=content_type))


@pytest.mark.parametrize("content_type", ["text/csv", "application/x-recordio; a=b", "", "x"])
def test_another_type_is_refused(source: Make, content_type: str) -> None:
    message = _message(source("train", "a.json", content_type=content_type))
    assert message.startswith(
        "Channel configuration for 'train' channel is not supported: {'ContentType': "
    )
    assert f"expected one of {JSON_LINES}, {PARQUET}." in message


PIPED = (Channel("train", "Bytes.", (JSON_LINES, PARQUET), required=True, modes=("File", "Pipe")),)


def test_a_pipe_that_is_not_there_yet_is_no_empty_channel(tmp_path: Path) -> None:
    late = ChannelSource("train", tmp_path / "train", JSON_LINES, "Pipe")
    assert check_channels(PIPED, {"train": late}) == {"train": late}


def test_a_pipe_has_no_extension_and_needs_a_content_type(tmp_path: Path) -> None:
    nameless = ChannelSource("train", tmp_path / "train", input_mode="Pipe")
    with pytest.raises(UserError, match=r"^Missing content type for channel: train\. expected one"):
        check_channels(PIPED, {"train": nameless})


def test_a_pipe_of_an_algorithm_with_one_type_needs_none(tmp_path: Path) -> None:
    declared = (Channel("train", "Bytes.", (JSON_LINES,), modes=("Pipe",)),)
    nameless = ChannelSource("train", tmp_path / "train", input_mode="Pipe")
    assert list(check_channels(declared, {"train": nameless})) == ["train"]


@pytest.mark.parametrize("beside", ["train-manifest", "train_0", "lost+found"])
def test_what_lies_beside_a_channel_is_ignored(source: Make, beside: str) -> None:
    train = source("train", "a.json")
    (train.path.parent / beside).write_text("s3://bucket/a.json")
    assert _checked(train) == {"train": train}


def test_a_slip_in_a_type_is_answered_by_the_nearest(source: Make) -> None:
    message = _message(source("train", "a.json", content_type="application/jsonline"))
    assert message.endswith("Did you mean 'application/jsonlines'?")


ONLY_PIPED = (
    Channel("train", "What to learn from.", (JSON_LINES,), required=True, modes=("Pipe",)),
)


def test_a_pipe_that_has_not_appeared_yet_is_a_channel(tmp_path: Path) -> None:
    given = ChannelSource("train", tmp_path / "train", JSON_LINES, "Pipe")
    assert check_channels(ONLY_PIPED, {"train": given}) == {"train": given}


def test_an_address_in_an_object_store_is_a_channel(tmp_path: Path) -> None:
    given = ChannelSource("train", tmp_path / "train", JSON_LINES, s3_uri="s3://bucket/train")
    assert check_channels(DECLARED, {"train": given}) == {"train": given}


def test_a_share_of_a_sharded_channel_may_be_empty_where_there_are_several_hosts(
    source: Make,
) -> None:
    declared = (Channel("train", "Rows.", ("text/csv",), required=True, may_be_empty=True,
                        distributions=("FullyReplicated", "ShardedByS3Key")),)  # fmt: skip
    share = source("train", distribution="ShardedByS3Key", is_shared_out=True)
    assert check_channels(declared, {"train": share}, num_hosts=2) == {"train": share}
    whole = replace(share, distribution="FullyReplicated")
    for given, num_hosts in ((share, 1), (whole, 2)):
        with pytest.raises(UserError, match="Missing required channel: train"):
            check_channels(declared, {"train": given}, num_hosts)


def test_a_pipe_that_is_not_read_at_all_is_told_so_not_what_it_should_hold(source: Make) -> None:
    message = _message(source("train", "a.json", input_mode="Pipe"))
    assert "{'TrainingInputMode': 'Pipe'}. expected one of File, FastFile." in message
