"""What goes into a request and comes out of an answer when a job filters or joins.

A *document* is one JSON value, or one row of CSV as a list of text. JSON is one document where an
object is not split; JSON Lines and CSV are one a line.
"""

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import orjson

from sm_dl.content_types import CSV, JSON, JSON_LINES, parse
from sm_dl.data.jsonlines import BYTE_ORDER_MARK
from sm_dl.errors import UserError, shown
from sm_dl.serving.batch.filters import compiled
from sm_dl.serving.batch.rules import LARGEST_PAYLOAD_MB, Rules, check_joined_types
from sm_dl.serving.settings import BYTES_PER_MB

INPUT_KEY, OUTPUT_KEY = "SageMakerInput", "SageMakerOutput"
OPENED_TYPES = (JSON, JSON_LINES, CSV)
ZEROS_FOR_DIGITS = bytes(ord("0") if chr(byte).isdecimal() else byte for byte in range(256))
LONG_NUMBER = b"0" * 19
"""With the digits made zeros: may be an integer of more than 64 bits, of which orjson makes a float."""
MISSING: Any = object()


@dataclass(frozen=True)
class Association:
    """The filters and the join of one object."""

    rules: Rules
    content_type: str

    def __post_init__(self) -> None:
        """Refuse an object whose records cannot be opened.

        Raises:
            UserError: Its type is none of JSON, JSON Lines and CSV, or does not fit the join.
        """
        _codec(self.content_type, "content type")
        if self.rules.is_joined:
            check_joined_types(self.content_type, self.accept or self.content_type)
            if parse(self.content_type).name == CSV and self.rules.split_type != "Line":
                raise UserError(
                    "join source Input: expected split type and assemble with Line for CSV; got "
                    f"{self.rules.split_type}. Set both to Line."
                )

    @property
    def accept(self) -> str | None:
        """Return the type to ask for: a join needs the one of the object."""
        return self.rules.accept or (self.content_type if self.rules.is_joined else None)

    def request(self, body: bytes, place: str) -> bytes:
        """Return the body that the model gets for the records in `body`.

        Raises:
            UserError: A record cannot be read, or lacks what the input filter names.
        """
        path = compiled("input filter", self.rules.input_filter)
        if not path.steps:
            return body
        codec = _codec(self.content_type, place)
        documents = map(path.select, self._read(body, self.content_type, place))
        filtered = _written(documents, codec, place)
        if len(filtered) > self.rules.max_payload_bytes:  # an index may be named many times
            raise UserError(
                f"{place}: expected at most {self.rules.max_payload_bytes} bytes after the input "
                f"filter; got {len(filtered)}. Filter more, or raise --max-payload-mb."
            )
        return filtered

    def answer(self, body: bytes, answer: bytes, answer_type: str | None, place: str) -> bytes:
        """Return what is written for the records in `body` and the model's answer to them.

        Raises:
            UserError: The answer cannot be read, lacks what the output filter names, or does not
                hold one document for each record of a join.
        """
        answer_type = answer_type or self.accept or self.content_type
        codec = _codec(answer_type, f"{place}: answer")
        documents = self._read(answer, answer_type, f"{place}: answer")
        if self.rules.is_joined:
            documents = self._joined(body, documents, answer_type, place)
        path = compiled("output filter", self.rules.output_filter)
        return _written(map(path.select, documents), codec, place)

    def _joined(
        self, body: bytes, answers: Iterable[Any], answer_type: str, place: str
    ) -> Iterator[Any]:
        check_joined_types(self.content_type, answer_type)
        records = self._read(body, self.content_type, place)
        is_csv = parse(answer_type).name == CSV
        for record, answer in zip_longest(records, answers, fillvalue=MISSING):
            if record is MISSING or answer is MISSING:
                raise UserError(
                    f"{place}: join source Input: expected one answer for each record; got "
                    f"{'fewer' if answer is MISSING else 'more'}. Set batch strategy SingleRecord "
                    "and split type Line, or leave the join out."
                )
            yield record + answer if is_csv else _joined_json(record, answer)

    def _read(self, body: bytes, media_type: str, place: str) -> Iterator[Any]:
        """Yield the documents of a body, one at a time: opened they are many times larger."""
        codec = _codec(media_type, place)
        is_json = parse(media_type).name == JSON
        body = body.removeprefix(BYTE_ORDER_MARK)
        is_one = is_json and (self.rules.split_type == "None" or _is_one(body))
        for line in [body] if is_one else io.BytesIO(body):
            if is_one or line.strip():
                try:
                    yield codec.read(line)
                except (ValueError, RecursionError, csv.Error) as error:
                    raise UserError(
                        f"{place}: expected {media_type}, to filter or join it; {error}."
                    ) from None


@dataclass(frozen=True)
class _Codec:
    read: Callable[[bytes], Any]
    write: Callable[[Any], bytes]


def _codec(media_type: str, place: str) -> _Codec:
    name = parse(media_type).name
    if name not in OPENED_TYPES:
        raise UserError(
            f"{place}: filters and join: expected one of {', '.join(OPENED_TYPES)}; "
            f"got {shown(media_type)}. Leave the filters and the join out."
        )
    return _Codec(_row, _row_bytes) if name == CSV else _Codec(_json, _json_bytes)


def _written(documents: Iterable[Any], codec: _Codec, place: str) -> bytes:
    try:
        return b"\n".join(codec.write(document) for document in documents)
    except RecursionError:
        raise UserError(f"{place}: expected JSON that is less deeply nested; flatten it.") from None


def _joined_json(record: Any, answer: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    """Return a record with its answer; a record's own `SageMakerOutput` is overwritten."""
    if isinstance(record, dict):
        return {**record, OUTPUT_KEY: answer}
    return {INPUT_KEY: record, OUTPUT_KEY: answer}


def _json(text: bytes) -> Any:  # noqa: ANN401
    """Return a JSON value, with every digit of its integers."""
    if LONG_NUMBER not in text.translate(ZEROS_FOR_DIGITS):
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:  # or half of a surrogate pair, which the slow one reads
            pass
    return json.loads(text.decode(), parse_constant=_no_number, parse_float=_finite)


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{shown(text)} is too large a number")
    return number


def _is_one(body: bytes) -> bool:
    """Return whether a body is one JSON value, which may be printed over several lines."""
    try:
        _json(body)
    except (ValueError, RecursionError):
        return False
    return True


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no JSON number")


def _json_bytes(document: Any) -> bytes:  # noqa: ANN401
    try:
        return orjson.dumps(document)
    except orjson.JSONEncodeError:  # a long integer, or half of a surrogate pair
        return json.dumps(document, separators=(",", ":")).encode()


def _row(text: bytes) -> list[str]:
    csv.field_size_limit(LARGEST_PAYLOAD_MB * BYTES_PER_MB)  # the default is 128 KiB
    return next(csv.reader([text.decode()], strict=True))


def _row_bytes(row: Any) -> bytes:  # noqa: ANN401
    sink = io.StringIO()
    csv.writer(sink, lineterminator="").writerow(row if isinstance(row, list) else [row])
    return sink.getvalue().encode()
