"""How one object becomes payloads: whole, by lines, or by the records of a binary framing."""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from sm_dl.data import tfrecord
from sm_dl.errors import UserError
from sm_dl.serving.batch import record_frames
from sm_dl.serving.batch.rules import Rules
from sm_dl.serving.batch.source import Source, unreadable


@dataclass(frozen=True)
class Payload:
    """The body of one request, before any filter."""

    body: bytes
    place: str
    """Object and records, for an error: `a.json: lines 3 to 5`."""
    is_line: bool = False
    """Whether it is one line, so that its `line 1` needs no saying."""


@dataclass(frozen=True)
class _Record:
    content: bytes
    number: int
    """Counted from 1."""


def payloads(source: Source, name: str, rules: Rules) -> Iterator[Payload]:
    """Yield the payloads of an object in order; no more than one is held.

    Raises:
        UserError: The object is not what its split type promises, a record is larger than a
            payload may be, or the gzip data are damaged.
        PlatformError: The disk failed.
    """
    try:
        if rules.split_type == "None":
            yield _whole(source, name, rules)
        elif rules.split_type == "Line":
            yield from _grouped(_lines(source, name, rules), name, "line", rules)
        else:
            yield from _grouped(_framed(source, name, rules), name, "record", rules)
    except (OSError, EOFError, zlib.error) as error:
        raise unreadable(name, error) from error


def _whole(source: Source, name: str, rules: Rules) -> Payload:
    body = source.read(rules.max_payload_bytes + 1)
    if len(body) > rules.max_payload_bytes:
        raise _too_large(name, rules, "split it with --split-type Line")
    return Payload(body, name)


def _lines(source: Source, name: str, rules: Rules) -> Iterator[_Record]:
    """Yield the lines that hold something, with their line breaks."""
    max_bytes = rules.max_payload_bytes
    for number, line in enumerate(iter(lambda: source.readline(max_bytes + 1), b""), start=1):
        if len(line) > max_bytes:
            raise _too_large(f"{name}: line {number}", rules, "shorten the record")
        if line.strip():
            yield _Record(line, number)


def _framed(source: Source, name: str, rules: Rules) -> Iterator[_Record]:
    """Yield binary records: alone without their frame and padding, else with it.

    A single record may be an image, which nobody expects in a frame; several need the frames to be
    told apart. The API reference says so of "padding"; the SDK's local mode unwraps too.
    """
    kind = record_frames if rules.split_type == "RecordIO" else tfrecord
    is_single = rules.batch_strategy == "SingleRecord"
    read = kind.read_records if is_single else kind.read_frames
    records = read(cast("BinaryIO", source), name, rules.max_payload_bytes)
    for number, content in enumerate(records, start=1):
        if len(content) > rules.max_payload_bytes:  # its frame made it so
            raise _too_large(f"{name}: record {number}", rules, "write smaller records")
        yield _Record(content, number)


def _grouped(records: Iterable[_Record], name: str, unit: str, rules: Rules) -> Iterator[Payload]:
    """Yield one record at a time, or as many as fit into a payload."""
    group: list[_Record] = []
    size_bytes = 0
    for record in records:
        if rules.batch_strategy == "SingleRecord":
            yield _payload([record], name, unit)
            continue
        if group and size_bytes + len(record.content) > rules.max_payload_bytes:
            yield _payload(group, name, unit)
            group, size_bytes = [], 0
        group.append(record)
        size_bytes += len(record.content)
    if group:
        yield _payload(group, name, unit)


def _payload(group: list[_Record], name: str, unit: str) -> Payload:
    first, last = group[0].number, group[-1].number
    place = f"{name}: {unit} {first}" if first == last else f"{name}: {unit}s {first} to {last}"
    body = b"".join(record.content for record in group)
    return Payload(body, place, is_line=unit == "line" and len(group) == 1)


def _too_large(place: str, rules: Rules, remedy: str) -> UserError:
    return UserError(
        f"{place}: expected at most {rules.max_payload_bytes} bytes in one payload; got more. "
        f"Raise --max-payload-mb, or {remedy}."
    )
