"""Image channels, as records or as files with a list, and the archives they are made from.

The same pictures give the same bytes: their order is im2rec's, shuffled with its seed.
"""

import http.client
import io
import random
import tarfile
import urllib.request
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sm_dl.data.image_record import image_record_bytes
from sm_dl.data.lst import list_line
from sm_dl.data.record_index import index_line
from sm_dl.data.recordio import framed
from sm_dl.files import renamed_when_done
from sm_dl.packing.images import SHUFFLE_SEED, SUFFIXES

DOWNLOAD_TIMEOUT_S = 60.0
MAX_MEMBER_BYTES = 1 << 26
UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    tarfile.TarError,
    zlib.error,
    http.client.HTTPException,
)


@dataclass(frozen=True)
class Picture:
    """One image file and its class."""

    name: str
    """Path below the channel, with the class as its folder."""
    label: int
    content: bytes


def in_class_folders(root: Path) -> tuple[list[str], list[Picture]]:
    """Return the classes of a folder, which are its sub-folders, and the pictures in them."""
    names = sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    pictures = [
        Picture(f"{name}/{path.name}", label, path.read_bytes())
        for label, name in enumerate(names)
        for path in sorted((root / name).iterdir())
        if path.suffix.lower() in SUFFIXES
    ]
    if not pictures:
        raise SystemExit(f"{root}: expected a folder of pictures for each class; found none.")
    return names, pictures


def two_parts(source: Path) -> tuple[list[str], list[Picture], list[Picture]]:
    """Return the classes of a folder, and its pictures below `train` and `test`."""
    names, train = in_class_folders(source / "train")
    other_names, test = in_class_folders(source / "test")
    if names != other_names:
        raise SystemExit(
            f"{source}: expected the same classes in train and test, got {names} and {other_names}."
        )
    return names, train, test


def archive_members(url: str, source: Path | None) -> Iterator[tuple[str, bytes]]:
    """Yield (name, content) of the files of a public .tar.gz, from a local copy or the web."""
    where = source or url
    try:
        content = _download(url) if source is None else source.read_bytes()
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            for member in archive:
                file = archive.extractfile(member) if member.isfile() else None
                if file is not None and member.size <= MAX_MEMBER_BYTES:
                    yield member.name, file.read()
    except UNREADABLE as error:
        raise SystemExit(
            f"{where}: could not be read ({error}); pass --source a folder of pictures, or the "
            f"archive that {url} names."
        ) from error


def write_records(folder: Path, pictures: Sequence[Picture]) -> None:
    """Write a channel of one `.rec` and its index, and print what it holds."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{folder.name}.rec"
    offset = 0
    with (
        renamed_when_done(path) as aside,
        renamed_when_done(path.with_suffix(".idx")) as index_aside,
        aside.open("wb") as records,
        index_aside.open("wb") as index,
    ):
        for number, picture in enumerate(_shuffled(pictures)):
            label = np.array([picture.label], dtype=np.float32)
            record = framed(image_record_bytes(picture.content, label, number), cuts=True)
            records.write(record)
            index.write(index_line(number, offset))
            offset += len(record)
    print(f"{path}: {len(pictures)} pictures, {offset} bytes")


def write_files(folder: Path, pictures: Sequence[Picture]) -> None:
    """Write a channel of image files, and beside it that of its list; print what they hold."""
    lists = folder.with_name(f"{folder.name}_lst")
    lists.mkdir(parents=True, exist_ok=True)
    lines = []
    for number, picture in enumerate(_shuffled(pictures)):
        path = folder / picture.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture.content)
        label = np.array([picture.label], dtype=np.float32)
        lines.append(list_line(number, label, picture.name))
    with renamed_when_done(lists / f"{folder.name}.lst") as aside:
        aside.write_text("".join(lines), encoding="utf-8", newline="\n")
    print(f"{folder}: {len(pictures)} pictures, listed in {lists / folder.name}.lst")


def write_class_names(path: Path, names: Sequence[str]) -> None:
    """Write one name a line, in the order of the classes; for the reader's eye."""
    path.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


def _shuffled(pictures: Sequence[Picture]) -> list[Picture]:
    order = list(pictures)
    random.Random(SHUFFLE_SEED).shuffle(order)  # noqa: S311 - an order, not a secret
    return order


def _download(url: str) -> bytes:
    """Return the bytes behind a public address."""
    # S310 asks to check the scheme: every address is an https constant of these scripts
    with urllib.request.urlopen(url, timeout=DOWNLOAD_TIMEOUT_S) as answer:  # noqa: S310
        content: bytes = answer.read()
    return content
