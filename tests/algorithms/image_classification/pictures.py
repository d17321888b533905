"""Channels of small images, in every form the algorithm reads, and the settings to read them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sm_dl.algorithms.image_classification.data import ImageBatches, open_images
from sm_dl.data.bad_records import BadRecords
from sm_dl.data.image_record import image_record_bytes
from sm_dl.data.lst import list_line
from sm_dl.data.recordio import framed
from sm_dl.job.job import ChannelSource, Hosts, Job
from sm_dl.job.paths import Paths
from tests.data.images import encoded, rgb


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


def write_records(
    path: Path, images: Sequence[bytes], labels: Sequence[Sequence[float]] | None = None
) -> Path:
    """Write a `.rec`; by default the labels run 0, 1, 2, 0, 1 ..."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = labels or [[number % 3] for number in range(len(images))]
    path.write_bytes(
        b"".join(
            framed(image_record_bytes(image, np.array(row, np.float32), number), cuts=True)
            for number, (image, row) in enumerate(zip(images, rows, strict=True))
        )
    )
    return path


def write_list(
    folder: Path, images: Sequence[bytes], labels: Sequence[Sequence[float]] | None = None
) -> tuple[Path, Path]:
    """Write images and their list; return the two folders."""
    root, lists = folder / "train", folder / "train_lst"
    root.mkdir(parents=True)
    lists.mkdir()
    rows = labels or [[number % 3] for number in range(len(images))]
    lines = []
    for number, (image, row) in enumerate(zip(images, rows, strict=True)):
        name = f"class {row[0]:g}/{number}.img"
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(image)
        lines.append(list_line(number, np.array(row, np.float32), name))
    (lists / "train.lst").write_text("".join(lines))
    return root, lists


def job_of(channels: Sequence[ChannelSource], hosts: Sequence[str] = ("algo-1",)) -> Job[Settings]:
    """Return a job with these channels."""
    return Job(
        algorithm="image_classification",
        hyperparameters=Settings(),
        channels={channel.name: channel for channel in channels},
        paths=Paths(Path("/nowhere")),
        hosts=Hosts(hosts[0], tuple(hosts)),
    )


def opened(
    *channels: ChannelSource,
    settings: Settings | None = None,
    is_training: bool = True,
    bad: BadRecords | None = None,
    hosts: Sequence[str] = ("algo-1",),
) -> ImageBatches:
    """Return the batches of the first channel."""
    return open_images(
        job_of(channels, hosts),
        channels[0].name,
        hyperparameters=settings or Settings(),
        is_training=is_training,
        bad=bad or BadRecords(),
    )


def records(path: Path, images: Sequence[bytes], **options: object) -> ChannelSource:
    """Return a channel of one `.rec`."""
    return ChannelSource("train", write_records(path / "train" / "a.rec", images, **options).parent)
