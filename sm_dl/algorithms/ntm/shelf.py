"""Batches cut from documents in memory, on the device that trains.

A processor's are cut by SciPy's sparse matrices, a GPU's by torch's operations on arrays.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise

import numpy as np
import torch
from scipy.sparse import csc_array, csr_array
from torch import Tensor
from torch.nn import functional

from sm_dl.algorithms.ntm.bags import Bags, ByWord, by_word
from sm_dl.algorithms.ntm.documents import Counts, Documents, Rows

NUMBERS_AT_ONCE = 1 << 17
"""Batches are cut together up to about so many entries and words of the vocabulary, 20 bytes each."""


class Shelf:
    """Documents on a device, from which batches are cut."""

    def __init__(self, documents: Documents) -> None:
        """Put them on the CPU, without a copy of the entries."""
        self.num_documents = len(documents)
        self._num_words = documents.num_words
        self._matrix = _matrix_of(documents)
        self._lengths, self._shares = _lengths_and_shares(documents)
        self._on_device: tuple[Tensor, ...] | None = None
        self.device = torch.device("cpu")

    def to(self, device: torch.device) -> "Shelf":
        """Move them to a device, once."""
        if device != self.device:
            words, counts, starts, *others = (
                torch.from_numpy(part).to(device)
                for part in (*_parts_of(self._matrix), self._lengths, self._shares)
            )
            self._on_device = words, counts, starts.long(), *others
            self.device = device
        return self

    def cut(self, rows: Tensor) -> Bags:
        """Return some documents as one batch; `rows` may be empty."""
        (bags,) = self.cuts([rows], is_sorted=False)
        return bags

    def cuts(self, parts: Iterable[Tensor], *, is_sorted: bool) -> Iterator[Bags]:
        """Yield some documents after the other as batches.

        A processor cuts several together, which is faster: what is done for all of them finds its code
        in the caches, where a training step leaves none.

        Args:
            parts: The rows of each batch.
            is_sorted: Whether their entries are wanted by word as well.
        """
        if self._on_device is not None:
            for part in parts:
                bags = taken(*self._on_device, rows=part.to(self.device))
                entries = by_word(bags, self._num_words) if is_sorted else None
                yield bags._replace(entries=entries)
            return
        mean_size = self._matrix.nnz // max(1, self.num_documents) + 1
        waiting: list[Rows] = []
        size = 0
        for part in parts:
            waiting.append(part.numpy())
            size += len(part) * mean_size + self._num_words
            if size >= NUMBERS_AT_ONCE:
                yield from self._together(waiting, is_sorted=is_sorted)
                waiting, size = [], 0
        if waiting:
            yield from self._together(waiting, is_sorted=is_sorted)

    def _together(self, parts: Sequence[Rows], *, is_sorted: bool) -> Iterator[Bags]:
        rows = np.concatenate(parts)
        words, counts, starts = _parts_of(whole := self._matrix[rows])
        lengths, shares = self._lengths[rows], self._shares[rows]
        firsts = [0, *accumulate(map(len, parts))]
        columns = self._by_word(whole, firsts) if is_sorted else None
        for number, (first, last) in enumerate(pairwise(firsts)):
            begin, end = starts[first], starts[last]
            entries = None
            if columns is not None:
                place = number * self._num_words
                entries = ByWord(
                    torch.from_numpy(columns.indices[begin:end] - first),
                    torch.from_numpy(columns.data[begin:end]),
                    torch.from_numpy(columns.indptr[place : place + self._num_words + 1] - begin),
                )
            yield Bags(
                torch.from_numpy(words[begin:end]),
                torch.from_numpy(counts[begin:end]),
                torch.from_numpy(starts[first : last + 1] - begin),
                torch.from_numpy(lengths[first:last]),
                torch.from_numpy(shares[first:last]),
                entries,
            )

    def _by_word(self, whole: csr_array, firsts: Sequence[int]) -> csc_array:
        """Return the entries of all batches by word; each batch has columns of its own for its words."""
        num_columns = (len(firsts) - 1) * self._num_words
        before = np.arange(0, num_columns, self._num_words, dtype=whole.indices.dtype)
        columns = np.repeat(before, np.diff(whole.indptr[firsts]))
        columns += whole.indices
        return csr_array(
            (whole.data, columns, whole.indptr), shape=(whole.shape[0], num_columns)
        ).tocsc()


def bags_of(documents: Documents) -> Bags:
    """Return all documents as one batch."""
    words, counts, starts = map(torch.from_numpy, _parts_of(_matrix_of(documents)))
    lengths, shares = map(torch.from_numpy, _lengths_and_shares(documents))
    return Bags(words, counts, starts, lengths, shares)


def _matrix_of(documents: Documents) -> csr_array:
    """Return the counts as a matrix, whose places have 32 bits where they suffice: less to go through."""
    return csr_array(
        (documents.counts, documents.words, documents.starts),
        shape=(len(documents), documents.num_words),
    )


def _parts_of(matrix: csr_array) -> tuple[Rows, Counts, Rows]:
    """Return columns, numbers and first entries."""
    return matrix.indices, matrix.data, matrix.indptr


def _lengths_and_shares(documents: Documents) -> tuple[Counts, Counts]:
    """Return the words of each document, and 1 by them or 0."""
    lengths = documents.lengths()
    return lengths, np.divide(1, lengths, where=lengths > 0, out=np.zeros_like(lengths))


def taken(  # noqa: D417 - as those of a batch
    words: Tensor, counts: Tensor, starts: Tensor, lengths: Tensor, shares: Tensor, *, rows: Tensor
) -> Bags:
    """Return some documents as one batch, on whatever device.

    Args:
        rows: Which of them.
    """
    firsts = starts[rows]
    sizes = starts[rows + 1] - firsts
    own = functional.pad(torch.cumsum(sizes, 0), (1, 0))
    entries = torch.repeat_interleave(firsts - own[:-1], sizes)
    entries += torch.arange(len(entries), device=rows.device)
    return Bags(
        words.index_select(0, entries).to(own.dtype),
        counts.index_select(0, entries),
        own,
        lengths[rows],
        shares[rows],
    )
