"""An image classifier trained by two processes: one model, each image once, one voice.

Batch norms take the statistics of their own process's part of a batch, as the service's do. So two
processes have the losses, accuracies and weights of one, but for rounding, where all images look
alike; where they do not, the losses differ. The running statistics are those of the first process.
"""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.algorithms.image_classification.pictures import record_bytes, textured
from tests.small_job import small_job

pytestmark = pytest.mark.system

WITNESS = Path(__file__).with_name("image_classification_witness.py")
NUM_IMAGES, BATCH, EPOCHS = 21, 5, 3
"""Two processes get three images and two of a batch; of the last one, one and none."""
LEARNING = {
    "num_classes": NUM_IMAGES,
    "num_training_samples": NUM_IMAGES,
    "num_layers": 20,
    "image_shape": "3,12,16",
    "mini_batch_size": BATCH,
    "epochs": EPOCHS,
    "learning_rate": 2e-4,  # the gradient is long: a larger one amplifies rounding
    "seed": 5,  # no ReLU stands so near to 0 that rounding decides on its gradient
}
"""Of images that look alike and have a class each."""
FIGURE = re.compile(r"Epoch\[\d+\] ((?:Train|Validation)-\w+)=(\S+)")


@dataclass
class Trained:
    """One job by some processes, each with an output folder of its own."""

    folder: Path
    log: str

    def batches(self, rank: int) -> list[list[int]]:
        """Return the labels of each batch that a process trained on; padding is none."""
        found: list[list[int]] = json.loads((self.folder / f"{rank}.json").read_text())
        return found

    def model(self) -> dict[str, torch.Tensor]:
        return load_file(self.folder / "0" / "model" / "weights.safetensors")

    def weights_of_second(self) -> dict[str, torch.Tensor]:
        return load_file(self.folder / "1.safetensors")

    def figures(self) -> dict[str, list[float]]:
        """Return what was printed of each epoch."""
        found: dict[str, list[float]] = {}
        for name, value in FIGURE.findall(self.log):
            found.setdefault(name, []).append(float(value))
        return found


def _run(*command: object) -> str:
    done = subprocess.run(
        [str(part) for part in (sys.executable, *command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def alike(tmp_path_factory: pytest.TempPathFactory) -> list[Trained]:
    """Train on images that look alike and have a class each, by one process and by two."""
    root = tmp_path_factory.mktemp("alike")
    labels = [[number] for number in range(NUM_IMAGES)]
    (root / "images.rec").write_bytes(record_bytes(textured(1) * NUM_IMAGES, labels))
    (root / "job.yaml").write_text(
        json.dumps(
            {
                "algorithm": "image_classification",
                "hyperparameters": LEARNING,
                "channels": {name: str(root) for name in ("train", "validation")},
                "resources": {"precision": "32-true"},
            }
        )
    )
    trained = []
    for number in (1, 2):
        folder = root / f"by {number}"
        folder.mkdir()
        torchrun = ("-m", "torch.distributed.run", "--nproc-per-node", "2") if number == 2 else ()
        log = _run(*torchrun, WITNESS, folder, "--config", root / "job.yaml")
        trained.append(Trained(folder, log))
    return trained


def test_each_image_is_seen_once_an_epoch_in_the_batch_of_one_process(alike: list[Trained]) -> None:
    one, two = alike
    whole = one.batches(0)
    parts = list(zip(two.batches(0), two.batches(1), strict=True))
    assert [sorted(first + second) for first, second in parts] == [sorted(batch) for batch in whole]
    a_pass = -(-NUM_IMAGES // BATCH)
    for epoch in range(EPOCHS):
        seen = chain.from_iterable(whole[epoch * a_pass : (epoch + 1) * a_pass])
        assert sorted(seen) == list(range(NUM_IMAGES))
    assert {(len(first), len(second)) for first, second in parts} == {(3, 2), (1, 0)}


def test_two_processes_end_with_one_network(alike: list[Trained]) -> None:
    _, two = alike
    first, second = two.model(), two.weights_of_second()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_of_images_that_look_alike_two_processes_learn_what_one_does(alike: list[Trained]) -> None:
    one, two = alike
    expected = one.figures()
    assert {len(values) for values in expected.values()} == {EPOCHS}
    assert {"Train-accuracy", "Train-loss", "Validation-accuracy"} <= expected.keys()
    for name, values in two.figures().items():
        assert values == pytest.approx(expected[name], rel=1e-5), name
    after = two.model()
    learnt = {name: tensor for name, tensor in one.model().items() if ".running_" not in name}
    # running variances are unbiased estimates: those of a part's pixels differ from the batch's
    for name, tensor in learnt.items():
        torch.testing.assert_close(after[name], tensor, rtol=1e-3, atol=1e-5)


def test_the_first_process_alone_writes(alike: list[Trained]) -> None:
    one, two = alike

    def kinds(folder: Path) -> set[str]:
        """Return the files below a folder, less what a name says of time and process."""
        paths = (path for path in folder.rglob("*") if path.is_file())
        return {re.sub(r"\d{4,}\S*", "", str(path.relative_to(folder))) for path in paths}

    assert kinds(two.folder / "0") == kinds(one.folder / "0")
    assert kinds(two.folder / "1") == set()


def test_of_other_images_two_processes_learn_and_validate_as_one_judges(tmp_path: Path) -> None:
    folder = tmp_path / "image_classification"
    folder.mkdir()
    config = small_job("image_classification").write_yaml(folder, folder / "run")
    log = _run("-m", "sm_dl.train", "--config", config, "--set", "resources.devices=2")
    figures = Trained(folder, log).figures()
    assert figures["Train-accuracy"][-1] > 0.9  # chance is 0.5
    judged = json.loads((folder / "run" / "output" / "classes.json").read_text())
    assert max(figures["Validation-accuracy"]) == pytest.approx(judged["accuracy"])
