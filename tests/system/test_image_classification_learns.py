"""Image classifiers learn what they are shown, and what they have learnt helps with other classes."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sm_dl.algorithms.image_classification import ALGORITHM, training
from sm_dl.data.image_record import image_record_bytes
from sm_dl.data.recordio import framed
from sm_dl.job.job import ChannelSource, Job, Resources
from sm_dl.job.paths import Paths
from tests.data.images import encoded

pytestmark = pytest.mark.system

SIDE = 16
ANGLES = np.pi * np.arange(6) / 6
"""Directions of stripes: the first four are known classes, the last two new ones."""


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _channel(folder: Path, name: str, angles: np.ndarray, count: int, seed: int) -> ChannelSource:
    """Write pictures of stripes of these directions, of any phase and width, in noise."""
    random = np.random.default_rng(seed)
    down, right = np.mgrid[:SIDE, :SIDE]
    records = []
    for number in range(count * len(angles)):
        label = number % len(angles)
        along = down * np.cos(angles[label]) + right * np.sin(angles[label])
        wave = np.sin(along * random.uniform(0.9, 1.5) + random.uniform(0, 6.28))
        pixels = 128 + 50 * wave[:, :, None] + random.normal(0, 40, (SIDE, SIDE, 3))
        image = encoded(pixels.clip(0, 255).astype(np.uint8))
        record = image_record_bytes(image, np.array([float(label)]), number)
        records.append(framed(record, cuts=True))
    (folder / name).mkdir(parents=True)
    (folder / name / "a.rec").write_bytes(b"".join(records))
    return ChannelSource(name, folder / name)


def _accuracy(
    folder: Path, *channels: ChannelSource, weights: Path | None = None, **changes
) -> float:
    """Return the validation accuracy of the model that a job leaves."""
    values = {
        "num_layers": 20, "image_shape": "3,12,12", "augmentation_type": "crop", "mini_batch_size": 16,
        "num_training_samples": 16, "learning_rate": 0.05, "use_pretrained_model": int(weights is not None),
    }  # fmt: skip
    job = Job(
        algorithm=ALGORITHM.name,
        hyperparameters=ALGORITHM.hyperparameters.parse({**values, **changes}),
        channels={channel.name: channel for channel in channels},
        paths=Paths(folder),
        resources=Resources(weights=weights),
    )
    training.fit(job)
    from sm_dl.artifact.metadata import read_metadata  # noqa: PLC0415

    return read_metadata(folder / "model").facts["training"]["validation_accuracy"]


@pytest.mark.parametrize("seed", [0, 1])
def test_the_direction_of_stripes_is_learnt(tmp_path: Path, seed: int) -> None:
    train = _channel(tmp_path, "train", ANGLES[:4], 80, seed=1)
    validation = _channel(tmp_path, "validation", ANGLES[:4], 25, seed=2)
    settings = {"num_classes": 4, "epochs": 6, "seed": seed}
    assert _accuracy(tmp_path / "run", train, validation, **settings) > 0.8  # chance is 0.25


def test_weights_of_other_classes_beat_scratch_with_few_images(tmp_path: Path) -> None:
    known = tmp_path / "known"
    base = [
        _channel(known, "train", ANGLES[:4], 80, seed=1),
        _channel(known, "validation", ANGLES[:4], 10, seed=2),
    ]
    _accuracy(known / "run", *base, num_classes=4, epochs=8)
    weights = known / "run" / "model" / "weights.safetensors"
    few = _channel(tmp_path, "train", ANGLES[4:], 8, seed=3)
    validation = _channel(tmp_path, "validation", ANGLES[4:], 60, seed=4)
    found = {}
    for given in (weights, None):
        accuracies = [
            _accuracy(
                tmp_path / f"{given is None}-{seed}", few, validation, weights=given,
                num_classes=2, epochs=6, learning_rate=0.01, seed=seed,
            )
            for seed in (0, 1, 2)
        ]  # fmt: skip
        found[given is None] = float(np.median(accuracies))
    assert found[False] > found[True] + 0.05
