"""How a job ends: exit code, log line and `output/failure`, by culprit (contract, section 3.1)."""

import errno
import logging
import re
from collections.abc import Callable

from sm_dl.errors import (
    AlgorithmError,
    JobError,
    KilledProcessError,
    PlatformError,
    StoppedError,
)
from sm_dl.files import WRITING_ERRNO
from sm_dl.job import stop
from sm_dl.job.paths import Paths
from sm_dl.job.secrets import masked

logger = logging.getLogger(__name__)

BROKEN_OFF = "SIGTERM came; what was finished is whole. Start the same command again."
FAILURE_CHARACTERS = 1024
"""The platform shows no more than this of the failure file."""
NATIVE_TRACE = re.compile(r"\s*(Exception raised from | frame #)|\n")
"""Where torch's own message ends and its C++ trace begins, or further lines."""
HOST_MEMORY_TEXTS = ("can't allocate memory", "Storage size calculation overflowed")
"""How torch tells that the system gives it no more, or has no word for so much; it has no exception
type for it."""
PLATFORM_ERRNO = {*WRITING_ERRNO, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE}


def run_to_exit_code(
    work: Callable[[], None], paths: Paths | None, *, owns_output: bool = True
) -> int:
    """Run `work` and return the exit code: 0 done, 1 algorithm, 2 user, 3 platform, 143 stopped.

    Args:
        work: The whole job.
        paths: Where to leave `output/failure`; None when not even that is known.
        owns_output: Whether this process may remove what an earlier run left there. Of the
            processes of one job the first to fail writes the file.
    """
    try:
        if paths is not None and owns_output:
            paths.failure.unlink(missing_ok=True)
        work()
    except stop.StopNow:
        return _stopped(StoppedError(BROKEN_OFF), paths)
    except StoppedError as stopped:
        return _stopped(stopped, paths)
    except Exception as error:  # noqa: BLE001 - the last floor: everything becomes an exit code
        if stop.is_leaving():  # somebody swallowed StopNow, and then missed what he was importing
            return _stopped(StoppedError(BROKEN_OFF), paths)
        if isinstance(error, JobError):
            return _fail(error, paths)
        return _fail(_sorted(error), paths, error)
    return 0


def _stopped(stopped: StoppedError, paths: Paths | None) -> int:
    """Leave no failure: the platform uploads the model of a stopped job."""
    logger.warning("%s: %s", stopped.log_label, stopped)
    return 0 if paths is not None and paths.on_platform else stopped.exit_code


def _sorted(error: Exception) -> JobError:
    if isinstance(error, MemoryError):
        return PlatformError(f"out of memory (caused by MemoryError) {error}")
    cause = f"(caused by {type(error).__name__})\n\n{_in_one_line(error)}"
    if type(error).__name__ == "OutOfMemoryError":  # torch's own, which this floor cannot import
        return PlatformError(f"the device is out of memory; lower mini_batch_size {cause}")
    if isinstance(error, RuntimeError) and any(map(str(error).__contains__, HOST_MEMORY_TEXTS)):
        return PlatformError(
            f"the host is out of memory; lower mini_batch_size or take a larger machine {cause}"
        )
    if isinstance(error, OSError) and error.errno in PLATFORM_ERRNO:
        # a job writes nowhere else
        where = error.filename or ("the output folder" if error.errno in WRITING_ERRNO else None)
        return PlatformError(f"{error.strerror}{f': {where}' if where else ''} {cause}")
    return AlgorithmError(f"the job stopped on an internal error {cause}")


def _in_one_line(error: Exception) -> str:
    """Return the first line of an error's text; the trace in the log has all of them."""
    return NATIVE_TRACE.split(str(error).strip(), maxsplit=1)[0].rstrip()


def _fail(error: JobError, paths: Paths | None, cause: BaseException | None = None) -> int:
    logger.error("%s: %s", error.log_label, error, exc_info=cause)  # the trace stays in the log
    if paths is not None:
        text = masked(f"{error.failure_label}: {error}")[:FAILURE_CHARACTERS]
        _write_failure(text, error, paths)
    return error.exit_code


def _write_failure(text: str, error: JobError, paths: Paths) -> None:
    """Write the first cause: what another process of the job has written stays.

    But a process that was killed could not write, and those that lost it did: it comes first.
    """
    try:
        paths.output.mkdir(parents=True, exist_ok=True)
        mode = "w" if isinstance(error, KilledProcessError) else "x"
        with paths.failure.open(mode, encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except FileExistsError:
        logger.info("%s: keeps the first cause.", paths.failure)
    except OSError as unwritable:
        logger.error("%s: cannot be written (%s)", paths.failure, unwritable.strerror)  # noqa: TRY400 - the cause is named
