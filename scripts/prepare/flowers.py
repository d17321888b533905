#!/usr/bin/env python3
"""Turn the Oxford flowers into channels of image files with lists: 60 photographs a class to train.

Origin: Nilsback and Zisserman, A Visual Vocabulary for Flower Classification, 2006,
https://www.robots.ox.ac.uk/~vgg/data/flowers/17/, for research. Without --source the archive is
downloaded (60 MB): 17 classes of 80 photographs, in order; the first 60 of each train, the last 20
validate. With --source a folder, its pictures `train/<class>/*.jpg` and `test/<class>/*.jpg` are
taken as they are; with --source a file, it is that archive.

Writes `train`, `train_lst`, `validation`, `validation_lst` and `classes.txt`. The folder of a
picture is its class, which the trained model then calls by that name.
"""

import argparse
import re
from pathlib import Path

from image_channels import (
    Picture,
    archive_members,
    two_parts,
    write_class_names,
    write_files,
)

URL = "https://www.robots.ox.ac.uk/~vgg/data/flowers/17/17flowers.tgz"
CLASSES = (
    "daffodil", "snowdrop", "lily-valley", "bluebell", "crocus", "iris", "tigerlily", "tulip",
    "fritillary", "sunflower", "daisy", "colts-foot", "dandelion", "cowslip", "buttercup",
    "windflower", "pansy",
)  # fmt: skip
NUM_A_CLASS, NUM_TRAIN = 80, 60
MEMBER = re.compile(r"jpg/image_(\d{4})\.jpg")


def main() -> None:
    """Write both channels and their lists."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--source", type=Path, help="a folder of pictures, or the archive")
    parser.add_argument("--output", type=Path, default=Path("data/flowers"))
    options = parser.parse_args()
    source: Path | None = options.source

    train: list[Picture] = []
    validation: list[Picture] = []
    if source is not None and source.is_dir():
        names, train, validation = two_parts(source)
    else:
        names = list(CLASSES)
        for path, content in archive_members(URL, source):
            match = MEMBER.fullmatch(path)
            if match is None:
                continue
            label, within = divmod(int(match[1]) - 1, NUM_A_CLASS)
            if label >= len(CLASSES):
                raise SystemExit(f"{path}: expected {NUM_A_CLASS * len(CLASSES)} photographs.")
            picture = Picture(f"{CLASSES[label]}/{match[1]}.jpg", label, content)
            (train if within < NUM_TRAIN else validation).append(picture)
        if len(train) + len(validation) != NUM_A_CLASS * len(CLASSES):
            raise SystemExit(
                f"{source or URL}: expected {NUM_A_CLASS * len(CLASSES)} photographs named "
                f"jpg/image_0001.jpg and so on, got {len(train) + len(validation)}."
            )
    write_files(options.output / "train", train)
    write_files(options.output / "validation", validation)
    write_class_names(options.output / "classes.txt", names)


if __name__ == "__main__":
    main()
