"""Lists of tokens of different lengths as two flat arrays: made once, cut and gathered without loops.

Shape letters in this file: R = rows, N = tokens of all rows, M = tokens of the chosen rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int32]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Ragged:
    """Rows of token ids."""

    tokens_N: Ids
    offsets: Indices
    """Where each row begins, and behind the last one the number of tokens; length R + 1."""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> Ids:
        return self.tokens_N[self.offsets[row] : self.offsets[row + 1]]

    @property
    def lengths(self) -> Indices:
        """Return the tokens of each row."""
        return np.diff(self.offsets)

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]]) -> "Ragged":
        """Return lists of integers as arrays.

        Raises:
            TypeError: A row is no list, or a token is no integer.
            OverflowError: A token does not fit 32 bits.
        """
        if not set(map(type, rows)) <= {list}:
            raise TypeError("a row is no list")
        if not set(map(type, chain.from_iterable(rows))) <= {int}:
            raise TypeError("a token is no integer")
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        offsets = _offsets(lengths)
        tokens_N = np.fromiter(chain.from_iterable(rows), np.int32, int(offsets[-1]))
        return cls(tokens_N, offsets)

    def take(self, rows: Indices) -> "Ragged":
        """Return some rows, in the order given; a row may be asked for several times."""
        lengths = self.lengths[rows]
        offsets = _offsets(lengths)
        shifts = np.repeat(self.offsets[:-1][rows] - offsets[:-1], lengths)
        return Ragged(self.tokens_N[shifts + np.arange(len(shifts))], offsets)

    def cut(self, max_length: int) -> tuple["Ragged", int]:
        """Return the rows without what lies beyond a length, and how many were longer."""
        lengths = self.lengths
        num_cut = int((lengths > max_length).sum())
        if not num_cut:
            return self, 0
        starts_N = np.repeat(self.offsets[:-1], lengths)
        is_kept_N = np.arange(len(self.tokens_N)) - starts_N < max_length
        kept = _offsets(np.minimum(lengths, max_length))
        return Ragged(self.tokens_N[is_kept_N], kept), num_cut

    def distinct(self) -> tuple[Indices, Indices]:
        """Return the first row of each different content, and how often it occurs; most often first.

        Rows that occur equally often stand in the order of their first rows.
        """
        width = int(self.lengths.max(initial=0))
        if width == 0 or len(self) == 0:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        data = self.tokens_N.tobytes()
        size = self.tokens_N.itemsize
        bounds = (self.offsets * size).tolist()
        first: dict[bytes, int] = {}
        counts: list[int] = []
        rows: list[int] = []
        for row in range(len(self)):
            content = data[bounds[row] : bounds[row + 1]]
            number = first.setdefault(content, len(rows))
            if number == len(rows):
                rows.append(row)
                counts.append(1)
            else:
                counts[number] += 1
        counts_U, rows_U = np.array(counts, np.int64), np.array(rows, np.int64)
        order = np.argsort(-counts_U, kind="stable")
        return rows_U[order], counts_U[order]


def joined(parts: Sequence[Ragged]) -> Ragged:
    """Return the rows of several, one behind the other."""
    lengths = [part.lengths for part in parts]
    tokens = [part.tokens_N for part in parts]
    return Ragged(
        np.concatenate([np.zeros(0, np.int32), *tokens]),
        _offsets(np.concatenate([np.zeros(0, np.int64), *lengths])),
    )


def _offsets(lengths: Indices) -> Indices:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
