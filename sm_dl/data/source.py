"""Ways in: a channel as named streams of bytes, an epoch at a time, wherever its data lie.

Every reader sits on `NamedBytes`, so a format knows nothing of folders, pipes or object stores:

    for file in byte_source(channel).next_epoch():
        for place, record in read_objects(file):
            ...
"""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

from sm_dl.content_types import CSV, JSON, JSON_LINES, PARQUET, RECORDIO_PROTOBUF, parse
from sm_dl.data.pipe import TIMEOUT_S, open_fifo
from sm_dl.data.s3 import ObjectAddress, list_objects, open_object
from sm_dl.data.shard import share_of_host
from sm_dl.errors import AlgorithmError, UserError
from sm_dl.files import data_files
from sm_dl.job import stop
from sm_dl.job.job import ChannelSource

logger = logging.getLogger(__name__)

FORMATS = {
    ".json": JSON_LINES,
    ".json.gz": JSON_LINES,
    ".jsonl": JSON_LINES,
    ".jsonl.gz": JSON_LINES,
    ".jsonlines": JSON_LINES,
    ".jsonlines.gz": JSON_LINES,
    ".parquet": PARQUET,
    ".csv": CSV,
    ".csv.gz": CSV,
    ".pbr": RECORDIO_PROTOBUF,
}
"""Media type by file extension."""


class NamedBytes(Protocol):
    """One stream of bytes of a channel."""

    @property
    def name(self) -> str:
        """Return the channel and the path below it, for error messages: `train/part-0.json.gz`."""

    @property
    def media_type(self) -> str:
        """Return what the bytes claim to be."""

    def open(self) -> BinaryIO:
        """Return the bytes as they are stored, from the first one on; the caller closes them."""


class ByteSource(Protocol):
    """A channel whose bytes can be had epoch after epoch."""

    def next_epoch(self) -> Sequence[NamedBytes]:
        """Return the streams of one more pass over the channel, in order."""


@dataclass(frozen=True)
class DataFile:
    """A file on a disk or a mount."""

    path: Path
    name: str
    media_type: str

    def open(self) -> BinaryIO:
        """Return the file's bytes."""
        stop.look()
        return self.path.open("rb")


@dataclass
class PipedEpoch:
    """What comes through one FIFO: the objects of a channel, one behind the other."""

    path: Path
    name: str
    media_type: str
    timeout_s: float = TIMEOUT_S
    appears_s: float | None = None
    """How long the FIFO may take to appear, where that is not `timeout_s`."""
    _is_spent: bool = field(default=False, init=False)

    def open(self) -> BinaryIO:
        """Return the bytes as they arrive; one process of a host can read them, and once."""
        if self._is_spent:
            raise AlgorithmError(f"{self.name}: a FIFO is read once; ask for the next epoch.")
        self._is_spent = True
        stop.look()
        return open_fifo(self.path, self.name, self.timeout_s, appears_s=self.appears_s)


@dataclass(frozen=True)
class StoredObject:
    """An object in S3, streamed without a local copy."""

    address: ObjectAddress
    name: str
    media_type: str

    def open(self) -> BinaryIO:
        """Return the object's bytes; any position may be sought."""
        stop.look()
        return open_object(self.address, self.name)


class ListedSource:
    """A channel whose files stay where they are: listed once, read as often as wanted."""

    def __init__(self, files: Sequence[NamedBytes]) -> None:
        """Remember the list; a mount or a bucket is slow to give it."""
        self._files = files

    def next_epoch(self) -> Sequence[NamedBytes]:
        """Return all files, the same ones each time."""
        return self._files


class PipeSource:
    """A channel in Pipe mode (contract, section 2): FIFO 0 first, each number once."""

    def __init__(self, path: Path, name: str, media_type: str, timeout_s: float) -> None:
        """Remember where the FIFOs `<path>_0`, `<path>_1` ... will be."""
        self._path, self._name, self._media_type = path, name, media_type
        self._timeout_s = timeout_s
        self.appears_s: float | None = None
        """How long a FIFO may take to appear from now on, where that is not `timeout_s`."""
        self._next_number = 0
        logger.info("The channel '%s' is in pipe input mode under %s.", name, path)

    def next_epoch(self) -> Sequence[NamedBytes]:
        """Return the next FIFO, whether or not the one before was read to its end."""
        number = self._next_number
        self._next_number += 1
        path = self._path.with_name(f"{self._path.name}_{number}")
        name = f"{self._name}_{number}"
        return (PipedEpoch(path, name, self._media_type, self._timeout_s, self.appears_s),)


def byte_source(
    source: ChannelSource,
    accepted: Collection[str] | None = None,
    *,
    host: tuple[int, int] = (0, 1),
    timeout_s: float = TIMEOUT_S,
) -> ByteSource:
    """Return a channel's bytes, whichever way they come in.

    Args:
        source: The channel.
        accepted: Media types that the caller reads; None means all. Where it is one alone, files
            may have any name.
        host: This host's number and how many there are, to take a share of a `ShardedByS3Key`
            channel: whole files, by the order of their keys, and none where there are more hosts
            than files. What the platform has put into folders and pipes is this host's share already.
        timeout_s: How long a pipe may be silent.
    Raises:
        UserError: There is no file, and not only in this host's share, or one of an unknown extension
            while no content type is given.
        PlatformError: The object store does not answer.
    """
    if source.input_mode == "Pipe" and source.s3_uri is None:
        media_type = _media_type(source, source.name, source.name, accepted)
        return PipeSource(source.path, source.name, media_type, timeout_s)
    files = _stored_objects(source, accepted) if source.s3_uri else _folder_files(source, accepted)
    is_share = source.distribution == "ShardedByS3Key" and host[1] > 1
    if not files and not (is_share and source.is_shared_out):
        raise UserError(
            f"channel {source.name}: expected at least one data file below "
            f"{source.s3_uri or source.path}; got none."
        )
    if source.distribution == "ShardedByS3Key" and not source.is_shared_out:
        files = share_of_host(files, *host)
    return ListedSource(files)


def channel_files(
    source: ChannelSource, accepted: Collection[str] | None = None
) -> Sequence[NamedBytes]:
    """Return the streams of a channel that is read once, in the order of their keys.

    Raises:
        UserError: There is none, or one of an unknown extension while no content type is given.
    """
    return byte_source(source, accepted).next_epoch()


def _folder_files(source: ChannelSource, accepted: Collection[str] | None) -> list[NamedBytes]:
    root = source.path
    paths = data_files(root) if root.is_dir() else [root] if root.exists() else []
    base = root if root.is_dir() else root.parent
    files: list[NamedBytes] = []
    for path in paths:
        name = f"{source.name}/{path.relative_to(base).as_posix()}"
        files.append(DataFile(path, name, _media_type(source, path.name, name, accepted)))
    return files


def _stored_objects(source: ChannelSource, accepted: Collection[str] | None) -> list[NamedBytes]:
    place = f"channel {source.name}"
    addresses = list_objects(str(source.s3_uri), source.s3_data_type, place)
    files: list[NamedBytes] = []
    for address in addresses:
        name = f"{source.name}/{address.relative_name}"
        files.append(StoredObject(address, name, _media_type(source, address.key, name, accepted)))
    return files


def _media_type(
    source: ChannelSource, file_name: str, name: str, accepted: Collection[str] | None
) -> str:
    if source.content_type is not None:
        media_type = parse(source.content_type).name
        return JSON_LINES if media_type == JSON else media_type
    if accepted is not None and len(accepted) == 1:
        return next(iter(accepted))
    known = {end: kind for end, kind in FORMATS.items() if accepted is None or kind in accepted}
    for extension, media_type in known.items():
        if file_name.lower().endswith(extension):
            return media_type
    raise UserError(
        f"{name}: the format cannot be told from the extension; expected {', '.join(known)}. "
        f"Rename the file, or set content_type for channel {source.name}."
    )
