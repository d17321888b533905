"""A topic model trained by two processes: the losses of one, but for their own noise."""

import os
import re
import subprocess
import sys

import pytest

from tests.small_job import small_job

pytestmark = pytest.mark.system


def test_two_processes_have_the_losses_of_one(tmp_path):
    folder = tmp_path / "ntm"
    folder.mkdir()
    config = small_job("ntm").write_yaml(folder, folder / "run")
    losses = []
    for devices in (1, 2):
        finished = subprocess.run(
            [
                *(sys.executable, "-m", "sm_dl.train", "--config", config),
                *("--set", f"resources.devices={devices}", "--set", f"output={tmp_path / str(devices)}"),
            ],
            capture_output=True, text=True, check=False, timeout=120,
            env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        )  # fmt: skip
        assert finished.returncode == 0, finished.stdout
        found = re.findall(r"train total_loss <loss>=(\S+)", finished.stdout)
        losses.append([float(loss) for loss in found])
    assert len(losses[1]) == 6
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
