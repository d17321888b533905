"""Log lines in the service's form: `[MM/DD/YYYY HH:MM:SS LEVEL threadid] text` on stdout."""

import logging
import sys

from typing_extensions import override

from sm_dl.job.secrets import masked

PREFIX = "[%(asctime)s %(levelname)s %(thread)d] %(message)s"
DATE = "%m/%d/%Y %H:%M:%S"


class StdoutHandler(logging.Handler):
    """Writes to whatever `sys.stdout` is now, so that a progress bar can take it over."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line and flush: the platform reads metrics from a pipe."""
        try:
            sys.stdout.write(self.format(record) + "\n")
            sys.stdout.flush()
        except (OSError, ValueError):  # a closed stdout must not end a training run
            self.handleError(record)


class MaskingFormatter(logging.Formatter):
    """Formats a line, its trace included, and hides what is secret in it."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))


def start_logging(*, quiet: bool = False) -> None:
    """Send this package's log lines to stdout; `quiet` keeps warnings only (ranks above 0)."""
    handler = StdoutHandler()
    handler.setFormatter(MaskingFormatter(PREFIX, DATE))
    logger = logging.getLogger("sm_dl")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    logger.propagate = False
