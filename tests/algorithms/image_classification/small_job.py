"""Image classification of stripes: their direction is the class."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from sm_dl.data.image_record import image_record_bytes
from sm_dl.data.recordio import framed
from tests.small_job import SmallJob

SIDE, NUM_TRAIN, NUM_VALIDATION = 16, 48, 20


def _image(label: int, random: np.random.Generator, kind: str = "PNG") -> bytes:
    """Return a picture of stripes, lying or standing, in noise."""
    stripes = np.broadcast_to((np.arange(SIDE) // 2 % 2)[:, None], (SIDE, SIDE))
    base = 90 + 60 * (stripes if label else stripes.T)
    pixels = base[:, :, None] + random.normal(0, 25, (SIDE, SIDE, 3))
    stream = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(stream, kind)
    return stream.getvalue()


def _write(folder: Path) -> dict[str, Path]:
    random = np.random.default_rng(7)
    for name, count in (("train", NUM_TRAIN), ("validation", NUM_VALIDATION)):
        (folder / name).mkdir(parents=True)
        records = [
            framed(
                image_record_bytes(_image(number % 2, random), np.array([number % 2.0]), number),
                cuts=True,
            )
            for number in range(count)
        ]
        (folder / name / f"{name}.rec").write_bytes(b"".join(records))
    return {name: folder / name for name in ("train", "validation")}


_random = np.random.default_rng(8)

SMALL_JOB = SmallJob(
    hyperparameters={
        "num_classes": 2,
        "num_training_samples": NUM_TRAIN,
        "num_layers": 20,
        "image_shape": "3,12,12",
        "augmentation_type": "crop",
        "epochs": 4,
        "mini_batch_size": 8,
        "learning_rate": 0.05,
    },
    epochs_name="epochs",
    write_channels=_write,
    requests=(
        ("application/x-image", _image(0, _random)),
        ("image/png", _image(1, _random)),
        ("image/jpeg", _image(1, _random, "JPEG")),
    ),
)
