"""A config file and an `/opt/ml` tree, each with any part changed."""

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

CONFIG = b"""\
algorithm: deepar
hyperparameters:
  epochs: 3
channels:
  train: {path: data/train}
output: runs/one
"""


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., Path]:
    """Return a writer of config files; without content it writes a small valid one."""

    def write(content: bytes | str = CONFIG) -> Path:
        path = tmp_path / "job.yaml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.fixture
def opt_ml(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Return a writer of the platform's JSON files that gives the container's environment.

    Bytes are written as they are; anything else as JSON; a file not named stays absent.
    """

    def write(**files: object) -> dict[str, str]:
        folder = tmp_path / "input" / "config"
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            raw = content if isinstance(content, bytes) else orjson.dumps(content)
            (folder / f"{name}.json").write_bytes(raw)
        return {"SAGEMAKER_BASE_DIR": str(tmp_path), "SM_DL_ALGORITHM": "deepar"}

    return write
