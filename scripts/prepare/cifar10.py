#!/usr/bin/env python3
"""Turn CIFAR-10 into channels of records: 10 classes of 32 x 32 pictures.

Origin: Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009,
https://www.cs.toronto.edu/~kriz/cifar.html, free for research. Without --source the binary version
is downloaded (170 MB) and its pictures become PNG files: 50,000 to train, 10,000 to validate.
With --source a folder, its pictures `train/<class>/*.jpg` and `test/<class>/*.jpg` are taken as they
are, whichever part of CIFAR-10 that may be; with --source a file, it is that archive.

Writes `train/train.rec`, `validation/validation.rec`, their indexes, and `classes.txt`.

Published: ResNet-20 reaches 91.25 % (He et al., 2016) on all pictures.
"""

import argparse
import io
from pathlib import Path

import numpy as np
from image_channels import (
    Picture,
    archive_members,
    two_parts,
    write_class_names,
    write_records,
)
from PIL import Image

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
SIDE = 32
RECORD_BYTES = 1 + 3 * SIDE * SIDE
"""The class, then the planes of red, green and blue."""


def pictures_of_batch(name: str, content: bytes) -> list[Picture]:
    """Return the pictures of one file of the binary version."""
    if not content or len(content) % RECORD_BYTES:
        raise SystemExit(
            f"{name}: expected records of {RECORD_BYTES} bytes, got {len(content)} bytes in all; "
            "fetch the archive anew."
        )
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, RECORD_BYTES)
    if records[:, 0].max() >= len(CLASSES):
        raise SystemExit(f"{name}: expected classes of 0 to 9, got {records[:, 0].max()}.")
    planes = records[:, 1:].reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
    pictures = []
    for number, (label, pixels) in enumerate(zip(records[:, 0].tolist(), planes, strict=True)):
        stream = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(pixels)).save(stream, "PNG")
        pictures.append(Picture(f"{CLASSES[label]}/{name}_{number}.png", label, stream.getvalue()))
    return pictures


def main() -> None:
    """Write both channels."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--source", type=Path, help="a folder of pictures, or the archive")
    parser.add_argument("--output", type=Path, default=Path("data/cifar10"))
    options = parser.parse_args()
    source: Path | None = options.source

    if source is not None and source.is_dir():
        names, train, validation = two_parts(source)
    else:
        names, train, validation = list(CLASSES), [], []
        for path, content in archive_members(URL, source):
            name = Path(path).stem
            if name.startswith("data_batch_"):
                train += pictures_of_batch(name, content)
            elif name == "test_batch":
                validation += pictures_of_batch(name, content)
        if not train or not validation:
            raise SystemExit(f"{source or URL}: expected data_batch_*.bin and test_batch.bin.")
    write_records(options.output / "train", train)
    write_records(options.output / "validation", validation)
    write_class_names(options.output / "classes.txt", names)


if __name__ == "__main__":
    main()
