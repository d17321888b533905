#!/usr/bin/env python3
r"""Decode and resize photographs: this project and Pillow, from memory, each in a process of its own.

    python scripts/benchmarks/data_images.py --images FOLDER --runs 5 [--as-photographs]

Up to 200 JPEG files of the folder as they are, or as 500 x 375 pixels of about 68 KB, and one of them
enlarged to 1920 x 1080: decoded; and decoded pixels resized, bilinear with antialiasing. CPU seconds
of one thread, the systems in turn.

Processes are apart, and import no more than they need, because memory decides much: glibc gives large
blocks back to the system and gets them anew, page by page, unless it is told otherwise or has met larger
ones before. Jobs of this project tell it (engine/machine.py), a plain Python process does not. Pillow runs
both ways: as it is, and in a process that was told.
"""

import argparse
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Size = tuple[int, int]
Timings = dict[str, float]
"""Microseconds an image by task."""

MAX_IMAGES, NUM_LARGE = 200, 10
PASSES = 5
"""Every task is done as often in a process; the median counts."""
SYSTEMS = ("ours", "Pillow", "Pillow, prepared")


def main() -> int:
    """Print one line per task."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--as-photographs", action="store_true")
    parser.add_argument("--system", choices=SYSTEMS, help="time this one and print JSON")
    options = parser.parse_args()
    if options.system:
        print(json.dumps(_timings(options.system, options.images)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        _lay_out(options.images, Path(folder), as_photographs=options.as_photographs)
        runs: dict[str, list[Timings]] = {system: [] for system in SYSTEMS}
        for _ in range(options.runs):
            for system, timings in runs.items():
                timings.append(_in_process(system, folder))
    for task in runs["ours"][0]:
        each = {name: statistics.median(run[task] for run in runs[name]) for name in SYSTEMS}
        print(
            f"{task}: {1e6 / each['ours']:.0f} images/s; "
            + "; ".join(
                f"{name} {1e6 / each[name]:.0f} ({each[name] / each['ours']:.2f} x)"
                for name in SYSTEMS[1:]
            )
        )
    return 0


def _lay_out(images: Path, folder: Path, *, as_photographs: bool) -> None:
    from image_classification_loader import make_photographs  # noqa: PLC0415 - imports torch

    if as_photographs:
        files = make_photographs(images)
    else:
        files = [path.read_bytes() for path in sorted(images.rglob("*.jpg"))[:MAX_IMAGES]]
    for index, file in enumerate(files):
        (folder / f"{index:03}.jpg").write_bytes(file)
    with Image.open(io.BytesIO(files[0])) as image:
        image.convert("RGB").resize((1920, 1080)).save(folder / "large.jpeg", quality=90)


def _in_process(system: str, folder: str) -> Timings:
    command = [sys.executable, __file__, "--images", folder, "--system", system]
    timings: Timings = json.loads(
        subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    )
    return timings


def _timings(system: str, folder: Path) -> Timings:
    """Decode all, then resize all, in a process that has done nothing before."""
    if system != "Pillow":
        from sm_dl.engine import machine  # noqa: PLC0415 - Pillow's process stays a plain one

        machine.prepare()
    files = [path.read_bytes() for path in sorted(folder.glob("*.jpg"))]
    large = [(folder / "large.jpeg").read_bytes()] * NUM_LARGE
    decode = _ours if system == "ours" else _by_pillow
    size = sum(map(len, files)) / len(files) / 1000
    title = f"{len(files)} photographs of {size:.0f} KB"
    timings = {}
    for name, images, at_least in (
        (title, files, None),
        (f"{title}, 100 x 100 is enough", files, (100, 100)),
        ("1080 x 1920", large, None),
        ("1080 x 1920, 300 x 300 is enough", large, (300, 300)),
    ):
        timings[name] = _microseconds([(file, at_least) for file in images], decode)
    resize = _resized_by_us if system == "ours" else _resized_by_pillow
    for images, wanted in ((files, (256, 341)), (files, (300, 300)), (large, (256, 455))):
        pixels = [np.asarray(_by_pillow(file, None)) for file in images]
        middle = sorted(image.shape[:2] for image in pixels)[len(pixels) // 2]
        name = f"{middle} to {wanted}"
        timings[name] = _microseconds([(image, wanted) for image in pixels], resize)
    return timings


def _ours(file: bytes, at_least: Size | None) -> object:
    from sm_dl.data.image import decode  # noqa: PLC0415

    return decode(file, "a", at_least=at_least)


def _by_pillow(file: bytes, at_least: Size | None) -> object:
    with Image.open(io.BytesIO(file)) as image:
        if at_least:
            image.draft("RGB", (at_least[1], at_least[0]))
        return np.array(image.convert("RGB"))


def _resized_by_us(image: Any, wanted: Size) -> object:  # noqa: ANN401 - pixels
    from sm_dl.algorithms.image_classification.crop import resize  # noqa: PLC0415

    return resize(image, *wanted)


def _resized_by_pillow(image: Any, wanted: Size) -> object:  # noqa: ANN401 - pixels
    return np.array(Image.fromarray(image).resize(wanted[::-1], Image.Resampling.BILINEAR))


def _microseconds(inputs: Sequence[tuple[Any, Any]], work: Callable[[Any, Any], object]) -> float:
    passes = []
    for _ in range(PASSES):
        began = time.process_time()
        for image, size in inputs:
            work(image, size)
        passes.append((time.process_time() - began) / len(inputs) * 1e6)
    return statistics.median(passes)


if __name__ == "__main__":
    sys.exit(main())
