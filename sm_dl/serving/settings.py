"""What the platform sets on a serving container, read from its environment once."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from sm_dl.errors import UserError, shown

MAX_PAYLOAD_VARIABLE = "SAGEMAKER_MAX_PAYLOAD_IN_MB"
DEFAULT_ACCEPT_VARIABLE = "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT"
LARGEST_PAYLOAD_MB = 1024
"""Asynchronous endpoints accept up to 1 GB, every other kind less (contract, section 5)."""
BYTES_PER_MB = 1024 * 1024
"""The service's MB: its 6 MB are 6,291,456 bytes."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Limits of one server. Bodies in memory never exceed `max_payload_mb` times `max_waiting`."""

    max_payload_mb: int = 6
    """Largest request body that is read."""
    default_accept: str | None = None
    """Stands in for a missing Accept header and for `*/*`."""
    max_waiting: int = 64
    """Requests held at once, the running one included; more are answered 503."""
    drain_s: int = 20
    """Seconds the requests in flight may take after SIGTERM; the platform kills after 30."""

    @property
    def max_body_bytes(self) -> int:
        """Return the largest request body that is read."""
        return self.max_payload_mb * BYTES_PER_MB

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Return the settings the platform asks for.

        Raises:
            UserError: A variable does not hold what its name promises.
        """
        text = environment.get(MAX_PAYLOAD_VARIABLE, "").strip()
        return cls(
            max_payload_mb=_payload_mb(text) if text else cls.max_payload_mb,
            default_accept=environment.get(DEFAULT_ACCEPT_VARIABLE, "").strip() or None,
        )


def whole_number(text: str) -> int | None:
    """Return a number written in plain digits, or None; no text is too long for it."""
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else None


def _payload_mb(text: str) -> int:
    value = whole_number(text) or 0
    if not 1 <= value <= LARGEST_PAYLOAD_MB:
        raise UserError(
            f"environment variable {MAX_PAYLOAD_VARIABLE}: expected an integer >= 1 and "
            f"<= {LARGEST_PAYLOAD_MB}; got {shown(text)}. "
            f"Set one, or unset it for {Settings.max_payload_mb}."
        )
    return value
