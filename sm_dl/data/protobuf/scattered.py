"""Where the pieces of many records lie in a buffer, before they are put together."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sm_dl.data.frames import Integers
from sm_dl.data.protobuf.lockstep import Spans
from sm_dl.data.protobuf.wire import BYTES, FEATURES, LABEL, VALUES, Layout, Record


class Tensors:
    """The pieces under one name: by tensor field, for each record."""

    def __init__(self, buffer: bytes, num_records: int) -> None:
        self._buffer = buffer
        self._num_records = num_records
        self.kinds: Integers = np.zeros(num_records, dtype=np.int64)
        """Number of the value's type in each record; 0 where the name is missing."""
        self._spans: dict[int, tuple[Integers, Integers]] = {}
        self._replaced: dict[int, dict[int, list[bytes]]] = {}

    def __contains__(self, field: int) -> bool:
        """Return whether any record has a field."""
        return field in self._spans

    def span(self, field: int) -> tuple[Integers, Integers, dict[int, bytes]]:
        """Return begins, lengths, and what stands in for some records' pieces of the buffer."""
        starts, lengths = self._arrays(field)
        replaced = {row: b"".join(found) for row, found in self._replaced.get(field, {}).items()}
        return starts, lengths, replaced

    def pieces(self, field: int, row: int) -> list[bytes]:
        """Return the pieces of one record, as they were written."""
        replaced = self._replaced.get(field, {})
        if row in replaced:
            return replaced[row]
        starts, lengths = self._arrays(field)
        start = int(starts[row])
        return [self._buffer[start : start + int(lengths[row])]] if start else []

    def add_spans(self, field: int, rows: Integers, starts: Integers, lengths: Integers) -> None:
        """Note where a field lies in some records."""
        if len(rows) == self._num_records:
            self._spans[field] = starts, lengths
            return
        all_starts, all_lengths = self._arrays(field)
        all_starts[rows], all_lengths[rows] = starts, lengths

    def add_pieces(self, field: int, row: int, spans: Sequence[tuple[int, int]]) -> None:
        """Note where the pieces of a field of one record lie."""
        starts, lengths = self._arrays(field)
        if len(spans) > 1:
            pieces = [self._buffer[begin:end] for begin, end in spans]
            self._replaced.setdefault(field, {})[row] = pieces
        starts[row] = spans[0][0]
        lengths[row] = sum(end - begin for begin, end in spans)

    def _arrays(self, field: int) -> tuple[Integers, Integers]:
        if field not in self._spans:
            zeros = np.zeros(self._num_records, dtype=np.int64)
            self._spans[field] = zeros, zeros.copy()
        return self._spans[field]


class Scattered:
    """Everything in some records, by name."""

    def __init__(self, buffer: bytes, num_records: int) -> None:
        self.buffer = buffer
        self._num_records = num_records
        self.names: dict[tuple[int, bytes], Tensors] = {}
        self.texts: dict[int, dict[int, bytes]] = {}

    def add_layout(
        self, rows: Integers, is_right: NDArray[np.bool_], layout: Layout, spans: Spans
    ) -> None:
        """Note the records that follow a layout."""
        chosen = rows[is_right]
        for entry, (number, key, kind, fields) in enumerate(layout):
            if number not in (FEATURES, LABEL):
                starts, lengths = (found[is_right].tolist() for found in spans[entry, 0])
                texts = self.texts.setdefault(number, {})
                for row, start, length in zip(chosen.tolist(), starts, lengths, strict=True):
                    texts[row] = self.buffer[start : start + length]
                continue
            tensors = self.tensors(number, key)
            tensors.kinds[chosen] = kind
            for field in fields:
                if kind == BYTES and field != VALUES:
                    continue
                starts, lengths = spans[entry, field]
                tensors.add_spans(field, chosen, starts[is_right], lengths[is_right])

    def add_record(self, row: int, record: Record) -> None:
        """Note one record that was read by itself."""
        for (number, key), value in record.entries.items():
            tensors = self.tensors(number, key)
            tensors.kinds[row] = value.kind
            for field, found in value.spans.items():
                tensors.add_pieces(field, row, found)
        for number, text in record.texts.items():
            self.texts.setdefault(number, {})[row] = text

    def tensors(self, number: int, key: bytes) -> Tensors:
        """Return the pieces under a name; there may be none yet."""
        if (number, key) not in self.names:
            self.names[number, key] = Tensors(self.buffer, self._num_records)
        return self.names[number, key]
