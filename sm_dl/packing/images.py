"""Images to `.rec`, `.idx` and `.lst`, as MXNet's im2rec does with --pass-through --pack-label."""

import random
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from sm_dl.data.annotations import boxes_from_text, vector_from_boxes
from sm_dl.data.image_header import read_header
from sm_dl.data.image_record import image_record_bytes
from sm_dl.data.lst import ListLine, image_path, list_line, read_list
from sm_dl.data.record_index import INDEX_SUFFIX, index_line
from sm_dl.data.recordio import framed
from sm_dl.errors import PlatformError, UserError
from sm_dl.files import data_files, renamed_when_done

SUFFIXES = (".jpg", ".jpeg", ".png")
RECORD_SUFFIX, LIST_SUFFIX = ".rec", ".lst"
SHUFFLE_SEED = 100
"""As im2rec shuffles its list."""


def listed(path: Path) -> list[ListLine]:
    """Return the lines of a list file.

    Raises:
        UserError: It cannot be read, or a line is no list line.
    """
    try:
        with path.open("rb") as stream:
            return list(read_list(stream, path.name))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).") from None


def lines_by_folder(root: Path, *, shuffles: bool) -> tuple[list[ListLine], list[str]]:
    """Return a line for each image of a folder, and the names of the classes.

    The sub-folders, sorted, are the classes; images that lie in none have class 0.

    Raises:
        UserError: There are no images.
    """
    paths = _images(root)
    folders = [path.parent.relative_to(root).as_posix() for path in paths]
    names = sorted(set(folders))
    numbers = {name: number for number, name in enumerate(names)}
    found = [
        (path.relative_to(root).as_posix(), np.array([numbers[folder]], dtype=np.float32))
        for path, folder in zip(paths, folders, strict=True)
    ]
    return _numbered(found, shuffles=shuffles), names


def lines_by_annotation(root: Path, annotations: Path, *, shuffles: bool) -> list[ListLine]:
    """Return a line with boxes for each image of a folder, from the JSON file of the same name.

    An image without a box cannot be packed and is left out.

    Raises:
        UserError: There are no images, or an annotation is missing or malformed.
    """
    found = []
    for path in _images(root):
        relative = path.relative_to(root)
        annotation = (annotations / relative).with_suffix(".json")
        try:
            text = annotation.read_bytes()
        except OSError as error:
            raise UserError(
                f"{relative}: expected its boxes in {annotation} ({error.strerror})."
            ) from None
        boxes = boxes_from_text(text, annotation.name)
        if len(boxes):
            found.append((relative.as_posix(), vector_from_boxes(boxes)))
    return _numbered(found, shuffles=shuffles)


def _images(root: Path) -> list[Path]:
    paths = [path for path in data_files(root) if path.suffix.lower() in SUFFIXES]
    if not paths:
        raise UserError(f"{root}: expected images ({', '.join(SUFFIXES)}) in it; found none.")
    return paths


def _numbered(
    found: list[tuple[str, np.ndarray[tuple[int], np.dtype[np.float32]]]], *, shuffles: bool
) -> list[ListLine]:
    if shuffles:
        random.Random(SHUFFLE_SEED).shuffle(found)  # noqa: S311 - an order, not a secret
    return [
        ListLine(index, labels, path, f"line {index + 1}")
        for index, (path, labels) in enumerate(found)
    ]


def write_list(lines: Iterable[ListLine], target: Path) -> None:
    """Write a list file."""
    with renamed_when_done(target) as aside:
        text = "".join(list_line(line.index, line.labels, line.path) for line in lines)
        aside.write_text(text, encoding="utf-8", newline="\n")


def write_records(lines: Iterable[ListLine], root: Path, target: Path) -> int:
    """Write `target` and its index; return the number of records.

    Args:
        lines: What to pack, in this order.
        root: The folder that the lines' paths start from.
        target: The `.rec` file.
    Raises:
        UserError: A file is missing or neither JPEG nor PNG.
        PlatformError: It cannot be read, or the target cannot be written.
    """
    number = offset = 0
    with (
        renamed_when_done(target) as aside,
        renamed_when_done(target.with_suffix(INDEX_SUFFIX)) as index_aside,
        aside.open("wb") as records,
        index_aside.open("wb") as index,
    ):
        for line, image in _with_images(lines, root):
            record = framed(image_record_bytes(image, line.labels, line.index), cuts=True)
            records.write(record)
            index.write(index_line(line.index, offset))
            offset += len(record)
            number += 1
    return number


def _with_images(lines: Iterable[ListLine], root: Path) -> Iterator[tuple[ListLine, bytes]]:
    for line in lines:
        path = image_path(root, line)
        try:
            image = path.read_bytes()
        except OSError as error:
            raise PlatformError(f"{path}: cannot be read ({error.strerror}).") from None
        read_header(image, f"{line.place} ({line.path})")
        yield line, image
