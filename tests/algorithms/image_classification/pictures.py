"""Channels of small images, in every form the algorithm reads, and the settings to read them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from sm_dl.algorithms.image_classification.batches import Batch, ImageBatches
from sm_dl.algorithms.image_classification.data import open_images
from sm_dl.data.bad_records import BadRecords
from sm_dl.data.image_record import image_record_bytes
from sm_dl.data.lst import list_line
from sm_dl.data.recordio import framed
from sm_dl.engine.place import Place
from sm_dl.job.job import ChannelSource, Hosts, Job
from sm_dl.job.paths import Paths
from tests.data.images import encoded, rgb

Rows = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Settings:
    """The hyperparameters that decide what a batch is."""

    num_classes: int = 3
    num_training_samples: int = 10
    shape: tuple[int, int, int] = (3, 16, 16)
    resize: int | None = None
    augmentation_type: str | None = None
    multi_label: int = 0
    mini_batch_size: int = 4
    seed: int = 7


def flat(value: int, height: int = 20, width: int = 24) -> bytes:
    """Return a PNG of one grey level, by which an image is recognised in a batch."""
    return encoded(np.full((height, width, 3), value, dtype=np.uint8))


def numbered(count: int) -> list[bytes]:
    """Return images whose grey level is their number."""
    return [flat(number) for number in range(count)]


def textured(count: int, height: int = 40, width: int = 50) -> list[bytes]:
    """Return images that look different everywhere."""
    return [encoded(np.roll(rgb(height, width), 3 * number, axis=1)) for number in range(count)]


def record_bytes(images: Sequence[bytes], labels: Rows | None = None) -> bytes:
    """Return a `.rec`; by default the labels run 0, 1, 2, 0, 1 ..."""
    rows = labels or [[number % 3] for number in range(len(images))]
    return b"".join(
        framed(image_record_bytes(image, np.array(row, np.float32), number), cuts=True)
        for number, (image, row) in enumerate(zip(images, rows, strict=True))
    )


def manifest_bytes(images: Sequence[bytes], labels: Sequence[str]) -> bytes:
    """Return what the platform sends for an augmented manifest."""
    return b"".join(
        framed(image, cuts=True) + framed(label.encode(), cuts=True)
        for image, label in zip(images, labels, strict=True)
    )


def records(
    folder: Path, images: Sequence[bytes], labels: Rows | None = None, **options: str
) -> ChannelSource:
    """Return a channel of one `.rec`."""
    root = folder / "train"
    root.mkdir(parents=True, exist_ok=True)
    (root / "a.rec").write_bytes(record_bytes(images, labels))
    return ChannelSource("train", root, **options)


def listed(
    folder: Path, images: Sequence[bytes], labels: Rows | None = None
) -> tuple[ChannelSource, ChannelSource]:
    """Return a channel of image files, and that of their list."""
    root, lists = folder / "train", folder / "train_lst"
    root.mkdir(parents=True)
    lists.mkdir()
    rows = labels or [[number % 3] for number in range(len(images))]
    lines = []
    for number, (image, row) in enumerate(zip(images, rows, strict=True)):
        name = f"kind {row[0]:g}/{number}.png"
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(image)
        lines.append(list_line(number, np.array(row, np.float32), name))
    (lists / "train.lst").write_text("".join(lines))
    return ChannelSource("train", root), ChannelSource("train_lst", lists)


def opened(
    *channels: ChannelSource,
    settings: Settings | None = None,
    is_training: bool = True,
    bad: BadRecords | None = None,
    hosts: Sequence[str] = ("algo-1",),
) -> ImageBatches:
    """Return the batches of the first channel."""
    job: Job[object] = Job(
        algorithm="image_classification",
        hyperparameters=None,
        channels={channel.name: channel for channel in channels},
        paths=Paths(Path("/nowhere")),
        hosts=Hosts(hosts[0], tuple(hosts)),
    )
    return open_images(
        job,
        channels[0].name,
        hyperparameters=settings or Settings(),
        is_training=is_training,
        bad=bad or BadRecords(),
    )


def levels(batches: ImageBatches, place: Place) -> list[int]:
    """Return which images an epoch shows, by their grey level."""
    return [level for batch in batches(place) for level in levels_of(batch)]


def levels_of(batch: Batch) -> list[int]:
    """Return which images a batch shows, by their grey level."""
    return batch.images_BCHW[batch.weight_B > 0][:, 0, 0, 0].tolist()


def pictures(batches: ImageBatches, place: Place) -> torch.Tensor:
    """Return the images of an epoch, one behind the other."""
    return torch.cat([batch.images_BCHW[batch.weight_B > 0] for batch in batches(place)])


def marks(batches: ImageBatches, place: Place | None = None) -> list[list[float]] | list[int]:
    """Return the labels of an epoch."""
    return torch.cat([batch.labels for batch in batches(place or Place(0))]).tolist()
