"""Which files a channel holds, and what is in each of them."""

from dataclasses import dataclass
from pathlib import Path

from sm_dl.content_types import JSON, JSON_LINES, PARQUET, parse
from sm_dl.errors import UserError
from sm_dl.files import data_files
from sm_dl.job.job import ChannelSource

FORMATS = {
    ".json": JSON_LINES,
    ".json.gz": JSON_LINES,
    ".jsonl": JSON_LINES,
    ".jsonl.gz": JSON_LINES,
    ".parquet": PARQUET,
}
"""Media type by file extension."""


@dataclass(frozen=True)
class DataFile:
    """One file of a channel."""

    path: Path
    name: str
    """Channel and path below it, for error messages: `train/part-0.json.gz`."""
    media_type: str


def channel_files(source: ChannelSource) -> list[DataFile]:
    """Return the files of a channel, subfolders included, sorted by name.

    Raises:
        UserError: There is none, or one of an unknown extension while no content type is given.
    """
    root = source.path
    paths = data_files(root) if root.is_dir() else [root] if root.exists() else []
    base = root if root.is_dir() else root.parent
    files = []
    for path in paths:
        name = f"{source.name}/{path.relative_to(base).as_posix()}"
        files.append(DataFile(path, name, _media_type(source, path, name)))
    if not files:
        raise UserError(
            f"channel {source.name}: expected at least one data file below {root}; got none."
        )
    return files


def _media_type(source: ChannelSource, path: Path, name: str) -> str:
    if source.content_type is not None:
        media_type = parse(source.content_type).name
        return JSON_LINES if media_type == JSON else media_type
    for extension, media_type in FORMATS.items():
        if path.name.lower().endswith(extension):
            return media_type
    raise UserError(
        f"{name}: the format cannot be told from the extension; expected {', '.join(FORMATS)}. "
        f"Rename the file, or set content_type for channel {source.name}."
    )
