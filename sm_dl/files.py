"""Files that are whole or absent: written aside, flushed to the disk, renamed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPORARY_SUFFIX = ".sagemaker-ignore"
"""The platform's uploader leaves files of this name alone."""


@contextmanager
def renamed_when_done(path: Path) -> Iterator[Path]:
    """Yield a temporary path; on success it takes the place of `path`, else it is removed."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}{TEMPORARY_SUFFIX}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` so that a reader sees the old file or the new one, never a part."""
    with renamed_when_done(path) as temporary:
        temporary.write_bytes(content)
