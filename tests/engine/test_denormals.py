"""Numbers too small to matter are zero for a while, and numbers again afterwards."""

import os
import subprocess
import sys

import torch

from sm_dl.engine import denormals


def _product() -> float:
    return (torch.tensor([1e-30]) * torch.tensor([1e-10])).item()


def test_denormals_are_zero_within_and_numbers_after():
    before = _product()
    with denormals.taken_for_zero():
        within = _product()
    assert (before > 0, within, _product()) == (True, 0.0, before)


def test_a_training_takes_them_for_zero_in_all_threads_of_torch(tmp_path):
    channel = tmp_path / "train"
    channel.mkdir()
    (channel / "a.json").write_text("{}")
    job = tmp_path / "job.yaml"
    job.write_text(
        f"{{algorithm: deepar, channels: {{train: {channel}}}, output: {tmp_path / 'run'},"
        " hyperparameters: {time_freq: D, prediction_length: 2, context_length: 2, epochs: 1}}"
    )
    code = (
        "import sys, torch; from sm_dl import train;"
        "from sm_dl.algorithms.deepar import training;"
        "training.fit = lambda job: print((torch.full((1 << 20,), 1e-30) * 1e-10).count_nonzero().item());"
        "sys.exit(train.main(sys.argv[1:]))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, "--config", str(job)],
        env=os.environ | {"OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout.splitlines()[-1:] == ["0"], run.stderr
