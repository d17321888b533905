#!/usr/bin/env python3
r"""Transfer: weights learnt on eight classes of CIFAR-10, gone on with on the other two, and scratch.

    python scripts/benchmarks/image_classification_transfer.py --images FOLDER --seeds 0 1 2

FOLDER holds `train/<class>/*.jpg` and `test/<class>/*.jpg`. Ships and trucks have 50 training images a
class. The weights go through `use_pretrained_model=1` and `resources.weights`.
"""

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml

from sm_dl.data.image_record import image_record_bytes
from sm_dl.data.recordio import framed

NUM_KNOWN, NUM_FEW = 8, 50


def main() -> int:
    """Print the accuracy on the two classes, with and without the weights."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--base-epochs", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    classes = sorted(path.name for path in (options.images / "train").iterdir() if path.is_dir())
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        known, new = classes[:NUM_KNOWN], classes[NUM_KNOWN:]
        size = write_channel(options.images / "train", known, root / "known" / "train")
        write_channel(options.images / "test", known, root / "known" / "validation")
        few = write_channel(options.images / "train", new, root / "new" / "train", NUM_FEW)
        write_channel(options.images / "test", new, root / "new" / "validation")
        base = root / "base"
        settings = {
            "num_classes": len(known), "num_training_samples": size, "epochs": options.base_epochs,
            "mini_batch_size": 64, "learning_rate": 0.1,
        }  # fmt: skip
        print(
            f"{len(known)} classes: accuracy {train(root / 'known', settings, base):.3f}",
            flush=True,
        )
        weights = base / "model" / "weights.safetensors"
        found: dict[str, list[float]] = {"transferred": [], "scratch": []}
        for seed in options.seeds:
            for way, accuracies in found.items():
                settings = {
                    "num_classes": len(new), "num_training_samples": few, "epochs": options.epochs,
                    "mini_batch_size": 20, "learning_rate": 0.01, "seed": seed,
                    "use_pretrained_model": int(way == "transferred"),
                }  # fmt: skip
                given = weights if way == "transferred" else None
                accuracy = train(root / "new", settings, root / f"{way}-{seed}", given)
                accuracies.append(accuracy)
                print(f"seed {seed} {way}: accuracy {accuracy:.3f}", flush=True)
    for way, accuracies in found.items():
        print(f"{way}: median accuracy {statistics.median(accuracies):.3f}")
    return 0


def write_channel(
    images: Path, classes: Sequence[str], folder: Path, most: int | None = None
) -> int:
    """Write the images of some classes as records, numbered from 0, and return how many."""
    records = [
        framed(image_record_bytes(path.read_bytes(), np.array([label]), label), cuts=True)
        for label, name in enumerate(classes)
        for path in sorted((images / name).glob("*.jpg"))[:most]
    ]
    folder.mkdir(parents=True)
    (folder / "images.rec").write_bytes(b"".join(records))
    return len(records)


def train(
    channels: Path, settings: dict[str, object], output: Path, weights: Path | None = None
) -> float:
    """Return the validation accuracy after the last epoch of one job."""
    own = {"num_layers": 20, "image_shape": "3,28,28", "augmentation_type": "crop"}
    document = {
        "algorithm": "image_classification",
        "hyperparameters": {**own, **settings},
        "channels": {name: {"path": str(channels / name)} for name in ("train", "validation")},
        "resources": {} if weights is None else {"weights": str(weights)},
        "output": str(output),
    }
    config = output.with_suffix(".yaml")
    config.write_text(yaml.safe_dump(document))
    command = [sys.executable, "-m", "sm_dl", "train", "--config", str(config)]
    log = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(re.findall(r"Validation-accuracy=(\S+)", log)[-1])


if __name__ == "__main__":
    sys.exit(main())
