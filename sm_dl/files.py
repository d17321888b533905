"""Files that are whole or absent: written aside, flushed to the disk, renamed."""

import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sm_dl import faults

TEMPORARY_SUFFIX = ".sagemaker-ignore"
"""The platform's uploader leaves files of this name alone."""


IGNORED_NAMES = {"_SUCCESS"}
"""Left by Spark beside its output; names that begin with a dot are ignored too."""


def data_files(root: Path) -> list[Path]:
    """Return the data files below a folder, sorted; links to folders are followed.

    Hidden files, files of hidden folders and Spark's markers are no data.
    """
    found = []
    for folder, subfolders, names in os.walk(root, followlinks=True):
        subfolders[:] = [name for name in subfolders if not _is_ignored(name)]
        found += [Path(folder) / name for name in names if not _is_ignored(name)]
    return sorted(path for path in found if path.is_file())


def _is_ignored(name: str) -> bool:
    return name.startswith(".") or name in IGNORED_NAMES


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
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` so that a reader sees the old file or the new one, never a part."""
    with renamed_when_done(path) as temporary:
        temporary.write_bytes(content)
