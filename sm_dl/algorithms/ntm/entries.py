"""Word counts as they come from a file or a request, and the rules they are checked by (spec 3.3)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sm_dl.algorithms.ntm.documents import Documents, documents_from
from sm_dl.data.bad_records import BadRecords
from sm_dl.data.protobuf.columns import Batch
from sm_dl.errors import UserError

Numbers = npt.NDArray[Any]
TENSOR = "values"
"""The feature of a protobuf record that holds the counts."""
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Entries:
    """Consecutive documents as words and counts, unchecked."""

    words: Numbers
    """Word of each entry."""
    counts: Numbers
    """How often it occurs."""
    sizes: Numbers
    """Entries of each document."""
    place: Callable[[int], str]
    """What to call a document in an error."""

    def __len__(self) -> int:
        """Return the number of documents."""
        return len(self.sizes)

    def without(self, rows: Numbers) -> "Entries":
        """Return the entries without those of some documents, given in rising order."""
        stays = np.ones(len(self), dtype=np.bool_)
        stays[rows] = False
        entries = np.repeat(stays, self.sizes)
        numbers = np.flatnonzero(stays)
        return Entries(
            self.words[entries],
            self.counts[entries],
            self.sizes[stays],
            lambda row: self.place(int(numbers[row])),
        )


def entries_of_matrix(rows: Numbers, place: Callable[[int], str]) -> Entries:
    """Return what is not 0 in dense rows."""
    documents, words = np.nonzero(rows)
    sizes = np.bincount(documents, minlength=len(rows))
    return Entries(words, rows[documents, words], sizes, place)


def entries_of_records(batch: Batch) -> Entries:
    """Return the counts of protobuf records, which have all the width of the vocabulary."""
    column = batch.features[TENSOR]
    if not column.is_sparse:
        return entries_of_matrix(column.dense(), column.places)
    return Entries(column.keys, column.values, np.diff(column.row_starts), column.places)


def checked(entries: Entries, num_words: int, bad: BadRecords) -> Documents:
    """Return the documents; fractions are taken as weights, a word given twice is added up.

    Args:
        entries: Words below `num_words`.
        num_words: Size of the vocabulary.
        bad: May leave out documents whose counts are none.
    Raises:
        UserError: A count is negative, no number, or too large.
    """
    is_right = (entries.counts >= 0) & (entries.counts <= LARGEST)
    if not is_right.all():
        entries = _without_wrong(entries, np.flatnonzero(~is_right), bad)
    documents = documents_from(entries.words, entries.counts, entries.sizes, num_words)
    endless = np.flatnonzero(~np.isfinite(documents.lengths()))
    if len(endless):
        raise UserError(
            f"{entries.place(int(endless[0]))}: expected counts whose sum is a number; "
            f"got more than {LARGEST:.3g} together."
        )
    return documents


def _without_wrong(entries: Entries, wrong: Numbers, bad: BadRecords) -> Entries:
    ends = np.cumsum(entries.sizes)
    rows, first = np.unique(np.searchsorted(ends, wrong, side="right"), return_index=True)
    for row, entry in zip(rows.tolist(), wrong[first].tolist(), strict=True):
        bad.leave_out(
            UserError(
                f"{entries.place(row)}: expected counts of 0 or more; got {entries.counts[entry]} "
                f"for word {entries.words[entry]}."
            )
        )
    return entries.without(rows)
