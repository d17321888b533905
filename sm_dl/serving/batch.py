"""Batch transform of one object: split, invoke, assemble (contract, section 6).

Words of the service: an *object* is one input file, a *record* one piece of it, a *payload* the
body of one request. Streams go in and out; which files they are is the caller's business.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import Any, BinaryIO, Literal

from sm_dl.content_types import ALIASES
from sm_dl.contract.codec import Predictor
from sm_dl.errors import AlgorithmError, UserError
from sm_dl.serving.invoke import Call, RefusedError, Response, agree, invoke
from sm_dl.serving.settings import BYTES_PER_MB

GZIP_SUFFIX = ".gz"
SUPPORTED_SPLIT_TYPES = ("None", "Line")
LARGEST_PAYLOAD_MB = 100
"""The service's limit for batch transform; its 0, an endless body, no built-in algorithm takes."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The settings of a transform job, under the service's names and with its defaults."""

    content_type: str | None = None
    """None means: by the extension of each object."""
    accept: str | None = None
    split_type: Literal["None", "Line", "RecordIO", "TFRecord"] = "None"
    """None sends the whole object as one payload."""
    batch_strategy: Literal["MultiRecord", "SingleRecord"] = "MultiRecord"
    """How many records one payload holds: as many as fit, or one."""
    assemble_with: Literal["None", "Line"] = "None"
    """What stands between answers: nothing, or a newline after each."""
    max_payload_mb: int = 6

    def __post_init__(self) -> None:
        """Refuse what this transform cannot do.

        Raises:
            UserError: One setting is outside what is supported.
        """
        if self.split_type not in SUPPORTED_SPLIT_TYPES:
            raise UserError(
                f"split type: expected one of {', '.join(SUPPORTED_SPLIT_TYPES)}; got "
                f"{self.split_type!r}, which is not supported yet. Write one record per line."
            )
        if not 1 <= self.max_payload_mb <= LARGEST_PAYLOAD_MB:
            raise UserError(
                f"maximum payload: expected an integer >= 1 and <= {LARGEST_PAYLOAD_MB} (MB); "
                f"got {self.max_payload_mb}. The default is {Rules.max_payload_mb}."
            )

    @property
    def max_payload_bytes(self) -> int:
        """Return the largest body of one request."""
        return self.max_payload_mb * BYTES_PER_MB


@dataclass(frozen=True)
class _Payload:
    body: bytes
    place: str


def check(predictor: Predictor[Any, Any], rules: Rules) -> None:
    """Refuse rules that no object can satisfy, once instead of once per object.

    Raises:
        UserError: The model does not read, or does not write, the type that is asked for.
    """
    content_type = rules.content_type or predictor.request_types[0]
    try:
        agree(predictor, Call(body=b"", content_type=content_type, accept=rules.accept))
    except RefusedError as refused:
        raise UserError(str(refused)) from None


def transform(
    predictor: Predictor[Any, Any], source: BinaryIO, sink: BinaryIO, *, name: str, rules: Rules
) -> None:
    """Write the answers for all records of `source` to `sink`, in order, a payload at a time.

    Args:
        predictor: The model.
        source: The object, already decompressed.
        sink: What it wrote is of no use when an error is raised.
        name: The key of the object: it gives the type, and the place in an error.
        rules: The job's settings.
    Raises:
        UserError: A record is bad, or the object cannot be read.
        AlgorithmError: The model failed on a record it had accepted.
    """
    content_type = rules.content_type or _type_from_extension(name)
    for payload in _payloads(source, name, rules):
        call = Call(body=payload.body, content_type=content_type, accept=rules.accept)
        answer = _checked(invoke(predictor, call), payload.place)
        sink.write(answer)
        # Differs from the service: its local mode adds a newline even where the answer ends in one
        if rules.assemble_with == "Line" and answer and not answer.endswith(b"\n"):
            sink.write(b"\n")


def _type_from_extension(name: str) -> str:
    extension = PurePosixPath(name.lower().removesuffix(GZIP_SUFFIX)).suffix
    media_type = ALIASES.get(extension.removeprefix("."))
    if media_type is None:
        raise UserError(
            f"{name}: the content type cannot be told from the extension {extension!r}. "
            "Set --content-type, or rename the object."
        )
    return media_type


def _payloads(source: BinaryIO, name: str, rules: Rules) -> Iterator[_Payload]:
    try:
        if rules.split_type == "Line":
            yield from _line_payloads(source, name, rules)
        else:
            yield _whole_payload(source, name, rules)
    except (OSError, EOFError, zlib.error) as error:  # the last two: gzip, cut short or damaged
        raise UserError(
            f"{name}: cannot be read to its end ({error}); replace the object."
        ) from error


def _whole_payload(source: BinaryIO, name: str, rules: Rules) -> _Payload:
    max_bytes = rules.max_payload_bytes
    body = source.read(max_bytes + 1)
    if len(body) > max_bytes:
        raise _too_large(name, rules, "split it with --split-type Line")
    return _Payload(body, name)


def _line_payloads(source: BinaryIO, name: str, rules: Rules) -> Iterator[_Payload]:
    max_bytes = rules.max_payload_bytes
    max_records = 1 if rules.batch_strategy == "SingleRecord" else max_bytes
    records: list[bytes] = []
    size_bytes = first = last = 0
    for number, line in enumerate(iter(lambda: source.readline(max_bytes + 1), b""), start=1):
        if len(line) > max_bytes:
            raise _too_large(f"{name}: line {number}", rules, "shorten the record")
        if not line.strip():  # an empty line holds no record
            continue
        if records and (len(records) == max_records or size_bytes + len(line) > max_bytes):
            yield _Payload(b"".join(records), _lines_place(name, first, last))
            records, size_bytes = [], 0
        first, last = (first if records else number), number
        records.append(line)
        size_bytes += len(line)
    if records:
        yield _Payload(b"".join(records), _lines_place(name, first, last))


def _lines_place(name: str, first: int, last: int) -> str:
    return f"{name}: line {first}" if first == last else f"{name}: lines {first} to {last}"


def _too_large(place: str, rules: Rules, remedy: str) -> UserError:
    return UserError(
        f"{place}: expected at most {rules.max_payload_bytes} bytes in one payload; got more. "
        f"Raise --max-payload-mb, or {remedy}."
    )


def _checked(response: Response, place: str) -> bytes:
    if response.status < HTTPStatus.BAD_REQUEST:
        return response.body
    text = f"{place}: {response.body.decode(errors='replace')}"
    if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise AlgorithmError(text)
    raise UserError(text)
