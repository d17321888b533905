"""One loader for a few epochs: `python image_classification_loaders.py KIND FOLDER WORKERS EPOCHS`.

Prints images/s by the clock, without the first epoch, and images per CPU second of all processes.
"""

import gc
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

BATCH_SIZE, SIDE, SHORTER = 32, 224, 256
SMALL_BATCH_SIZE, SMALL_SIDE = 128, 28
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PHOTOGRAPHS = (
    "ours",
    "ours, as float32",
    "torchvision",
    "torchvision, resize and crop",
    "timm",
    "timm, no colours",
    "ours, crop_color",
    "ours, crop_color_transform",
)
SMALL = ("ours, small", "torchvision, small")

Epochs = Callable[[int], Iterable[torch.Tensor]]


@dataclass(frozen=True)
class Settings:
    """The hyperparameters that our batches depend on."""

    num_classes: int
    num_training_samples: int
    shape: tuple[int, int, int]
    resize: int | None
    augmentation_type: str
    mini_batch_size: int
    multi_label: int = 0
    seed: int = 1


def ours(root: Path, augmentation: str, *, is_small: bool) -> Epochs:
    """Return our batches; their images are bytes, which the network makes numbers."""
    from sm_dl.algorithms.image_classification.data import open_images  # noqa: PLC0415
    from sm_dl.data.bad_records import BadRecords  # noqa: PLC0415
    from sm_dl.engine.place import Place  # noqa: PLC0415
    from sm_dl.job.job import ChannelSource, Job  # noqa: PLC0415
    from sm_dl.job.paths import Paths  # noqa: PLC0415

    names = sorted(path.name for path in root.iterdir() if path.is_dir())
    paths = [
        (number, path) for number, name in enumerate(names) for path in (root / name).iterdir()
    ]
    lines = [
        f"{index}\t{number}\t{path.relative_to(root)}\n"
        for index, (number, path) in enumerate(paths)
    ]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "train.lst").write_text("".join(lines))
        job: Job[object] = Job(
            algorithm="image_classification",
            hyperparameters=None,
            channels={
                "train": ChannelSource("train", root),
                "train_lst": ChannelSource("train_lst", Path(folder)),
            },
            paths=Paths(Path(folder)),
        )
        side = SMALL_SIDE if is_small else SIDE
        settings = Settings(
            num_classes=len(names),
            num_training_samples=len(paths),
            shape=(3, side, side),
            resize=None if is_small else SHORTER,
            augmentation_type=augmentation,
            mini_batch_size=SMALL_BATCH_SIZE if is_small else BATCH_SIZE,
        )
        batches = open_images(
            job, "train", hyperparameters=settings, is_training=True, bad=BadRecords()
        )
    return lambda epoch: (batch.images_BCHW for batch in batches(Place(epoch)))


def torchvision_v2(root: Path, workers: int, crops: str) -> Epochs:
    """Return torchvision's reference pipeline for training, on Pillow images."""
    from torch.utils.data import DataLoader  # noqa: PLC0415
    from torchvision.datasets import ImageFolder  # noqa: PLC0415
    from torchvision.transforms import v2  # noqa: PLC0415

    crop: list[Any] = {
        "random area": lambda: [v2.RandomResizedCrop(SIDE, antialias=True)],
        "resized": lambda: [v2.Resize(SHORTER, antialias=True), v2.RandomCrop(SIDE)],
        "small": lambda: [v2.RandomCrop(SMALL_SIDE)],
    }[crops]()
    transform = v2.Compose(
        [
            *crop,
            v2.RandomHorizontalFlip(),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
            v2.ToPureTensor(),
        ]
    )
    loader = DataLoader(
        ImageFolder(root, transform),
        SMALL_BATCH_SIZE if crops == "small" else BATCH_SIZE,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    return lambda _: (images for images, _ in loader)


def timm_loader(root: Path, workers: int, color_jitter: float | None) -> Epochs:
    """Return timm's loader for training, with the defaults of its train.py but one."""
    from timm.data import create_dataset, create_loader  # noqa: PLC0415

    loader = create_loader(
        create_dataset("", root=str(root)),
        input_size=(3, SIDE, SIDE),
        batch_size=BATCH_SIZE,
        is_training=True,
        use_prefetcher=False,  # it needs a GPU
        num_workers=workers,
        color_jitter=color_jitter,
        train_crop_mode="rrc",
    )
    return lambda _: (images for images, _ in loader)


def epochs_of(kind: str, root: Path, workers: int) -> Epochs:
    """Return a loader by name."""
    name, _, rest = kind.partition(", ")
    if name == "ours":
        is_small = rest == "small"
        preset = rest if rest.startswith("crop") else "crop"
        epochs = ours(root, preset, is_small=is_small)
        if rest != "as float32":
            return epochs
        return lambda epoch: (images.float() for images in epochs(epoch))
    if name == "timm":
        return timm_loader(root, workers, None if rest else 0.4)
    crops = {"": "random area", "resize and crop": "resized", "small": "small"}[rest]
    return torchvision_v2(root, workers, crops)


def cpu_seconds() -> float:
    """Return the CPU time of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main() -> int:
    """Print two numbers."""
    kind, root, workers, num_epochs = sys.argv[1:]
    epochs = epochs_of(kind, Path(root), int(workers))
    num_images = num_timed = 0
    began_cpu, began = cpu_seconds(), time.perf_counter()
    for epoch in range(int(num_epochs)):
        if epoch == 1:
            began = time.perf_counter()
        for images in epochs(epoch):
            num_images += len(images)
            num_timed += len(images) if epoch else 0
    seconds = time.perf_counter() - began
    del epochs
    gc.collect()  # ends the workers, whose time then counts
    print(num_timed / seconds, num_images / (cpu_seconds() - began_cpu))
    return 0


if __name__ == "__main__":
    sys.exit(main())
