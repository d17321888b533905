"""Records of a stream to columns, some thousands at a time and no Python object per value."""

from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO

import numpy as np

from sm_dl.data.bad_records import BadRecords, BadRowError
from sm_dl.data.frames import Integers
from sm_dl.data.protobuf.assemble import Places, column_from
from sm_dl.data.protobuf.columns import Batch, Column
from sm_dl.data.protobuf.lockstep import SLACK_BYTES, follow
from sm_dl.data.protobuf.scattered import Scattered
from sm_dl.data.protobuf.wire import (
    BYTES,
    FEATURES,
    KINDS,
    LABEL,
    TEXTS,
    VALUES,
    Record,
    WireError,
    parse,
)
from sm_dl.data.recordio import Frames, read_frames
from sm_dl.data.width import Width
from sm_dl.errors import shown

MAX_LAYOUTS = 8
"""Layouts tried on all records of a batch; the rest is read one by one."""
MAPS = {FEATURES: "features", LABEL: "label"}

Name = tuple[int, bytes]


def read_batches(
    stream: BinaryIO,
    name: str,
    bad: BadRecords | None = None,
    check: Callable[[Batch], object] | None = None,
    wanted: Mapping[str, Width] | None = None,
) -> Iterator[Batch]:
    """Yield the records of `stream` in order, as columns; about 2 MiB of records at a time.

    Args:
        stream: Binary and forward-only: a file, a Pipe-mode FIFO or an S3 body.
        name: What to call the stream in an error, e.g. `train/part-00003.pbr`.
        bad: May leave out records that are no such records, or differ in what they hold from the
            first one of their batch; without it they are refused.
        check: Raises BadRowError for a record that its reader cannot use, which is then left out
            as well; e.g. `lambda batch: batch.label["values"].scalars()`.
        wanted: Features that every record must have, with numbers of this width; other names,
            labels and texts are then not looked at. None: all that there is, alike in each record.
    Raises:
        UserError: The bytes are no such records, or records differ in what they hold.
        PlatformError: The stream cannot be read.
    """
    bad = bad or BadRecords()
    for frames in read_frames(stream, name):
        batch = _good_batch(frames, bad, check, wanted)
        if batch is not None:
            yield batch


def _good_batch(
    frames: Frames,
    bad: BadRecords,
    check: Callable[[Batch], object] | None,
    wanted: Mapping[str, Width] | None,
) -> Batch | None:
    """Return those of some records that can be read; None when that is none of them."""
    while len(frames):
        try:
            batch = batch_from(frames, wanted)
            if check is not None:
                check(batch)
        except BadRowError as error:
            for one in error.all:
                bad.leave_out(one)
            frames = frames.without([one.row for one in error.all])
        else:
            return batch
    return None


def batch_from(frames: Frames, wanted: Mapping[str, Width] | None = None) -> Batch:
    """Return some records as columns.

    Args:
        frames: The records.
        wanted: See `read_batches`.
    Raises:
        BadRowError: They are no protobuf records, or differ in what they hold.
    """
    scattered = _scatter(frames)
    if wanted is not None:
        features = {
            name: _wanted_column(scattered, name, width, frames) for name, width in wanted.items()
        }
        return Batch(features, {}, {}, {}, len(frames), frames.place)
    columns: dict[int, dict[str, Column]] = {FEATURES: {}, LABEL: {}}
    blobs: dict[str, list[list[bytes]]] = {}
    # what the first record has comes first, so that a record without it is blamed, not the others
    names = sorted(scattered.names.items(), key=lambda item: item[1].kinds[0] == 0)
    for (number, key), tensors in names:
        title = _title(number, key, int(np.flatnonzero(tensors.kinds)[:1].sum()), frames)
        _check_kinds(tensors.kinds, title, frames)
        text = key.decode()
        if tensors.kinds[0] == BYTES:
            blobs[text] = [tensors.pieces(VALUES, row) for row in range(len(frames))]
        else:
            columns[number][text] = column_from(
                scattered.buffer, tensors, Places(frames.place, title)
            )
    texts = {
        TEXTS[number]: [_text(found.get(row), frames, row) for row in range(len(frames))]
        for number, found in scattered.texts.items()
    }
    return Batch(columns[FEATURES], columns[LABEL], blobs, texts, len(frames), frames.place)


def _wanted_column(scattered: Scattered, name: str, width: Width, frames: Frames) -> Column:
    """Return a column of numbers that no record may go without."""
    tensors = scattered.tensors(FEATURES, name.encode())
    places = Places(frames.place, f"{MAPS[FEATURES]}[{name!r}]")
    wrong = np.flatnonzero((tensors.kinds == 0) | (tensors.kinds == BYTES))

    def problem(row: int) -> str:
        found = [
            key.decode(errors="backslashreplace")
            for (number, key), other in scattered.names.items()
            if number == FEATURES and other.kinds[row]
        ]
        got = "bytes" if tensors.kinds[row] else f"only {shown(found)}" if found else "no features"
        return f"expected numbers under this name; got {got}."

    places.refuse(wrong, problem)
    return column_from(scattered.buffer, tensors, places, width)


def _scatter(frames: Frames) -> Scattered:
    """Return where everything in the records lies."""
    buffer = frames.buffer
    starts, ends = frames.starts, frames.starts + frames.lengths
    found = Scattered(buffer, len(frames))
    has_slack = ends + SLACK_BYTES <= len(buffer)
    for row in np.flatnonzero(~has_slack).tolist():  # the last one or two
        found.add_record(row, _parse(buffer, frames, row))
    waiting = np.flatnonzero(has_slack)
    for _ in range(MAX_LAYOUTS):
        if not len(waiting):
            return found
        first = int(waiting[0])
        record = _parse(buffer, frames, first)
        if record.layout is None:
            found.add_record(first, record)
            waiting = waiting[1:]
            continue
        is_right, spans = follow(buffer, starts[waiting], ends[waiting], record.layout)
        found.add_layout(waiting, is_right, record.layout, spans)
        waiting = waiting[~is_right]
    for row in waiting.tolist():
        found.add_record(row, _parse(buffer, frames, row))
    return found


def _parse(buffer: bytes, frames: Frames, row: int) -> Record:
    start = int(frames.starts[row])
    try:
        return parse(buffer, start, start + int(frames.lengths[row]))
    except WireError as error:
        raise BadRowError(
            f"{frames.place(row)}: expected a protobuf record of the service; "
            f"got {error.reason} at byte {error.offset - start} of its payload.",
            row,
        ) from None


def _title(number: int, key: bytes, row: int, frames: Frames) -> str:
    try:
        return f"{MAPS[number]}[{key.decode()!r}]"
    except UnicodeDecodeError:
        raise BadRowError(
            f"{frames.place(row)}: expected names in UTF-8 in {MAPS[number]}; got {shown(key)}.",
            row,
        ) from None


def _check_kinds(kinds: Integers, title: str, frames: Frames) -> None:
    """Refuse records without a value under a name, and bytes beside numbers; the first one decides."""
    first = int(kinds[0])
    differs = kinds != first
    is_wrong = differs & ((kinds == 0) | (kinds == BYTES) | (first in (0, BYTES)))
    wrong = [0] if not first else np.flatnonzero(is_wrong)[:1].tolist()
    for row in wrong:
        expected, got = (KINDS.get(int(kind), "no value") for kind in (first, kinds[row]))
        raise BadRowError(
            f"{frames.place(row)}: {title}: expected {expected if first else 'a value'}, "
            f"as in the other records; got {got}.",
            row,
        )


def _text(value: bytes | None, frames: Frames, row: int) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        raise BadRowError(
            f"{frames.place(row)}: expected text in UTF-8; got {shown(value)}.", row
        ) from None
