"""Two processes on one host: one model, one voice, each window once."""

import os
import re
import subprocess
import sys

import pytest

from tests.small_job import small_job

pytestmark = pytest.mark.system

LOSS = re.compile(r"epoch=(\d+), train loss <loss>=(\S+)")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return the logs of the same job in one process and in two."""
    folder = tmp_path_factory.mktemp("processes") / "deepar"
    folder.mkdir()
    config = small_job("deepar").write_yaml(folder, folder / "run")
    # without zoneout the two processes draw nothing of their own, so losses can be compared
    shared = [
        "-m",
        "sm_dl.train",
        "--config",
        str(config),
        "--set",
        "hyperparameters.dropout_rate=0",
    ]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    commands = {"one": [sys.executable, *shared], "two": [*torchrun, *shared]}
    logs = {}
    for name, command in commands.items():
        finished = subprocess.run(
            [*command, "--set", f"output={folder / name}"],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        )
        assert finished.returncode == 0, finished.stdout + finished.stderr
        logs[name] = finished.stdout
    return folder, logs


def test_two_processes_train_one_model(runs):
    folder, _ = runs
    assert len(list((folder / "two" / "model").iterdir())) == 2


def test_only_one_process_prints_metrics(runs):
    _, logs = runs
    assert [epoch for epoch, _ in LOSS.findall(logs["two"])] == ["0", "1", "2", "3"]


def test_two_processes_have_the_losses_of_one(runs):
    _, logs = runs
    one, two = ([float(loss) for _, loss in LOSS.findall(logs[name])] for name in ("one", "two"))
    # windows without a known context take the mean scale of their process's part of a batch
    assert two == pytest.approx(one, rel=0.05)
