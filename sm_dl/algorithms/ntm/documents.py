"""Documents as bags of words: three flat arrays, whatever their number and the vocabulary's size.

Memory is 8 bytes for each different word of a document and 16 for each document.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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
