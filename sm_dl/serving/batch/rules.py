"""The settings of a transform job: names, ranges and defaults of the service (contract, section 6)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sm_dl.content_types import parse
from sm_dl.errors import UserError, shown
from sm_dl.serving.batch.filters import WHOLE, compiled
from sm_dl.serving.settings import BYTES_PER_MB

SplitType = Literal["None", "Line", "RecordIO", "TFRecord"]
BatchStrategy = Literal["MultiRecord", "SingleRecord"]
Assembly = Literal["None", "Line"]
Compression = Literal["None", "Gzip"]
JoinSource = Literal["None", "Input"]

LARGEST_PAYLOAD_MB = 100
"""The service's limit for one payload, and for all payloads under way together."""
LARGEST_TIMEOUT_S = 3600
LARGEST_RETRIES = 3
STRATEGY_NAMES: Mapping[str, BatchStrategy] = {
    "MULTI_RECORD": "MultiRecord",
    "SINGLE_RECORD": "SingleRecord",
}
"""As `/execution-parameters` and the environment spell them."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The settings of a transform job, under the service's names and with its defaults."""

    content_type: str | None = None
    """None means: by the extension of each object."""
    accept: str | None = None
    """None means: the model's usual type, or with a join the type of the object."""
    compression_type: Compression | None = None
    """None means: an object whose name ends in `.gz` is gzipped.

    Differs from the service (contract, section 6): there the default is "None", and a `.gz`
    object is sent as it stands, which no model here reads.
    """
    split_type: SplitType = "None"
    """None sends the whole object as one payload."""
    batch_strategy: BatchStrategy = "MultiRecord"
    """How many records one payload holds: as many as fit, or one."""
    assemble_with: Assembly = "None"
    """What stands between answers: nothing, or a newline after each."""
    max_payload_mb: int = 6
    max_concurrent_transforms: int = 1
    """Payloads under way at once."""
    invocations_timeout_s: int = 600
    """Longest wait for one answer."""
    invocations_max_retries: int = 3
    """How often a payload is sent again after a fault of the server: 500 or 503."""
    input_filter: str = WHOLE
    """JSONPath: what of each record the model gets."""
    output_filter: str = WHOLE
    """JSONPath: what of each answer, joined or not, is written."""
    join_source: JoinSource = "None"
    """Input writes each record, as it was before the filter, with its answer."""

    def __post_init__(self) -> None:
        """Refuse what no object can satisfy.

        Raises:
            UserError: One setting is outside its range, or does not go with another.
        """
        for place, value, kind in (
            ("split type", self.split_type, SplitType),
            ("batch strategy", self.batch_strategy, BatchStrategy),
            ("assemble with", self.assemble_with, Assembly),
            ("compression type", self.compression_type or "None", Compression),
            ("join source", self.join_source, JoinSource),
        ):
            if value not in get_args(kind):
                raise UserError(
                    f"{place}: expected one of {', '.join(get_args(kind))}; got {shown(value)}."
                )
        self._check_numbers()
        compiled("input filter", self.input_filter)
        compiled("output filter", self.output_filter)
        self._check_join()

    @property
    def max_payload_bytes(self) -> int:
        """Return the largest body of one request."""
        return self.max_payload_mb * BYTES_PER_MB

    @property
    def has_filters(self) -> bool:
        """Return whether records or answers are opened, or else pass byte for byte."""
        return (self.input_filter, self.output_filter) != (WHOLE, WHOLE) or self.is_joined

    @property
    def is_joined(self) -> bool:
        """Return whether each answer is written with its record."""
        return self.join_source == "Input"

    def _check_numbers(self) -> None:
        if self.max_payload_mb == 0:
            raise UserError(
                "maximum payload: 0 asks for a body without a limit, sent in chunks, which no "
                f"algorithm here reads. Set 1 to {LARGEST_PAYLOAD_MB} (MB)."
            )
        for place, value, low, high in (
            ("maximum payload (MB)", self.max_payload_mb, 1, LARGEST_PAYLOAD_MB),
            ("concurrent transforms", self.max_concurrent_transforms, 1, LARGEST_PAYLOAD_MB),
            ("invocations timeout (s)", self.invocations_timeout_s, 1, LARGEST_TIMEOUT_S),
            ("invocations retries", self.invocations_max_retries, 0, LARGEST_RETRIES),
        ):
            if not low <= value <= high:
                raise UserError(
                    f"{place}: expected an integer >= {low} and <= {high}; got {value}. "
                    "Set one, or leave it out."
                )
        together_mb = self.max_payload_mb * self.max_concurrent_transforms
        if together_mb > LARGEST_PAYLOAD_MB:
            raise UserError(
                f"concurrent transforms: expected at most {LARGEST_PAYLOAD_MB} MB under way "
                f"together; got {self.max_concurrent_transforms} x {self.max_payload_mb} MB = "
                f"{together_mb} MB. Lower one of the two."
            )

    def _check_join(self) -> None:
        if self.has_filters and self.split_type not in ("None", "Line"):
            raise UserError(
                "filters and join: expected split type None or Line, as JSON, JSON Lines and CSV "
                f"have it; got {self.split_type}. Leave the filters and the join out."
            )
        if self.is_joined and self.split_type != self.assemble_with:
            raise UserError(
                "join source Input: expected the same split type and assemble with; got "
                f"{self.split_type} and {self.assemble_with}. Set both to Line, or both to None."
            )
        if self.is_joined and self.accept and self.content_type:
            check_joined_types(self.content_type, self.accept)


def check_joined_types(content_type: str, accept: str) -> None:
    """Refuse a join of two formats.

    Raises:
        UserError: The types differ.
    """
    if parse(content_type).name != parse(accept).name:
        raise UserError(
            "join source Input: expected the same content type and accept; got "
            f"{shown(content_type)} and {shown(accept)}. Leave accept out."
        )


@dataclass(frozen=True, kw_only=True)
class Tunables:
    """What the user said about the three settings a server may propose; None is nothing."""

    batch_strategy: BatchStrategy | None = None
    max_payload_mb: int | None = None
    max_concurrent_transforms: int | None = None
    """0 is nothing too, as in the service's API."""

    def environment(self) -> dict[str, str]:
        """Return what the platform tells a container: only what the user has set."""
        spelt = {strategy: name for name, strategy in STRATEGY_NAMES.items()}
        said = {
            "SAGEMAKER_MAX_PAYLOAD_IN_MB": self.max_payload_mb,
            "SAGEMAKER_BATCH_STRATEGY": spelt.get(self.batch_strategy or "MultiRecord")
            if self.batch_strategy
            else None,
            "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": self.max_concurrent_transforms or None,
        }
        return {name: str(value) for name, value in said.items() if value is not None}

    def settled(self, offered: Mapping[str, object]) -> dict[str, Any]:
        """Return the three for `Rules`: as the user said, else as the server offers, else none.

        An offered concurrency is lowered until it fits the payload; one that was asked for is not.
        """
        settled: dict[str, Any] = {}
        strategy = self.batch_strategy or STRATEGY_NAMES.get(str(offered.get("BatchStrategy")))
        if strategy is not None:
            settled["batch_strategy"] = strategy
        payload_mb = (
            self.max_payload_mb
            if self.max_payload_mb is not None
            else _offered(offered, "MaxPayloadInMB")
        )
        if payload_mb is not None:
            settled["max_payload_mb"] = payload_mb
        if self.max_concurrent_transforms:
            settled["max_concurrent_transforms"] = self.max_concurrent_transforms
        elif (concurrency := _offered(offered, "MaxConcurrentTransforms")) is not None:
            fitting = LARGEST_PAYLOAD_MB // max(1, payload_mb or Rules.max_payload_mb)
            settled["max_concurrent_transforms"] = max(1, min(concurrency, fitting))
        return settled


def _offered(offered: Mapping[str, object], name: str) -> int | None:
    """Return what a server offers, where it makes sense; a foreign one may say anything."""
    value = offered.get(name)
    is_sensible = isinstance(value, int) and not isinstance(value, bool)
    return value if is_sensible and 1 <= value <= LARGEST_PAYLOAD_MB else None  # type: ignore[operator,return-value]
