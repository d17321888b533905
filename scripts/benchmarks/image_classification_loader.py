#!/usr/bin/env python3
r"""Feed a network with photographs: this project's loader, torchvision's and timm's, in turn.

    python scripts/benchmarks/image_classification_loader.py --images FOLDER --peers PACKAGES

FOLDER holds photographs (JPEG, any size) that become 500 x 375 pixels of about 68 KB. PACKAGES is a
folder that holds torchvision and timm beside the environment's torch, as `pip install --no-deps
--target PACKAGES torchvision timm==1.0.31 huggingface_hub` leaves them; without it ours runs alone.

Every loader gives 224 x 224 crops in batches of 32 on the processors this process may use: ours as
bytes, as the network wants them, and as float32; the peers as float32, with the best number of
workers of those that --workers names. Each run is a process of its own; images/s by the clock are
those of all epochs but the first, images per CPU second those of all epochs and processes. The last
lines are pictures of 32 x 32.
"""

import argparse
import io
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import image_classification_loaders as loaders
from PIL import Image

NUM_MADE, NUM_LINKED, NUM_CLASSES = 200, 2000, 10
"""Photographs made; names that they get, so that none of ours are kept decoded; folders."""
WANTED_BYTES, TOLERANCE_BYTES = 68_000, 4_000
WIDTH, HEIGHT = 500, 375


def main() -> int:
    """Print one line per loader, and ratios to ours."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--small", type=Path, help="folder of class folders with small pictures")
    parser.add_argument("--peers", type=Path)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "photographs"
        size = link_photographs(make_photographs(options.images), root)
        print(f"{NUM_LINKED} photographs of {WIDTH} x {HEIGHT}, {size / 1000:.0f} KB each")
        compare(root, loaders.PHOTOGRAPHS, options)
    if options.small:
        print(f"{sum(1 for _ in options.small.rglob('*.*'))} pictures of {options.small.name}")
        compare(options.small, loaders.SMALL, options)
    return 0


def compare(root: Path, kinds: Sequence[str], options: argparse.Namespace) -> None:
    """Run every kind in turn and print medians."""
    chosen = [kind for kind in kinds if options.peers or kind.startswith("ours")]
    workers = {kind: best_workers(kind, root, options) for kind in chosen}
    rates: dict[str, list[tuple[float, float]]] = {kind: [] for kind in chosen}
    for _ in range(options.runs):
        for kind in chosen:
            rates[kind].append(run(kind, root, workers[kind], options))
    ours = rates[chosen[0]]
    for kind in chosen:
        by_clock, by_cpu = (statistics.median(column) for column in zip(*rates[kind], strict=True))
        ratios = [
            statistics.median(o[i] / r[i] for o, r in zip(ours, rates[kind], strict=True))
            for i in (0, 1)
        ]
        print(
            f"{kind:34s} workers {workers[kind]}: {by_clock:6.0f} images/s, {by_cpu:6.0f} per CPU "
            f"second; ours is {ratios[0]:.2f} and {ratios[1]:.2f} times that"
        )


def best_workers(kind: str, root: Path, options: argparse.Namespace) -> int:
    """Return the number of workers that gives a peer the most images/s; ours decides itself."""
    if kind.startswith("ours"):
        return 0
    best: int = max(options.workers, key=lambda number: run(kind, root, number, options)[0])
    return best


def run(kind: str, root: Path, workers: int, options: argparse.Namespace) -> tuple[float, float]:
    """Return images/s and images per CPU second of one process."""
    path = os.pathsep.join(
        [*sys.path[:1], os.environ.get("PYTHONPATH", ""), str(options.peers or "")]
    )
    done = subprocess.run(
        [
            sys.executable, "-W", "ignore", loaders.__file__, kind, root, str(workers),
            str(options.epochs),
        ],
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{kind}: {done.stderr}")
    by_clock, by_cpu = done.stdout.split()[-2:]
    return float(by_clock), float(by_cpu)


def make_photographs(source: Path) -> list[bytes]:
    """Return photographs of one size, as JPEG files, made of those of a folder."""
    made: list[bytes] = []
    for flips in (False, True):
        for path in sorted(source.rglob("*.jpg")):
            with Image.open(path) as image:
                content = photograph(image.convert("RGB"), flips=flips)
            # a smooth picture does not get that many bytes at any quality
            if abs(len(content) - WANTED_BYTES) < TOLERANCE_BYTES:
                made.append(content)
            if len(made) == NUM_MADE:
                return made
    if not made:
        raise SystemExit(f"{source}: expected photographs (.jpg); found none.")
    return made


def link_photographs(made: Sequence[bytes], root: Path) -> float:
    """Write each photograph under several names in class folders; return their mean number of bytes."""
    for number in range(NUM_LINKED):
        folder = root / f"class_{number % NUM_CLASSES}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.jpg").write_bytes(made[number % len(made)])
    return statistics.mean(map(len, made))


def photograph(image: Image.Image, *, flips: bool) -> bytes:
    """Return the middle of an image in our size, at the quality that gives about our bytes."""
    scale = max(WIDTH / image.width, HEIGHT / image.height)
    width, height = WIDTH / scale, HEIGHT / scale
    left, top = max(0, image.width - width) / 2, max(0, image.height - height) / 2
    box = (left, top, min(left + width, image.width), min(top + height, image.height))
    cut = image.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC, box=box)
    if flips:
        cut = cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    sizes: dict[int, bytes] = {}
    low, high = 30, 98
    while low <= high:
        quality = (low + high) // 2
        stream = io.BytesIO()
        cut.save(stream, "JPEG", quality=quality)
        sizes[quality] = stream.getvalue()
        if stream.tell() < WANTED_BYTES:
            low = quality + 1
        else:
            high = quality - 1
    return min(sizes.values(), key=lambda content: abs(len(content) - WANTED_BYTES))


if __name__ == "__main__":
    sys.exit(main())
