"""Two hosts, one network: each has images of its own (`ShardedByS3Key`), and all of them are learnt from."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.algorithms.image_classification.pictures import record_bytes, textured
from tests.small_job import small_job
from tests.system.test_many_processes import network

pytestmark = pytest.mark.system

NUM_IMAGES = {"train": (20, 9), "validation": (6, 5)}
"""Of the first host, and of the second."""
BATCH, EPOCHS = 4, 2


def _write(root: Path, number: int, address: str, addresses: list[str], interface: str) -> None:
    """Write the tree that the platform gives one host."""
    small_job("image_classification").write_opt_ml(root)
    config = root / "input" / "config"
    for channel, counts in NUM_IMAGES.items():
        folder = root / "input" / "data" / channel
        (file,) = folder.iterdir()
        labels = [[number]] * counts[number]  # a class that the other host has not
        file.write_bytes(record_bytes(textured(counts[number]), labels))
    for name, changes in {
        "hyperparameters": {"mini_batch_size": str(BATCH), "epochs": str(EPOCHS)},
        "resourceconfig": {
            "current_host": address,
            "hosts": addresses,
            "network_interface_name": interface,
        },
    }.items():
        path = config / f"{name}.json"
        values = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**values, **changes}))
    channels = json.loads((config / "inputdataconfig.json").read_text())
    for channel in channels.values():
        channel["S3DistributionType"] = "ShardedByS3Key"
    (config / "inputdataconfig.json").write_text(json.dumps(channels))


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Train on both hosts and return what each has said."""
    folder = tmp_path_factory.mktemp("hosts")
    processes = []
    with network() as hosts:
        addresses = [address for address, _, _ in hosts]
        for number, (address, interface, inside) in enumerate(hosts):
            root = folder / address
            _write(root, number, address, addresses, interface)
            own = {"SAGEMAKER_BASE_DIR": str(root), "SM_DL_ALGORITHM": "image_classification"}
            processes.append(
                subprocess.Popen(
                    [*inside, sys.executable, "-m", "sm_dl", "train"],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", **own},
                )
            )
        said = [process.communicate(timeout=240)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], "\n".join(said)
    return said


def test_each_host_is_told_once_a_channel(logs: list[str]) -> None:
    for log in logs:
        told = re.findall(r"channel (\w+): ShardedByS3Key is not supported by the service", log)
        assert sorted(told) == ["train", "validation"]


def test_validation_counts_the_images_of_both_hosts(logs: list[str]) -> None:
    accuracies = [float(one) for one in re.findall(r"Validation-accuracy=(\S+)", logs[0])]
    assert len(accuracies) == EPOCHS
    num_images = sum(NUM_IMAGES["validation"])
    for accuracy in accuracies:  # so many right ones of all
        assert accuracy * num_images == pytest.approx(round(accuracy * num_images), abs=1e-4)


def test_one_model_is_written_by_the_first_host(logs: list[str]) -> None:
    assert "Saved checkpoint to" in logs[0]
    assert "Saved checkpoint to" not in logs[1]
