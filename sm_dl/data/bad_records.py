"""Records that cannot be read: refused, or left out up to a stated number, and always named."""

import logging

from sm_dl.errors import UserError

logger = logging.getLogger(__name__)

MAX_NAMED = 100
"""Of the records left out; beyond it they are counted."""


class BadRecords:
    """What a job does about records that cannot be read, over all its channels together.

    A reader hands in the error of one record and goes on with the next; damage after which nobody
    can tell where the next record begins is no matter of one record.
    """

    def __init__(self, most: int = 0) -> None:
        """Begin with none; `most` may be left out, and with 0 the first one ends the job."""
        self._most = most
        self.count = 0
        self.reasons: list[str] = []
        """Of the first ones: file, line, what was expected, what came."""

    def leave_out(self, error: UserError) -> None:
        """Leave one record out.

        Raises:
            UserError: The record's own error; one too many has come.
        """
        if self.count == self._most:
            if not self._most:
                raise error
            raise UserError(
                f"{error} It is the record after the {self._most} that hyperparameter "
                "max_bad_records lets be left out."
            ) from None
        self.count += 1
        if self.count <= MAX_NAMED:
            self.reasons.append(str(error))
            logger.warning("left out: %s", error)
