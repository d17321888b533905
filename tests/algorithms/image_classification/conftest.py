"""A small network, its facts and its predictor; hyperparameters with any field changed."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sm_dl.algorithms.image_classification.facts import ModelFacts
from sm_dl.algorithms.image_classification.hyperparameters import ImageClassificationHyperparameters
from sm_dl.algorithms.image_classification.network import ResNetClassifier
from sm_dl.algorithms.image_classification.predictor import ImageClassificationPredictor
from sm_dl.job.job import ChannelSource, Job, Resources
from sm_dl.job.paths import Paths

FACTS = ModelFacts(20, (3, 12, 16), 4, class_names=("ant", "bee", "cow", "dog"))


def _image(height: int = 20, width: int = 30, mode: str = "RGB", kind: str = "PNG") -> bytes:
    """Return an image file that looks different everywhere."""
    random = np.random.default_rng(height * width)
    pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(stream, kind)
    return stream.getvalue()


def _network(facts: ModelFacts = FACTS, seed: int = 0) -> ResNetClassifier:
    torch.manual_seed(seed)
    return ResNetClassifier(facts.network_shape, facts.num_classes)


def _settings(**changes: object) -> ImageClassificationHyperparameters:
    values = {
        "num_classes": 4, "num_training_samples": 8, "num_layers": 20, "image_shape": "3,12,16",
        "mini_batch_size": 4,
    }  # fmt: skip
    return ImageClassificationHyperparameters.parse({**values, **changes})


@pytest.fixture
def image() -> Callable[..., bytes]:
    """Return the builder of image files."""
    return _image


@pytest.fixture
def facts() -> ModelFacts:
    """Return the facts of the small network."""
    return FACTS


@pytest.fixture
def network() -> Callable[..., ResNetClassifier]:
    """Return the builder of small networks."""
    return _network


@pytest.fixture
def settings() -> Callable[..., ImageClassificationHyperparameters]:
    """Return the builder of hyperparameters."""
    return _settings


@pytest.fixture
def predictor() -> ImageClassificationPredictor:
    """Return a predictor of the small network."""
    return ImageClassificationPredictor(_network(), FACTS)


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Job]:
    """Return the builder of jobs that write below a folder of the test."""

    def build(*channels: ChannelSource, weights: Path | None = None, **changes: object) -> Job:
        return Job(
            algorithm="image_classification",
            hyperparameters=_settings(**changes),
            channels={channel.name: channel for channel in channels},
            paths=Paths(tmp_path / "run"),
            resources=Resources(weights=weights),
        )

    return build
