"""Records that cannot be read: refused, or left out up to a stated number, and always named."""

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sm_dl.errors import UserError

logger = logging.getLogger(__name__)

MAX_NAMED = 100
"""Of the records left out; beyond it they are counted."""


class BadRowError(UserError):
    """One record of a block that is read as a whole cannot be read, or several for the same reason."""

    def __init__(self, message: str, row: int, others: Sequence["BadRowError"] = ()) -> None:
        """Remember which one, counted from 0 within the block, and the others if there are any."""
        super().__init__(message)
        self.row = row
        self.all = (self, *others)


class BadRecords:
    """What a job does about records that cannot be read, over all its channels together.

    A reader hands in the error of one record and goes on with the next; damage after which nobody
    can tell where the next record begins (a lost magic number of RecordIO, gzip or Parquet pages
    that do not unpack, a line without end) is no matter of one record, and ends the job whatever
    the limit. Threads may share one object. A record that is met again in a later epoch, known by
    its sentence, counts once; what comes through pipes has no such identity and counts each time.
    """

    def __init__(self, most: int = 0) -> None:
        """Begin with none; `most` may be left out, and with 0 the first one ends the job."""
        self._most = most
        self._lock = threading.Lock()
        self._known: set[int] = set()
        self.count = 0
        self.reasons: list[str] = []
        """Of the first ones: file, line, what was expected, what came."""

    def leave_out(self, error: UserError) -> None:
        """Leave one record out.

        Raises:
            UserError: The record's own error; one too many has come.
        """
        sentence = str(error)
        with self._lock:
            if hash(sentence) in self._known:
                return
            if self.count == self._most:
                if not self._most:
                    raise error
                raise UserError(
                    f"{sentence} It is the record after the {self._most} that hyperparameter "
                    "max_bad_records lets be left out."
                ) from None
            self._known.add(hash(sentence))
            self.count += 1
            if self.count <= MAX_NAMED:
                self.reasons.append(sentence)
                logger.warning("left out: %s", sentence)

    @contextmanager
    def tolerated(self) -> Iterator[None]:
        """Leave out the one record that is read in this block, if it cannot be read.

        Raises:
            UserError: One too many has come.
        """
        try:
            yield
        except UserError as error:
            self.leave_out(error)
