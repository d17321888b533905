"""Files that are whole or absent: written aside, flushed to the disk, renamed."""

import errno
import glob
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sm_dl import faults
from sm_dl.errors import PlatformError

logger = logging.getLogger(__name__)

WRITING_ERRNO = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
"""What only somebody who writes is told."""
TEMPORARY_SUFFIX = ".sagemaker-ignore"
"""The platform's uploader leaves files of this name alone."""


IGNORED_NAMES = {"_SUCCESS"}
"""Left by Spark beside its output; names that begin with a dot are ignored too."""


def data_files(root: Path) -> list[Path]:
    """Return the data files below a folder; links to folders are followed.

    Hidden files, files of hidden folders and Spark's markers are no data. The order is that of the
    paths as text, byte by byte: the order of keys in an object store.
    """
    return sorted(iter_data_files(root), key=os.fsencode)  # all of them begin with the root


def iter_data_files(root: Path) -> Iterator[Path]:
    """Yield the data files below a folder as they are found.

    The folder's own listing says what is a file; asking for each file again would take minutes on
    a mount whose metadata come over the network.

    Raises:
        PlatformError: A folder cannot be listed.
    """
    waiting: list[tuple[Path, frozenset[tuple[int, int]]]] = [(root, frozenset())]
    while waiting:
        folder, above = waiting.pop()
        identity, entries = _listed(folder)
        if identity in above:
            continue  # a link to a folder that it lies in
        for entry in entries:
            if is_ignored(entry.name):
                continue
            if entry.is_dir():
                waiting.append((Path(entry.path), above | {identity}))
            elif entry.is_file():
                yield Path(entry.path)


def _listed(folder: Path) -> tuple[tuple[int, int], list[os.DirEntry[str]]]:
    """Return which folder it is, whatever path leads there, and what is in it."""
    try:
        status = folder.stat()
        with os.scandir(folder) as entries:
            return (status.st_dev, status.st_ino), list(entries)
    except OSError as error:
        raise PlatformError(f"{folder}: cannot be listed ({error.strerror}).") from None


def is_ignored(name: str) -> bool:
    """Return whether a file or folder of this name is no data."""
    return name.startswith(".") or name in IGNORED_NAMES


def free_bytes(folder: Path) -> int | str:
    """Return how much fits on the disk of a folder, for a sentence."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return "unknown"


@contextmanager
def beside_the_model(path: Path) -> Iterator[None]:
    """Log that a file or folder cannot be written, instead of raising it: the model is written already."""
    try:
        yield
    except OSError as error:
        logger.warning(
            "%s: cannot be written (%s); the model is whole.",
            error.filename or path, error.strerror or error,
        )  # fmt: skip


@contextmanager
def renamed_when_done(path: Path) -> Iterator[Path]:
    """Yield a temporary path; on success it takes the place of `path`, else it is removed.

    What a killed process left of the same file is removed too: one process writes a file at a time.
    """
    for leftover in path.parent.glob(f"{glob.escape(path.name)}.*{TEMPORARY_SUFFIX}"):
        leftover.unlink(missing_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}{TEMPORARY_SUFFIX}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        faults.reach("save")
        temporary.replace(path)
    except OSError as error:
        # a write or a flush knows its file by number alone
        if error.filename is None and error.errno in WRITING_ERRNO:
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` so that a reader sees the old file or the new one, never a part."""
    with renamed_when_done(path) as temporary:
        temporary.write_bytes(content)
