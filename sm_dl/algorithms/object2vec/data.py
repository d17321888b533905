"""Channels to pairs: JSON Lines, parsed block by block into flat arrays (spec section 3).

A block whose lines are all as they should be becomes arrays without any Python for a single line.
One that is not is looked at line by line: then the first wrong line is named, or left out.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import orjson

from sm_dl.algorithms.object2vec.ragged import Indices, Ragged, joined
from sm_dl.algorithms.object2vec.records import Rules, check_record
from sm_dl.content_types import JSON_LINES
from sm_dl.data.bad_records import BadRecords
from sm_dl.data.compression import explained, opened_plain
from sm_dl.data.jsonlines import BYTE_ORDER_MARK, MAX_LINE_BYTES, object_from_line
from sm_dl.data.source import NamedBytes, channel_files
from sm_dl.errors import UserError
from sm_dl.job.job import ChannelSource

logger = logging.getLogger(__name__)

BLOCK_BYTES = 1 << 20
Labels = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Pairs:
    """Labelled pairs of a channel."""

    in0: Ragged
    in1: Ragged
    labels: Labels
    """Class numbers or scores."""

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Indices) -> "Pairs":
        """Return some of them, in the order given."""
        return Pairs(self.in0.take(rows), self.in1.take(rows), self.labels[rows])


def read_channel(source: ChannelSource, rules: Rules, bad: BadRecords | None = None) -> Pairs:
    """Return the pairs of a channel, in the order of its files and lines, cut to the longest inputs.

    Args:
        source: The channel.
        rules: What a pair must be like.
        bad: May leave out a line that is no such pair; without it such a line is refused.
    Raises:
        UserError: A file or a line is not what it should be, or there is none; file and line are named.
    """
    bad = bad or BadRecords()
    files = channel_files(source, accepted=(JSON_LINES,))
    parts = [part for file in files for part in _blocks_of_file(file, rules, bad)]
    pairs = joined_pairs(parts)
    if not len(pairs):
        raise UserError(
            f"channel {source.name}: expected at least one pair a line, such as "
            '{"label": 1, "in0": [6, 17], "in1": [16, 21]}; got only blank lines.'
        )
    return _cut(pairs, rules, source.name)


def joined_pairs(parts: Sequence[Pairs]) -> Pairs:
    """Return the pairs of several parts, one behind the other."""
    return Pairs(
        joined([part.in0 for part in parts]),
        joined([part.in1 for part in parts]),
        np.concatenate([np.zeros(0), *(part.labels for part in parts)]),
    )


def _cut(pairs: Pairs, rules: Rules, channel: str) -> Pairs:
    kept = []
    for side, rows in zip(rules.sides, (pairs.in0, pairs.in1), strict=True):
        short, num_cut = rows.cut(side.max_seq_len)
        if num_cut:
            logger.warning(
                "channel %s: %d of %d %s sequences are longer than %d tokens and were truncated.",
                channel, num_cut, len(rows), side.field, side.max_seq_len,
            )  # fmt: skip
        kept.append(short)
    return Pairs(kept[0], kept[1], pairs.labels)


def _blocks_of_file(file: NamedBytes, rules: Rules, bad: BadRecords) -> Iterator[Pairs]:
    first = 1
    with explained(file, lambda: f"line {first}"), opened_plain(file) as stream:
        for lines in _lines_of(stream, file.name):
            yield _pairs_of(lines, file.name, first, rules, bad)
            first += len(lines)


def _lines_of(stream: BinaryIO, name: str) -> Iterator[list[bytes]]:
    """Yield whole lines, about a block of bytes at a time."""
    is_first = True
    while block := stream.read(BLOCK_BYTES):
        if not block.endswith(b"\n"):
            rest = stream.readline(MAX_LINE_BYTES + 1)
            if len(rest) > MAX_LINE_BYTES:
                raise UserError(
                    f"{name}: expected lines of at most {MAX_LINE_BYTES} bytes; got more."
                )
            block += rest
        if is_first:
            block, is_first = block.removeprefix(BYTE_ORDER_MARK), False
        yield block.removesuffix(b"\n").split(b"\n")


def _pairs_of(
    lines: Sequence[bytes], name: str, first: int, rules: Rules, bad: BadRecords
) -> Pairs:
    """Return the pairs in some lines; `first` is the number of the first."""
    try:
        return _arrays(list(map(orjson.loads, lines)), rules)
    except (TypeError, KeyError, ValueError, OverflowError, RecursionError):  # something is wrong
        return _arrays(list(_checked(lines, name, first, rules, bad)), rules)


def _arrays(records: Sequence[dict[str, Any]], rules: Rules) -> Pairs:
    """Return records as arrays.

    Raises:
        TypeError: A record or one of its fields is of another type.
        KeyError: A field is missing.
        ValueError: A sequence is empty, or a number is out of range.
        OverflowError: A token does not fit 32 bits.
    """
    sides = [
        Ragged.of([record[field] for record in records])  # a record that is no object: TypeError
        for field in ("in0", "in1")
    ]
    for side, rows in zip(rules.sides, sides, strict=True):
        if not len(rows):
            continue
        tokens_N = rows.tokens_N
        if not rows.lengths.all() or tokens_N.min() < 0 or tokens_N.max() >= side.vocab_size:
            raise ValueError("a token is out of range")
    values = [record["label"] for record in records]
    if not set(map(type, values)) <= {int, float}:
        raise TypeError("a label is no number")
    labels = np.array(values, np.float64)
    if not rules.are_labels(labels):
        raise ValueError("a label is out of range")
    return Pairs(sides[0], sides[1], labels)


def _checked(
    lines: Sequence[bytes], name: str, first: int, rules: Rules, bad: BadRecords
) -> Iterator[dict[str, Any]]:
    """Yield the good records among some lines.

    Raises:
        UserError: One is not what it should be, and may not be left out.
    """
    for number, line in enumerate(lines, first):
        if not line.strip():
            continue
        place = f"{name} line {number}"
        try:
            record = object_from_line(line, place)
            check_record(record, place, rules)
        except UserError as error:
            bad.leave_out(error)
        else:
            yield record
