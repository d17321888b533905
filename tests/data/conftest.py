"""One file of a channel, with any content."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sm_dl.content_types import JSON_LINES
from sm_dl.data.source import DataFile


@pytest.fixture
def data_file(tmp_path: Path) -> Callable[..., DataFile]:
    """Return a maker of files: written when there is content, else only named."""

    def make(content: bytes | None = None, name: str = "a.json") -> DataFile:
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        return DataFile(path, f"train/{name}", JSON_LINES)

    return make
