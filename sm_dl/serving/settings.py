"""What bounds one server: the platform's variables, read once, and limits of our own."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from sm_dl.errors import UserError, shown

MAX_PAYLOAD_VARIABLE = "SAGEMAKER_MAX_PAYLOAD_IN_MB"
DEFAULT_ACCEPT_VARIABLE = "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT"
MULTI_MODEL_VARIABLE = "SAGEMAKER_MULTI_MODEL"
BATCH_VARIABLE = "SAGEMAKER_BATCH"
BATCH_PREDICT_S = 3600
"""The longest a transform job may allow for one invocation; an endpoint allows 60 s."""
LARGEST_PAYLOAD_MB = 1024
"""Asynchronous endpoints accept up to 1 GB, batch transform 100 MB, every other kind less."""
LARGEST_TRANSFORM_MB = 100
"""Concurrent transforms times payload: the service takes no more (contract, section 6)."""
BYTES_PER_MB = 1024 * 1024
"""The service's MB: its 6 MB are 6,291,456 bytes."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Limits of one server; what a client can make it hold follows from them."""

    max_payload_mb: int = 6
    """Largest request body that is read."""
    max_bodies_mb: int = 384
    """All bodies in memory together; a request that would exceed it is answered 503."""
    default_accept: str | None = None
    """Stands in for a missing Accept header and for `*/*`."""
    is_multi_model: bool = False
    """Whether models come and go by `/models` instead of one being there from the start."""
    models_memory_mb: int | None = None
    """Resident memory above which no further model is loaded; None: 80 % of the container's."""
    max_waiting: int = 256
    """Requests held at once for one model, the running ones included; more are answered 503."""
    max_batch: int = 32
    """Requests of one `predict`; how heavy they are together is the predictor's own limit."""
    batch_wait_s: float = 0.002
    """How long after a batch of several the next one waits for as many."""
    predict_s: float = 60
    """The platform's limit for an invocation: a model that takes longer is taken for stuck."""
    max_stuck: int = 3
    """With so many threads stuck the process ends, and its supervisor starts it anew."""
    head_s: float = 10
    """From the first byte of a request to the last of its headers; then 408."""
    body_s: float = 20
    """For a body, and a second more for each `body_bytes_per_s`; then 408."""
    body_bytes_per_s: int = 64 * 1024
    idle_s: float = 75
    """A connection on which nothing is asked is closed after it."""
    max_connections: int = 1024
    """At this many the one that has been idle longest gives way."""
    drain_s: int = 20
    """Seconds the requests in flight may take after SIGTERM; the platform kills after 30."""

    @property
    def max_body_bytes(self) -> int:
        """Return the largest request body that is read."""
        return self.max_payload_mb * BYTES_PER_MB

    @property
    def max_held_bytes(self) -> int:
        """Return how many bytes all bodies may take together: one always fits."""
        return max(self.max_bodies_mb, self.max_payload_mb) * BYTES_PER_MB

    def execution_parameters(self) -> dict[str, object]:
        """Return what batch transform should use when its user does not say."""
        at_once = min(os.cpu_count() or 1, max(1, LARGEST_TRANSFORM_MB // self.max_payload_mb))
        return {
            "MaxConcurrentTransforms": at_once,
            "BatchStrategy": "MULTI_RECORD",
            "MaxPayloadInMB": self.max_payload_mb,
        }

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
            is_multi_model=_is_true(environment, MULTI_MODEL_VARIABLE),
            predict_s=BATCH_PREDICT_S if _is_true(environment, BATCH_VARIABLE) else cls.predict_s,
        )


def whole_number(text: str) -> int | None:
    """Return a number written in plain digits, or None; no text is too long for it."""
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else None


def _is_true(environment: Mapping[str, str], name: str) -> bool:
    return environment.get(name, "").strip().lower() == "true"


def _payload_mb(text: str) -> int:
    value = whole_number(text) or 0
    if not 1 <= value <= LARGEST_PAYLOAD_MB:
        raise UserError(
            f"environment variable {MAX_PAYLOAD_VARIABLE}: expected an integer >= 1 and "
            f"<= {LARGEST_PAYLOAD_MB}; got {shown(text)}. "
            f"Set one, or unset it for {Settings.max_payload_mb}."
        )
    return value
