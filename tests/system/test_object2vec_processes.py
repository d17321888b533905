"""Object2Vec trained by two processes: the losses and the weights of one, whatever tables' gradients are."""

import os
import re
import subprocess
import sys

import pytest
from safetensors.torch import load_file
from torch.testing import assert_close

from tests.small_job import small_job

pytestmark = pytest.mark.system


@pytest.mark.parametrize("storage", ["dense", "row_sparse"])
def test_two_processes_have_the_losses_and_the_weights_of_one(tmp_path, storage):
    folder = tmp_path / "object2vec"
    folder.mkdir()
    config = small_job("object2vec").write_yaml(folder, folder / "run")
    losses, weights = [], []
    for devices in (1, 2):
        output = tmp_path / str(devices)
        settings = {
            "resources.devices": devices,
            "resources.precision": "32-true",  # each process rounds its own products to bfloat16
            "output": output,
            "hyperparameters.token_embedding_storage_type": storage,
        }
        finished = subprocess.run(
            [
                *(sys.executable, "-m", "sm_dl.train", "--config", config),
                *(word for name, value in settings.items() for word in ("--set", f"{name}={value}")),
            ],
            capture_output=True, text=True, check=False, timeout=120,
            env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        )  # fmt: skip
        assert finished.returncode == 0, finished.stdout
        found = re.findall(r"train cross_entropy <loss>=(\S+)", finished.stdout)
        losses.append([float(loss) for loss in found])
        weights.append(load_file(output / "model" / "weights.safetensors"))
    assert len(losses[1]) == 4
    assert losses[1] == pytest.approx(losses[0], rel=0.001)
    assert_close(weights[1], weights[0], rtol=0.01, atol=0.001)
