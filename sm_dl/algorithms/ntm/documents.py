"""Documents as bags of words: three flat arrays, whatever their number and the vocabulary's size.

Memory is 8 bytes for each different word of a document and 16 for each document.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from sm_dl.algorithms.ntm.bags import Bags, by_word

ENTRIES_AT_ONCE = 1 << 17
"""Batches are cut together up to about so many entries, 20 bytes each."""

LAST_OF_32_BITS = 2**31 - 1

Words = npt.NDArray[np.int32]
Counts = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Documents:
    """Documents in compressed form, none of them empty unless they come from a request."""

    words: Words
    """Word of each entry, rising within a document."""
    counts: Counts
    """How often it occurs there; above 0."""
    starts: Rows
    """First entry of each document, and behind the last one the number of entries."""
    num_words: int
    """Size of the vocabulary."""

    def __len__(self) -> int:
        """Return the number of documents."""
        return len(self.starts) - 1

    def lengths(self) -> Counts:
        """Return the words of each document, every occurrence counted; infinite beyond float32."""
        sums = np.concatenate([[0.0], np.cumsum(self.counts, dtype=np.float64)])
        with np.errstate(over="ignore"):
            lengths: Counts = np.diff(sums[self.starts]).astype(np.float32)
        return lengths

    def take(self, rows: Rows) -> "Documents":
        """Return some of the documents."""
        sizes = np.diff(self.starts)[rows]
        starts = np.concatenate([[0], np.cumsum(sizes)])
        entries = np.arange(starts[-1]) + np.repeat(self.starts[rows] - starts[:-1], sizes)
        return Documents(self.words[entries], self.counts[entries], starts, self.num_words)


def documents_from(
    words: npt.NDArray[np.integer],
    counts: npt.NDArray[np.floating],
    sizes: npt.NDArray[np.integer],
    num_words: int,
) -> Documents:
    """Return documents whose entries may come in any order, repeat a word, or count nothing.

    Args:
        words: Word of each entry.
        counts: How often; entries of one word in a document are added.
        sizes: Entries of each document.
        num_words: Size of the vocabulary.
    """
    rows = np.repeat(np.arange(len(sizes)), sizes)
    filled = np.flatnonzero(counts)
    if len(filled) < len(counts):
        words, counts, rows = words[filled], counts[filled], rows[filled]
    places = rows * num_words + words
    if (places[1:] <= places[:-1]).any():
        places, entry = np.unique(places, return_inverse=True)
        counts = np.bincount(entry, counts, len(places)).astype(np.float64)
        rows, words = places // num_words, places % num_words
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(sizes)))])
    return Documents(
        words.astype(np.int32), counts.astype(np.float32), starts.astype(np.int64), num_words
    )


def none_of(num_words: int) -> Documents:
    """Return no document."""
    return Documents(
        np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros(1, np.int64), num_words
    )


def joined(parts: Sequence[Documents]) -> Documents:
    """Return the documents of several parts, one behind the other."""
    before = np.cumsum([0, *(len(part.words) for part in parts)])
    starts = [part.starts[:-1] + first for part, first in zip(parts, before[:-1], strict=True)]
    return Documents(
        np.concatenate([part.words for part in parts]),
        np.concatenate([part.counts for part in parts]),
        np.concatenate([*starts, before[-1:]]).astype(np.int64),
        parts[0].num_words,
    )


class Shelf:
    """Documents on a device, from which batches are cut."""

    def __init__(self, documents: Documents) -> None:
        """Put them on the CPU, without a copy of the entries."""
        self.num_documents = len(documents)
        self._num_words = documents.num_words
        self.device = torch.device("cpu")
        self._words = torch.from_numpy(documents.words)
        self._counts = torch.from_numpy(documents.counts)
        # places of 32 bits where they suffice: half the memory to go through
        is_small = len(documents.words) <= LAST_OF_32_BITS
        starts = documents.starts.astype(np.int32) if is_small else documents.starts
        self._starts = torch.from_numpy(starts)
        lengths = documents.lengths()
        self._lengths = torch.from_numpy(lengths)
        shares = np.divide(1, lengths, where=lengths > 0, out=np.zeros_like(lengths))
        self._shares = torch.from_numpy(shares)

    def to(self, device: torch.device) -> "Shelf":
        """Move them to a device, once."""
        if device != self.device:
            self._words, self._counts, self._starts, self._lengths, self._shares = (
                tensor.to(device)
                for tensor in (
                    self._words, self._counts, self._starts, self._lengths, self._shares,
                )
            )  # fmt: skip
            self._starts = self._starts.long()
            self.device = device
        return self

    def cut(self, rows: Tensor) -> Bags:
        """Return some documents as one batch; `rows` may be empty."""
        rows = rows.to(self.device)
        firsts, kind = self._starts[rows], self._starts.dtype
        sizes = self._starts[rows + 1] - firsts
        starts = functional.pad(torch.cumsum(sizes, 0, dtype=kind), (1, 0))
        entries = _repeated(firsts - starts[:-1], sizes)
        entries += torch.arange(len(entries), dtype=kind, device=self.device)
        numbers = torch.arange(len(rows), dtype=kind, device=self.device)
        return Bags(
            words_W=self._words.index_select(0, entries).to(kind),
            counts_W=self._counts.index_select(0, entries),
            rows_W=_repeated(numbers, sizes),
            starts_B=starts,
            lengths_B=self._lengths[rows],
            shares_B=self._shares[rows],
        )

    def cuts(self, parts: Iterable[Tensor], *, is_sorted: bool) -> Iterator[Bags]:
        """Yield some documents after the other as batches; several are cut together, which is faster.

        What is done for all of them finds its code in the processor's caches, where a training step
        leaves none: to sort one batch between two steps takes twice as long.

        Args:
            parts: The rows of each batch.
            is_sorted: Whether their entries are wanted by word as well.
        """
        mean_size = len(self._words) // max(1, self.num_documents) + 1
        waiting: list[Tensor] = []
        num_documents = 0
        for part in parts:
            waiting.append(part)
            num_documents += len(part)
            if num_documents * mean_size >= ENTRIES_AT_ONCE:
                yield from self._together(waiting, is_sorted=is_sorted)
                waiting, num_documents = [], 0
        if waiting:
            yield from self._together(waiting, is_sorted=is_sorted)

    def _together(self, parts: Sequence[Tensor], *, is_sorted: bool) -> list[Bags]:
        batches = list(self._split(parts))
        if is_sorted:
            batches = [one._replace(entries=by_word(one, self._num_words)) for one in batches]
        return batches

    def _split(self, parts: Sequence[Tensor]) -> Iterator[Bags]:
        whole = self.cut(torch.cat(list(parts)))
        last = np.cumsum([len(part) for part in parts])
        ends = whole.starts_B[torch.from_numpy(last).to(self.device)].tolist()
        begin = row = 0
        for end, next_row in zip(ends, last.tolist(), strict=True):
            yield Bags(
                words_W=whole.words_W[begin:end],
                counts_W=whole.counts_W[begin:end],
                rows_W=whole.rows_W[begin:end] - row,
                starts_B=whole.starts_B[row : next_row + 1] - begin,
                lengths_B=whole.lengths_B[row:next_row],
                shares_B=whole.shares_B[row:next_row],
            )
            begin, row = end, next_row


def bags_of(documents: Documents) -> Bags:
    """Return all documents as one batch."""
    return Shelf(documents).cut(torch.arange(len(documents)))


def _repeated(numbers: Tensor, times: Tensor) -> Tensor:
    """Return each number so many times. NumPy does that in a seventh of torch's time on a CPU."""
    if numbers.device.type != "cpu":
        return torch.repeat_interleave(numbers, times)
    return torch.from_numpy(np.repeat(numbers.numpy(), times.numpy()))
