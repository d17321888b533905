#!/usr/bin/env python3
r"""Train the small ResNet on CIFAR pictures: this project's whole job, and a plain loop, in turn.

    python scripts/benchmarks/image_classification_versus.py --images FOLDER --channels data/cifar10 \
        --epochs 15 --steps 9 13 --seeds 0 1 2 [--peer-python PEER/bin/python]

FOLDER holds `train/<class>/*.jpg` and `test/<class>/*.jpg`; the channels are made of it by
`scripts/prepare/cifar10.py --source FOLDER`. Accuracies are those of the last epoch; images per second
are images trained with, by CPU seconds of the whole process: imports, decoding, augmentation,
validation after each epoch, and for ours checkpoints, model and report.
"""

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import yaml

HERE = Path(__file__).parent
ONE_THREAD = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def main() -> int:
    """Print one line a seed and system, and the medians."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--channels", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--steps", type=int, nargs="*", default=[9, 13])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--precision", default="auto", help="of this project's job")
    parser.add_argument("--peer-python", default=sys.executable, help="has torchvision")
    parser.add_argument(
        "--recipes", nargs="*", default=["same"], help="of the plain loop, if any: same, torch"
    )
    options = parser.parse_args()
    systems = {"ours": ours} | {
        f"plain, {recipe}": partial(plain, recipe) for recipe in options.recipes
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in systems}
    for seed in options.seeds:
        for name, run in systems.items():
            accuracy, speed = run(options, seed)
            found[name].append((accuracy, speed))
            print(f"seed {seed} {name}: accuracy {accuracy:.3f}, {speed:.0f} images/s", flush=True)
    for name, results in found.items():
        accuracies, speeds = zip(*results, strict=True)
        print(
            f"{name}: median accuracy {statistics.median(accuracies):.3f}, "
            f"median {statistics.median(speeds):.0f} images/s"
        )
    for name in list(found)[1:]:
        ratios = [one[1] / two[1] for one, two in zip(found["ours"], found[name], strict=True)]
        print(f"images/s, times {name}: {statistics.median(ratios):.2f}")
    return 0


def ours(options: argparse.Namespace, seed: int) -> tuple[float, float]:
    """Return accuracy after the last epoch and images a second of a whole job."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "job.yaml"
        config.write_text(yaml.safe_dump(_job(options, seed, Path(folder))))
        command = [sys.executable, "-m", "sm_dl", "train", "--config", str(config)]
        log, seconds = _run(command)
    accuracies = re.findall(r"Validation-accuracy=(\S+)", log)
    return float(accuracies[-1]), _num_samples(options) * options.epochs / seconds


def _run(command: list[str]) -> tuple[str, float]:
    """Return what a command prints, and the CPU seconds it takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, **ONE_THREAD}
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _job(options: argparse.Namespace, seed: int, folder: Path) -> dict[str, object]:
    return {
        "algorithm": "image_classification",
        "hyperparameters": {
            "num_classes": 10,
            "num_training_samples": _num_samples(options),
            "num_layers": 20,
            "image_shape": "3,28,28",
            "augmentation_type": "crop",
            "epochs": options.epochs,
            "lr_scheduler_step": ",".join(map(str, options.steps)),
            "mini_batch_size": options.batch,
            "learning_rate": options.rate,
            "seed": seed,
        },
        "channels": {
            name: {"path": str((options.channels / name).resolve())}
            for name in ("train", "validation")
        },
        "resources": {"precision": options.precision},
        "output": str(folder / "run"),
    }


def _num_samples(options: argparse.Namespace) -> int:
    return sum(1 for _ in (options.images / "train").rglob("*.jpg"))


def plain(recipe: str, options: argparse.Namespace, seed: int) -> tuple[float, float]:
    """Return the same of the plain loop."""
    command = [
        options.peer_python, HERE / "image_classification_plain.py", "--images", options.images,
        "--epochs", options.epochs, "--steps", *options.steps, "--batch", options.batch,
        "--rate", options.rate, "--seed", seed, "--recipe", recipe,
    ]  # fmt: skip
    log, seconds = _run(list(map(str, command)))
    accuracies = json.loads(log.splitlines()[-1])["accuracies"]
    return accuracies[-1], _num_samples(options) * options.epochs / seconds


if __name__ == "__main__":
    sys.exit(main())
