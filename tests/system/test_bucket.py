"""A whole job whose channels lie in an object store, through the public door."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.data.object_store import running_store
from tests.small_job import small_job

pytestmark = pytest.mark.system


def _train(config: Path, output: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sm_dl", "train", "--config", config, "--set", f"output={output}"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", **environment},
    )


def test_a_job_from_a_bucket_trains_the_model_of_one_from_folders(tmp_path: Path) -> None:
    folder = tmp_path / "deepar"
    folder.mkdir()
    config = small_job("deepar").write_yaml(folder, folder / "run")
    local = _train(config, tmp_path / "local")
    document = yaml.safe_load(config.read_text())
    with running_store() as store:
        store.reset()
        for name, channel in document["channels"].items():
            for file in Path(channel["path"]).iterdir():
                store.put(f"jobs/{name}/{file.name}", file.read_bytes())
            channel["path"] = f"s3://bkt/jobs/{name}/"
        config.write_text(yaml.safe_dump(document))
        stored = _train(config, tmp_path / "stored", **store.environment)
    assert (local.returncode, stored.returncode) == (0, 0), stored.stdout + stored.stderr
    weights = Path("model") / "weights.safetensors"
    assert (tmp_path / "stored" / weights).read_bytes() == (
        tmp_path / "local" / weights
    ).read_bytes()
