"""What protobuf records hold: names, types, lengths, labels."""

from collections import Counter
from collections.abc import Iterator
from itertools import islice

import numpy as np

from sm_dl.data.protobuf.columns import Batch, Column
from sm_dl.data.protobuf.read import batch_from
from sm_dl.data.recordio import Frames
from sm_dl.errors import shown
from sm_dl.inspection.histogram import counted, histogram, named

NUM_FIRST = 3
NUM_VALUES = 8
"""Shown of each record."""


def look_at_protobuf_records(frames: Iterator[Frames]) -> list[str]:
    """Return names and types, the first records, and how often each label occurs.

    Raises:
        UserError: A record is no protobuf record, or has other names than the ones before.
    """
    labels: Counter[object] = Counter()
    lengths: dict[str, list[int]] = {}
    first: Batch | None = None
    for piece in frames:
        batch = batch_from(piece)
        first = first or batch
        for column in (*batch.features.values(), *batch.label.values()):
            counts = np.diff(column.row_starts)
            low, high = lengths.get(column.title, (int(counts[0]), 0))
            lengths[column.title] = [min(low, int(counts.min())), max(high, int(counts.max()))]
        for column in batch.label.values():
            if len(column.values) == len(column):
                values, numbers = np.unique(column.values, return_counts=True)
                labels.update(dict(zip(values.tolist(), numbers.tolist(), strict=True)))
    if first is None:
        return []
    columns = [*first.features.values(), *first.label.values()]
    names = [f"  {_title(column, *lengths[column.title])}" for column in columns]
    blobs = [f"  features[{name!r}]: bytes" for name in first.blobs]
    texts = [
        f"  {name}: {shown(next(value for value in values if value is not None))}"
        for name, values in first.texts.items()
    ]
    by_label = ["records by label:", *histogram(labels)] if labels else []
    return ["each record has:", *names, *blobs, *texts, "first records:", *_first(first), *by_label]


def _title(column: Column, low: int, high: int) -> str:
    number = counted(low, "value") if low == high else f"{low} to {high} values"
    kind = f"sparse {column.values.dtype.name}" if column.is_sparse else column.values.dtype.name
    shape = f", shape {list(column.shape)}" if column.shape is not None else ""
    return f"{column.title}: {kind}, {number}{shape}"


def _first(batch: Batch) -> list[str]:
    lines = []
    for row in range(min(NUM_FIRST, batch.num_records)):
        parts = [
            f"{column.title} {_values(column, row)}"
            for column in (*batch.features.values(), *batch.label.values())
        ]
        parts += [
            f"features[{name!r}] {', '.join(f'{len(blob)} bytes' for blob in blobs[row])}"
            for name, blobs in batch.blobs.items()
        ]
        lines.append("  " + "; ".join(parts))
    return lines


def _values(column: Column, row: int) -> str:
    begin, end = column.row_starts[row : row + 2].tolist()
    stop = min(end, begin + NUM_VALUES)
    numbers = [named(value) for value in column.values[begin:stop].tolist()]
    if column.is_sparse:
        keys = column.keys[begin:stop].tolist()
        numbers = [f"{key}: {number}" for key, number in zip(keys, numbers, strict=True)]
    more = ", ..." if end > stop else ""
    marks = "{}" if column.is_sparse else "[]"
    return f"{marks[0]}{', '.join(numbers)}{more}{marks[1]}"


def look_at_unknown_records(frames: Iterator[Frames]) -> list[str]:
    """Return the first payloads as they are."""
    first = next(frames)
    return ["first records:", *(f"  {shown(one)}" for one in islice(first.payloads(), NUM_FIRST))]
