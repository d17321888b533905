"""Images straight from a bucket: records as a stream, listed files one by one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sm_dl.engine.place import Place
from sm_dl.errors import UserError
from sm_dl.job.job import ChannelSource
from tests.algorithms.image_classification.pictures import (
    flat,
    levels,
    numbered,
    opened,
    record_bytes,
)
from tests.data.object_store import FaultyStore, running_store


@pytest.fixture(scope="module")
def server() -> Iterator[FaultyStore]:
    with running_store() as running:
        yield running


@pytest.fixture
def store(server: FaultyStore, monkeypatch: pytest.MonkeyPatch) -> FaultyStore:
    """Return a store with an empty bucket, to which the environment points."""
    server.use(monkeypatch)
    return server


def channel(name: str = "train", **options: Any) -> ChannelSource:
    uri = f"s3://bkt/{name}/"
    return ChannelSource(name, Path(uri), s3_uri=uri, **options)


def test_records_of_a_bucket_are_streamed_epoch_after_epoch(store: FaultyStore) -> None:
    store.put("train/a.rec", record_bytes(numbered(10)))
    store.put("train/a.idx", b"")
    batches = opened(channel())
    assert batches.num_images is None
    epochs = [levels(batches, Place(epoch)) for epoch in range(2)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(10))
    assert epochs[0] != epochs[1]


def test_listed_files_of_a_bucket_are_read_as_they_are_needed(store: FaultyStore) -> None:
    lines = []
    for number in range(5):
        store.put(f"train/kind/{number}.png", flat(number))
        lines.append(f"{number}\t{number % 3}\tkind/{number}.png\n")
    store.put("train_lst/a.lst", "".join(lines).encode())
    batches = opened(channel(), channel("train_lst"))
    assert sorted(levels(batches, Place(0))) == list(range(5))


def test_a_listed_file_that_a_bucket_lacks_is_named(store: FaultyStore) -> None:
    store.put("train/kind/0.png", flat(0))
    store.put("train_lst/a.lst", b"0\t0\tkind/0.png\n1\t0\tkind/1.png\n")
    with pytest.raises(UserError, match=r"train_lst/a\.lst line 2 .*'kind/1\.png' below s3://bkt"):
        opened(channel(), channel("train_lst"))


def test_a_bucket_with_two_record_files_is_refused(store: FaultyStore) -> None:
    store.put("train/a.rec", record_bytes(numbered(4)))
    store.put("train/b.rec", record_bytes(numbered(4)))
    with pytest.raises(UserError, match=r"channel train: expected exactly one \.rec file; got 2"):
        opened(channel())


def test_an_empty_record_file_in_a_bucket_is_refused(store: FaultyStore) -> None:
    store.put("train/a.rec", b"")
    with pytest.raises(UserError, match=r"Empty \.rec file in train channel\."):
        list(opened(channel())(Place(0)))
