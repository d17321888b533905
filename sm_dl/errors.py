"""What can go wrong, sorted by who must act.

    JobError
    ├── UserError        the data, the hyperparameters or the request; exit code 2
    ├── AlgorithmError   our own code or numerics; exit code 1
    ├── PlatformError    disk, memory, network, devices; exit code 3
    │   ├── LostProcessError    another process of the job is gone: it knows the cause
    │   └── KilledProcessError  a process of the job was killed before it could say anything
    └── StoppedError     SIGTERM: nobody's fault; exit code 143, and 0 on the platform

Every message is one sentence or two: where, what was expected, what came, what to do.
"""

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType
from typing import ClassVar

SHOWN_CHARACTERS = 80
"""Longest piece of a user's value that an error message repeats."""


class JobError(Exception):
    """An error with a culprit: it decides the exit code and the words of the failure file."""

    exit_code: ClassVar[int]
    log_label: ClassVar[str]
    failure_label: ClassVar[str]


class UserError(JobError):
    """The data, the hyperparameters or the request must change. HTTP 400 when serving."""

    exit_code = 2
    log_label = "Customer Error"
    failure_label = "ClientError"


class AlgorithmError(JobError):
    """The algorithm failed on input it had accepted."""

    exit_code = 1
    log_label = "Algorithm Error"
    failure_label = "AlgorithmError"


class PlatformError(JobError):
    """The machine, its disk or its network failed."""

    exit_code = 3
    log_label = "Platform Error"
    failure_label = "InternalServerError"


class LostProcessError(PlatformError):
    """Another process of the job died or is stuck; the first cause is with that one."""


class KilledProcessError(PlatformError):
    """A process of the job was killed; whatever the others say is a consequence."""


class StoppedError(JobError):
    """The job was told to stop, and has written what it had."""

    exit_code = 143
    log_label = "Stopped"
    failure_label = "Stopped"


def shown(value: object) -> str:
    """Return `repr(value)`, shortened to fit into a sentence."""
    try:
        text = repr(value)
    except RecursionError:  # JSON may be nested deeper than Python prints
        text = f"a deeply nested {type(value).__name__}"
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + "..."


def near_miss(name: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` when `name` looks like a known name, else an empty string."""
    candidates = list(known)
    lowered = {candidate.lower(): candidate for candidate in candidates}
    close = difflib.get_close_matches(name.lower(), list(lowered), n=1, cutoff=0.6)
    return f" Did you mean {lowered[close[0]]!r}?" if close else ""


def optional_import(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Return an optional dependency.

    Args:
        module: Dotted module name, e.g. "pyarrow.parquet".
        extra: The extra of this package that installs it.
        purpose: What needs it, e.g. "reading Parquet".
    Raises:
        UserError: It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        raise UserError(
            f"{purpose} needs the package {package}, which is not installed. "
            f"Install it with: pip install 'sm_dl[{extra}]'"
        ) from error
