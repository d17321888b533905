"""Images by number: those of a `.rec` file, or those that a list names, with labels as written.

Labels are read when a set is opened, images when they are asked for, by any thread.
"""

import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sm_dl.content_types import IMAGES, RECORDIO, parse
from sm_dl.data.bad_records import BadRecords
from sm_dl.data.image_record import HEADER, image_record_from_bytes
from sm_dl.data.lst import ListLine, image_path, read_list
from sm_dl.data.record_index import RecordFile, record_heads
from sm_dl.data.recordio import place as place_of
from sm_dl.data.s3 import list_objects
from sm_dl.data.source import DataFile, NamedBytes, StoredObject
from sm_dl.errors import PlatformError, UserError, shown
from sm_dl.files import iter_data_files
from sm_dl.job.job import ChannelSource

RECORD_SUFFIX, INDEX_SUFFIX, LIST_SUFFIX = ".rec", ".idx", ".lst"
HEAD_BYTES = HEADER.size + 1000
"""Room for 250 labels; a record with more of them is read whole."""


@dataclass(frozen=True)
class Entry:
    """One image of a set, not yet read."""

    number: int
    """By which its set hands it out."""
    labels: NDArray[np.float32]
    """One class, several marks, or a detection vector, as written."""
    place: str
    """What to call the image in an error."""
    path: str = ""
    """As the list has it; empty for a record."""


class ImageSet(Protocol):
    """Images that can be had in any order, as often as wanted."""

    def entries(self, bad: BadRecords) -> Iterator[Entry]:
        """Yield the images in the order of the file or list, bad ones left out; called once."""

    def content(self, number: int) -> bytes:
        """Return the bytes of one image file; any thread may ask."""

    def place(self, number: int) -> str:
        """Return what to call an image in an error."""


class RecordImages:
    """The images of one `.rec` file. An `.idx` beside it is not needed, and not looked at."""

    def __init__(self, path: Path, name: str) -> None:
        """Open the file."""
        self._path, self._name = path, name
        self._offsets: list[int] = []
        self._file = RecordFile(path, name, self._offsets)
        weakref.finalize(self, self._file.close)

    def entries(self, bad: BadRecords) -> Iterator[Entry]:
        """Yield the records of the file; `bad` may leave out those that are no image records.

        Raises:
            UserError: The file is not RecordIO, or a record is no image record.
        """
        for number, (offset, head) in enumerate(record_heads(self._path, self._name, HEAD_BYTES)):
            place = place_of(self._name, number + 1, offset)
            self._offsets.append(offset)
            if len(head) >= HEADER.size and _num_bytes_before_image(head) > len(head):
                head = self._file[number]  # noqa: PLW2901 - more labels than usual
            try:
                record = image_record_from_bytes(head, place)
            except UserError as error:
                bad.leave_out(error)
            else:
                yield Entry(number, record.labels, place)

    def content(self, number: int) -> bytes:
        """Return one image file."""
        payload = self._file[number]
        return payload[_num_bytes_before_image(payload) :]

    def place(self, number: int) -> str:
        """Return what to call an image in an error."""
        return self._file.place(number)


def _num_bytes_before_image(payload: bytes) -> int:
    return HEADER.size + 4 * int(HEADER.unpack_from(payload)[0])


class ListedImages:
    """Image files that the lines of a list name, on a disk or in a bucket."""

    def __init__(self, channel: ChannelSource, lines: NamedBytes, *, is_part: bool = False) -> None:
        """Remember the list, where its paths start from, and whether other hosts have some of them."""
        self._channel, self._lines, self._is_part = channel, lines, is_part
        self._root = channel.path
        self._objects: dict[str, StoredObject] = {}
        self._paths: list[str] = []
        self._places: list[str] = []

    def entries(self, bad: BadRecords) -> Iterator[Entry]:
        """Yield the images in the order of the list; `bad` may leave out lines that do not fit.

        Raises:
            UserError: A line is no list line, has the index of another one, or names no file.
        """
        find = self._finder()
        seen: dict[int, str] = {}
        with self._lines.open() as stream:
            for line in read_list(stream, self._lines.name, bad):
                try:
                    _check_index(line, seen)
                    is_here = find(line)
                except UserError as error:
                    bad.leave_out(error)
                    continue
                if not is_here:
                    continue
                self._paths.append(line.path)
                self._places.append(line.place)
                number = len(self._paths) - 1
                yield Entry(number, line.labels, self.place(number), line.path)

    def _finder(self) -> Callable[[ListLine], bool]:
        """Return what says whether a line's file is on this host, and refuses one that is nowhere."""
        if self._channel.s3_uri is not None:
            self._objects = {one.address.relative_name: one for one in _objects(self._channel)}
            return self._find_object
        skipped = len(str(self._root)) + 1
        # one listing of the folder says it of all files; to ask for each would take minutes
        present = {str(path)[skipped:] for path in iter_data_files(self._root)}

        def find(line: ListLine) -> bool:
            if line.path not in present:
                if self._is_part:
                    return False
                image_path(self._root, line)
            return True

        return find

    def _find_object(self, line: ListLine) -> bool:
        if line.path not in self._objects:
            raise UserError(
                f"{line.place}: expected an image {shown(line.path)} below {self._channel.s3_uri}; "
                "got no such object."
            )
        return True

    def content(self, number: int) -> bytes:
        """Return one image file.

        Raises:
            PlatformError: It cannot be read.
        """
        path = self._paths[number]
        stored = self._objects.get(path)
        try:
            with stored.open() if stored else (self._root / path).open("rb") as stream:
                return stream.read()
        except OSError as error:
            raise PlatformError(
                f"{self.place(number)}: cannot be read ({error.strerror})."
            ) from None

    def place(self, number: int) -> str:
        """Return what to call an image in an error."""
        return f"{self._places[number]} ({self._paths[number]})"


def _check_index(line: ListLine, seen: dict[int, str]) -> None:
    if line.index in seen:
        raise UserError(
            f"{line.place}: expected an index that no other line has; got {line.index}, as in "
            f"{seen[line.index]}. Number the lines anew."
        )
    seen[line.index] = line.place


def open_image_set(
    channel: ChannelSource, lists: ChannelSource | None = None, *, is_part: bool = False
) -> ImageSet:
    """Return the images of a channel that is not a pipe.

    Args:
        channel: Holds one `.rec` file, or image files.
        lists: Holds the one `.lst` that names the image files.
        is_part: Whether other hosts have image files that this one has not; their lines are passed by.
    Raises:
        UserError: There is not exactly one `.rec` or `.lst`, or a content type is neither.
    """
    if holds_records(channel):
        file = one_record_file(channel)
        assert isinstance(file, DataFile)  # noqa: S101 - of a bucket, a stream is read
        return RecordImages(file.path, file.name)
    if lists is None:
        raise UserError(
            f"channel {channel.name}: image files need a list in channel {channel.name}_lst; "
            "got none. Bring one with a single .lst file, or one .rec file in place of images."
        )
    return ListedImages(channel, _only(lists, LIST_SUFFIX, ()), is_part=is_part)


def holds_records(channel: ChannelSource) -> bool:
    """Return whether a channel's images are records, not files.

    Raises:
        UserError: Its content type is neither.
    """
    if channel.content_type is None:
        return any(file.name.endswith(RECORD_SUFFIX) for file in _channel_files(channel))
    media_type = parse(channel.content_type).name
    if media_type not in (RECORDIO, *IMAGES):
        raise UserError(
            f"channel {channel.name}: expected the content type {RECORDIO} or one of "
            f"{', '.join(IMAGES)}; got {media_type}."
        )
    return media_type == RECORDIO


def one_record_file(channel: ChannelSource) -> NamedBytes:
    """Return the only `.rec` of a channel.

    Raises:
        UserError: There is none, or there are several.
    """
    return _only(channel, RECORD_SUFFIX, (INDEX_SUFFIX, LIST_SUFFIX))


def _only(channel: ChannelSource, suffix: str, beside: tuple[str, ...]) -> NamedBytes:
    every = [file for file in _channel_files(channel) if not file.name.endswith(beside)]
    fitting = [file for file in every if file.name.endswith(suffix)] or every
    if len(fitting) != 1:
        names = ", ".join(sorted(file.name for file in fitting)[:3]) or "none"
        raise UserError(
            f"channel {channel.name}: expected exactly one {suffix} file; got {len(fitting)}: "
            f"{names}{', ...' if len(fitting) > 3 else ''}."
        )
    return fitting[0]


def _channel_files(channel: ChannelSource) -> Iterator[NamedBytes]:
    """Yield the files of a channel, in no order, whatever they hold."""
    if channel.s3_uri is not None:
        yield from _objects(channel)
        return
    root = channel.path
    media_type = parse(channel.content_type or "").name
    base = root if root.is_dir() else root.parent
    for path in iter_data_files(root) if root.is_dir() else [root]:
        name = f"{channel.name}/{str(path)[len(str(base)) + 1 :]}"
        yield DataFile(path, name, media_type)


def _objects(channel: ChannelSource) -> list[StoredObject]:
    addresses = list_objects(str(channel.s3_uri), channel.s3_data_type, f"channel {channel.name}")
    media_type = parse(channel.content_type or "").name
    return [
        StoredObject(one, f"{channel.name}/{one.relative_name}", media_type) for one in addresses
    ]
