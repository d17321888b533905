"""Objects come by prefix or manifest, survive a bad connection, and never come shortened."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sm_dl.data import s3
from sm_dl.data.csv_table import read_csv
from sm_dl.data.jsonlines import read_objects
from sm_dl.data.source import byte_source, channel_files
from sm_dl.data.table import read_rows
from sm_dl.errors import JobError, PlatformError, UserError
from sm_dl.job.job import ChannelSource
from tests.data.object_store import FaultyStore, running_store

CONTENT = bytes(range(256)) * 400


@pytest.fixture(scope="module")
def server() -> Iterator[FaultyStore]:
    with running_store() as running:
        yield running


@pytest.fixture
def store(server: FaultyStore, monkeypatch: pytest.MonkeyPatch) -> FaultyStore:
    """Return a store with an empty bucket, to which the environment points."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    monkeypatch.setattr(s3, "BLOCK_BYTES", 40_000)
    server.use(monkeypatch)
    return server


def _source(uri: str = "s3://bkt/train", **fields: Any) -> ChannelSource:
    return ChannelSource(
        "train", Path(uri), **{"content_type": "application/jsonlines", **fields}, s3_uri=uri
    )


def _names(uri: str = "s3://bkt/train", **fields: Any) -> list[str]:
    return [file.name for file in channel_files(_source(uri, **fields))]


def _read(uri: str = "s3://bkt/train") -> bytes:
    (file,) = channel_files(_source(uri))
    with file.open() as stream:
        return stream.read()


def _message(kind: type[JobError], uri: str = "s3://bkt/train") -> str:
    with pytest.raises(kind) as failure:
        _read(uri)
    message = str(failure.value)
    assert len(message.splitlines()) == 1
    return message


# What a channel holds.


def test_a_prefix_is_text_and_no_folder(store: FaultyStore) -> None:
    for key in ("train/a.json", "train_annotation/a.json", "trail/a.json", "other/train/a.json"):
        store.put(key, CONTENT)
    assert _names() == ["train/a.json", "train/_annotation/a.json"]


def test_a_prefix_with_a_slash_is_a_folder(store: FaultyStore) -> None:
    for key in ("train/a.json", "train/x/b.json", "train_annotation/a.json"):
        store.put(key, CONTENT)
    assert _names("s3://bkt/train/") == ["train/a.json", "train/x/b.json"]


def test_a_prefix_may_be_a_whole_bucket(store: FaultyStore) -> None:
    store.put("a.json", CONTENT)
    assert _names("s3://bkt") == ["train/a.json"]


def test_a_prefix_may_be_one_object(store: FaultyStore) -> None:
    store.put("x/a.json", CONTENT)
    assert _names("s3://bkt/x/a.json") == ["train/a.json"]


def test_objects_come_in_the_order_of_their_keys(store: FaultyStore) -> None:
    for key in ("train/b", "train/a/c", "train/a.json", "train/é", "train/B"):
        store.put(key, CONTENT)
    assert _names() == ["train/B", "train/a.json", "train/a/c", "train/b", "train/é"]


def test_hidden_objects_and_markers_are_no_data(store: FaultyStore) -> None:
    for key in ("train/", "train/x/", "train/_SUCCESS", "train/.x/a.json", "train/.a.json"):
        store.put(key, b"")
    store.put("train/a.json", CONTENT)
    assert _names() == ["train/a.json"]


def test_a_listing_of_many_pages_is_whole(store: FaultyStore) -> None:
    for number in range(1005):
        store.put(f"train/{number:04}", b"")
    assert len(_names()) == 1005


def test_a_manifest_lists_what_is_read_in_its_order(store: FaultyStore) -> None:
    store.put("data/z.json", b"{}")
    store.put("data/x/a.json", b"{}")
    manifest = [{"prefix": "s3://bkt/data/"}, "z.json", "x/a.json"]
    store.put("train.manifest", json.dumps(manifest).encode())
    names = _names("s3://bkt/train.manifest", s3_data_type="ManifestFile")
    assert names == ["train/z.json", "train/x/a.json"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'["a"]',
        b'[{"prefix": 1}]',
        b"[null, 1]",
        b'[{"prefix": "s3://bkt/"}, 1]',
    ],
)
def test_a_broken_manifest_is_refused(store: FaultyStore, content: bytes) -> None:
    store.put("train.manifest", content)
    with pytest.raises(
        UserError, match=r"channel train: manifest s3://bkt/train\.manifest: expected"
    ):
        _names("s3://bkt/train.manifest", s3_data_type="ManifestFile")


def test_hosts_take_shares_of_a_sharded_channel(store: FaultyStore) -> None:
    for key in "abcde":
        store.put(f"train/{key}", CONTENT)
    source = _source(distribution="ShardedByS3Key")
    shares = [byte_source(source, host=(host, 2)).next_epoch() for host in range(2)]
    assert [[file.name[-1] for file in share] for share in shares] == [["a", "c", "e"], ["b", "d"]]


def test_a_replicated_channel_is_whole_on_every_host(store: FaultyStore) -> None:
    store.put("train/a", CONTENT)
    store.put("train/b", CONTENT)
    assert len(byte_source(_source(), host=(1, 2)).next_epoch()) == 2


def test_a_bucket_is_listed_once_for_all_epochs(store: FaultyStore) -> None:
    store.put("train/a", CONTENT)
    source = byte_source(_source())
    assert source.next_epoch() == source.next_epoch()
    assert len(store.requests) == 1


# Every reader sits on it.


def test_bytes_are_those_of_the_object(store: FaultyStore) -> None:
    store.put("train/a", CONTENT)
    assert _read() == CONTENT


def test_an_empty_object_is_empty(store: FaultyStore) -> None:
    store.put("train/a", b"")
    assert _read() == b""


def test_a_stream_may_be_sought(store: FaultyStore) -> None:
    store.put("train/a", CONTENT)
    (file,) = channel_files(_source())
    with file.open() as stream:
        stream.seek(-3, 2)
        assert stream.read() == CONTENT[-3:]


def test_gzipped_json_lines_are_read(store: FaultyStore) -> None:
    store.put("train/a.json.gz", gzip.compress(b'{"a": 1}\n' * 3))
    (file,) = channel_files(_source(content_type=None))
    assert [value for _, value in read_objects(file)] == [{"a": 1}] * 3


def test_gzipped_csv_is_read(store: FaultyStore) -> None:
    store.put("train/a.csv.gz", gzip.compress(b"a,b\n" * 3))
    (file,) = channel_files(_source(content_type=None))
    assert sum(map(len, read_csv(file, "text"))) == 3


def test_parquet_is_read_by_ranges(store: FaultyStore) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"x": [[1.0], [2.0]]}), sink)
    store.put("train/a.parquet", sink.getvalue().to_pybytes())
    (file,) = channel_files(_source(content_type=None))
    assert [row["x"].tolist() for _, row in read_rows(file)] == [[1.0], [2.0]]  # type: ignore[attr-defined]


# A bad connection.


def test_a_connection_cut_in_mid_object_is_taken_up_again(store: FaultyStore) -> None:
    store.put("train/a", CONTENT)
    store.cut("GET /bkt/train/a", 25_000, times=2)
    assert _read() == CONTENT


def test_a_connection_that_is_always_cut_is_one_sentence(
    store: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("s3fs.S3FileSystem.retries", 2)
    store.put("train/a", CONTENT)
    store.cut("GET /bkt/train/a", 25_000)
    assert _message(PlatformError).startswith(
        "train/a: s3://bkt/train/a: the object store fails after repeated tries ("
    )


def test_a_store_that_asks_to_slow_down_is_asked_again(store: FaultyStore) -> None:
    store.put("train/a", CONTENT)
    store.refuse("GET /bkt/train/a", "SlowDown", 503, times=3)
    assert _read() == CONTENT


def test_a_listing_is_asked_for_again(store: FaultyStore) -> None:
    store.put("train/a", CONTENT)
    store.refuse("GET /bkt", "SlowDown", 503, times=1)
    assert _read() == CONTENT


def test_a_listing_that_never_comes_is_the_platforms_error(store: FaultyStore) -> None:
    store.put("train/a", CONTENT)
    store.refuse("GET /bkt", "SlowDown", 503)
    assert _message(PlatformError).startswith(
        "channel train: s3://bkt/train: the object store fails after repeated tries ("
    )


@pytest.mark.parametrize(("code", "status"), [("SlowDown", 503), ("InternalError", 500)])
def test_a_store_that_never_answers_is_the_platforms_error(
    store: FaultyStore, monkeypatch: pytest.MonkeyPatch, code: str, status: int
) -> None:
    monkeypatch.setattr("s3fs.S3FileSystem.retries", 2)
    store.put("train/a", CONTENT)
    store.refuse("GET /bkt/train/a", code, status)
    assert f"({code}, says the store)" in _message(PlatformError)


@pytest.mark.usefixtures("store")
def test_a_store_that_is_not_there_is_the_platforms_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    message = _message(PlatformError)
    assert message.startswith(
        "channel train: s3://bkt/train: the object store fails after repeated"
    )


# Objects that change, and doors that are closed.


def test_an_object_that_changed_since_it_was_listed_is_refused(store: FaultyStore) -> None:
    store.put("train/a", CONTENT)
    (file,) = channel_files(_source())
    store.put("train/a", CONTENT + b"more")
    with pytest.raises(
        UserError, match="train/a: s3://bkt/train/a has changed since the job began"
    ):
        file.open()


def test_an_object_that_changes_while_it_is_read_is_refused(
    store: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "BUFFER_BYTES", 1000)
    store.put("train/a", CONTENT * 3)
    (file,) = channel_files(_source())
    with file.open() as stream:
        stream.read(10)
        store.put("train/a", CONTENT[::-1] * 3)
        with pytest.raises(UserError, match="has changed since the job began to read it"):
            stream.read()


def test_an_object_that_goes_away_is_refused(store: FaultyStore) -> None:
    store.put("train/a", CONTENT)
    (file,) = channel_files(_source())
    store.backend.delete_object("bkt", "train/a")
    with pytest.raises(UserError, match="there is no such bucket or object"):
        file.open()


def test_an_object_that_goes_away_while_it_is_read_is_refused(
    store: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "BUFFER_BYTES", 1000)
    store.put("train/a", CONTENT * 3)
    (file,) = channel_files(_source())
    with file.open() as stream:
        stream.read(10)
        store.backend.delete_object("bkt", "train/a")
        with pytest.raises(UserError, match=r"train/a: s3://bkt/train/a"):
            stream.read()


def test_an_object_that_comes_later_belongs_to_no_epoch_of_the_job(store: FaultyStore) -> None:
    store.put("train/a", CONTENT)
    source = byte_source(_source())
    store.put("train/b", CONTENT)
    assert [[file.name for file in source.next_epoch()] for _ in range(2)] == [["train/a"]] * 2


def test_a_listing_of_several_pages_comes_whole(store: FaultyStore) -> None:
    keys = [f"train/{number:04}" for number in range(2_100)]
    for key in keys:
        store.put(key, b"")
    assert _names() == keys
    assert store.requests.count("GET /bkt") == 3


def test_a_page_of_a_listing_that_is_cut_is_asked_for_again(store: FaultyStore) -> None:
    keys = [f"train/{number:04}" for number in range(1_100)]
    for key in keys:
        store.put(key, b"")
    store.cut("GET /bkt$", 5_000, times=1)
    assert _names() == keys


@pytest.mark.usefixtures("store")
def test_a_missing_bucket_is_one_sentence() -> None:
    assert _message(UserError, "s3://no-such-bucket/train") == (
        "channel train: s3://no-such-bucket/train: there is no such bucket or object. "
        "Check the spelling and the region."
    )


@pytest.mark.usefixtures("store")
def test_a_prefix_of_nothing_is_one_sentence() -> None:
    assert _message(UserError) == (
        "channel train: expected at least one data file below s3://bkt/train; got none."
    )


def test_a_missing_object_of_a_manifest_is_named(store: FaultyStore) -> None:
    store.put("m", b'[{"prefix": "s3://bkt/"}, "absent"]')
    (file,) = channel_files(_source("s3://bkt/m", s3_data_type="ManifestFile"))
    with pytest.raises(UserError, match="train/absent: s3://bkt/absent: there is no such"):
        file.open()


@pytest.mark.parametrize("request_", ["GET /bkt$", "(GET|HEAD) /bkt/train/a"])
@pytest.mark.parametrize(("code", "status"), [("AccessDenied", 403), ("ExpiredToken", 400)])
def test_a_closed_door_is_one_sentence(
    store: FaultyStore, request_: str, code: str, status: int
) -> None:
    store.put("train/a", CONTENT)
    store.refuse(request_, code, status)
    assert "access is denied (" in _message(UserError)


@pytest.mark.usefixtures("store")
def test_no_credentials_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    assert "access is denied (Unable to locate credentials). Bring credentials" in _message(
        UserError
    )


@pytest.mark.parametrize("uri", ["s3://", "s3:///train"])
def test_an_address_without_a_bucket_is_refused(uri: str) -> None:
    assert "expected an address such as s3://bucket/prefix" in _message(UserError, uri)
