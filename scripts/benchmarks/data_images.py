#!/usr/bin/env python3
r"""Decode and resize photographs: this project and Pillow, from memory.

    python scripts/benchmarks/data_images.py --images FOLDER --runs 5 [--as-photographs]

Up to 200 JPEG files of the folder as they are, or as 500 x 375 pixels of about 68 KB, and one of them
enlarged to 1920 x 1080: decoded; and decoded pixels resized, bilinear with antialiasing. CPU seconds
of one thread, in turn.
"""

import argparse
import io
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from image_classification_loader import make_photographs
from PIL import Image

from sm_dl.algorithms.image_classification.crop import resize
from sm_dl.data.image import Pixels, decode

T = TypeVar("T")

MAX_IMAGES = 200


def main() -> int:
    """Print one line per kind of image."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--as-photographs", action="store_true")
    options = parser.parse_args()
    if options.as_photographs:
        files = make_photographs(options.images)
    else:
        files = [path.read_bytes() for path in sorted(options.images.rglob("*.jpg"))[:MAX_IMAGES]]
    large = [_enlarged(files[0])] * 10
    sizes = [decode(file, "a").shape for file in files]
    pixels = sum(height * width for height, width, _ in sizes) / len(sizes) / 1e6
    size = sum(map(len, files)) / len(files) / 1000
    title = f"{len(files)} photographs of {size:.0f} KB and {pixels:.2f} MP"
    for name, images, at_least in (
        (title, files, None),
        (f"{title}, 100 x 100 is enough", files, (100, 100)),
        ("1920 x 1080", large, None),
        ("1920 x 1080, 300 x 300 is enough", large, (300, 300)),
    ):
        _compare(name, images, at_least, options.runs)
    for images, wanted in ((files, (256, 341)), (files, (300, 300)), (large, (256, 455))):
        _compare_resizing(images, wanted, options.runs)
    return 0


def _compare_resizing(images: Sequence[bytes], size: tuple[int, int], runs: int) -> None:
    pixels = [decode(image, "a") for image in images]
    height, width = size
    ours, peer = [], []
    for _ in range(runs):
        ours.append(_seconds(pixels, lambda image: resize(image, height, width)))
        peer.append(_seconds(pixels, lambda image: _resized_by_pillow(image, size)))
    ratio = statistics.median(p / o for p, o in zip(peer, ours, strict=True))
    sizes = sorted(image.shape[:2] for image in pixels)
    print(
        f"{sizes[len(sizes) // 2]} to {size}: {len(pixels) / statistics.median(ours):.0f} images/s; "
        f"Pillow {len(pixels) / statistics.median(peer):.0f} ({ratio:.2f} x)"
    )


def _resized_by_pillow(image: Pixels, size: tuple[int, int]) -> object:
    return np.array(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR))


def _compare(
    name: str, images: Sequence[bytes], at_least: tuple[int, int] | None, runs: int
) -> None:
    ours, peer = [], []
    for _ in range(runs):
        ours.append(_seconds(images, lambda file: decode(file, "a", at_least=at_least)))
        peer.append(_seconds(images, lambda file: _by_pillow(file, at_least)))
    each = len(images) / statistics.median(ours)
    ratio = statistics.median(p / o for p, o in zip(peer, ours, strict=True))
    print(
        f"{name}: {each:.0f} images/s; Pillow {len(images) / statistics.median(peer):.0f} "
        f"({ratio:.2f} x)"
    )


def _seconds(images: Sequence[T], read: Callable[[T], object]) -> float:
    began = time.process_time()
    for image in images:
        read(image)
    return time.process_time() - began


def _by_pillow(file: bytes, at_least: tuple[int, int] | None) -> object:
    with Image.open(io.BytesIO(file)) as image:
        if at_least:
            image.draft("RGB", (at_least[1], at_least[0]))
        return np.array(image.convert("RGB"))


def _enlarged(file: bytes) -> bytes:
    stream = io.BytesIO()
    with Image.open(io.BytesIO(file)) as image:
        image.convert("RGB").resize((1920, 1080)).save(stream, "JPEG", quality=90)
    return stream.getvalue()


if __name__ == "__main__":
    sys.exit(main())
