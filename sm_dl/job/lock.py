"""One job at a time in an output folder."""

import errno
import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from sm_dl.errors import PlatformError, UserError
from sm_dl.job.paths import Paths

UNSUPPORTED_ERRNO = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}
"""Of file systems that know no locks: there the user keeps two jobs apart."""


@contextmanager
def output_lock(paths: Paths) -> Iterator[None]:
    """Hold the output folder of a job; the lock goes with the process, however that ends.

    Raises:
        UserError: Another job holds it.
        PlatformError: The folder cannot be written.
    """
    path = paths.output / ".lock"
    try:
        paths.output.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    except OSError as error:
        raise PlatformError(
            f"{path}: cannot be written ({error.strerror}); make the output folder writable."
        ) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{paths.root}: another job is writing to this output folder; "
                "wait for it, stop it, or choose another output."
            ) from None
        except OSError as error:
            if error.errno not in UNSUPPORTED_ERRNO:
                raise
        yield
