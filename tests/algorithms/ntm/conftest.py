"""Channels of a topic model in small."""

from pathlib import Path

import numpy as np
import pytest

from sm_dl.algorithms.ntm.data import read_documents
from sm_dl.data.bad_records import BadRecords
from sm_dl.job.job import ChannelSource, Hosts
from tests.algorithms.ntm.small_job import NUM_WORDS


@pytest.fixture
def channel(tmp_path: Path):
    """Return a maker of a channel from the content of its files."""

    def make(content_type: str | None = None, /, **files: bytes | str) -> ChannelSource:
        folder = tmp_path / "train"
        folder.mkdir(exist_ok=True)
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            (folder / name.replace("_", ".")).write_bytes(data)
        return ChannelSource("train", folder, content_type)

    return make


@pytest.fixture
def read():
    """Return a reader of a channel as a dense matrix."""

    def read_dense(source: ChannelSource, num_words: int = NUM_WORDS, most_bad: int = 0):
        found = read_documents(source, num_words, hosts=Hosts(), bad=BadRecords(most_bad))
        matrix = np.zeros((len(found), num_words))
        rows = np.repeat(np.arange(len(found)), np.diff(found.starts))
        matrix[rows, found.words] = found.counts
        return matrix

    return read_dense
