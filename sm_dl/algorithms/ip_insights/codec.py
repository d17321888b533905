"""Requests and responses of an IP Insights endpoint (spec section 6): CSV, JSON, JSON Lines.

No Python runs for a pair where all is well: pairs are taken apart by whole columns, and an answer is
one array written as JSON, whose commas become what stands between two numbers.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import orjson

from sm_dl.algorithms.ip_insights.addresses import Addresses
from sm_dl.algorithms.ip_insights.data import BLANKS, PairReader, numbers_of, refusal
from sm_dl.algorithms.ip_insights.hashing import Words
from sm_dl.algorithms.ip_insights.instances import features_of
from sm_dl.content_types import CSV, JSON, JSON_LINES, MediaType, parse
from sm_dl.data.columns import arrow
from sm_dl.data.compression import GZIP_MAGIC
from sm_dl.data.jsonlines import object_from_line
from sm_dl.errors import UserError, shown

VERBOSE_JSON, VERBOSE_JSON_LINES = f"{JSON};verbose=true", f"{JSON_LINES};verbose=true"
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class PairRequest:
    """The pairs of one request body."""

    hash_N: Words
    """Of the entities' names."""
    address_N: Addresses

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.address_N)


@dataclass(frozen=True)
class Vectors:
    """What a verbose answer has beyond scores."""

    entity_NV: Floats
    address_NV: Floats
    is_known_N: npt.NDArray[np.bool_]
    """Whether training saw the entity. The score of another one means nothing."""


@dataclass(frozen=True)
class Answer:
    """The scores of one request, and its vectors for a client who wants them."""

    score_N: Floats
    vectors: Callable[[], Vectors]


@dataclass(frozen=True)
class _Body:
    """A request body as a stream of the name `request`."""

    content: bytes
    name: str = "request"
    media_type: str = CSV

    def open(self) -> BinaryIO:
        return io.BytesIO(self.content)


def decode(body: bytes, media: MediaType) -> PairRequest:
    """Return the pairs that a request body holds.

    Args:
        body: CSV as in training, `{"instances": [...]}`, or one instance a line.
        media: Of the body.
    Raises:
        UserError: The body, or one of its pairs, is not what it should be.
    """
    if media.name == CSV:
        return _from_csv(body)
    is_lines = media.name == JSON_LINES
    columns = features_of(body, is_lines=is_lines)
    if columns is not None:
        hash_N, address_N, is_good_N, _ = numbers_of(*columns)
        if is_good_N.all():
            return PairRequest(hash_N, address_N)
    return _from_instances(_lines(body) if is_lines else _instances(body))


def _from_csv(body: bytes) -> PairRequest:
    if body.startswith(GZIP_MAGIC):
        raise UserError("request body: expected CSV; got gzip. Send it unpacked.")
    parts = list(PairReader().read(_Body(body)))
    if not parts:
        raise UserError("request body: expected a line such as user_1,192.0.2.1; got none.")
    return PairRequest(
        np.concatenate([part.hash_N for part in parts]),
        np.concatenate([part.address_N for part in parts]),
    )


def _instances(body: bytes) -> list[tuple[str, object]]:
    given = object_from_line(body, "request body").get("instances")
    if not isinstance(given, list) or not given:
        raise UserError(f"instances: expected a list of instances; got {shown(given)}.")
    return [(f"instances[{index}]", instance) for index, instance in enumerate(given)]


def _lines(body: bytes) -> list[tuple[str, object]]:
    numbered = [(number, line) for number, line in enumerate(body.split(b"\n"), 1) if line.strip()]
    if not numbered:
        raise UserError("request body: expected one instance a line; got only blank lines.")
    return [
        (f"line {number}", object_from_line(line, f"line {number}")) for number, line in numbered
    ]


def _from_instances(instances: Sequence[tuple[str, object]]) -> PairRequest:
    """Return the pairs of parsed JSON, one by one: slow, and every refusal says where."""
    texts = [_texts(place, instance) for place, instance in instances]
    array = arrow("", "reading pairs").array
    columns = [array(column, "string") for column in zip(*texts, strict=True)]
    hash_N, address_N, is_good_N, _ = numbers_of(*columns)
    if not is_good_N.all():
        row = int(np.argmin(is_good_N))
        raise refusal(instances[row][0], *(text.strip(BLANKS) for text in texts[row]))
    return PairRequest(hash_N, address_N)


def _texts(place: str, instance: object) -> tuple[str, str]:
    match instance:
        case {"features": [str(entity), str(address)]} | {
            "data": {"features": {"values": [str(entity), str(address)]}}
        }:
            return entity, address
    raise UserError(
        f'{place}: expected {{"features": ["user_1", "192.0.2.1"]}}, two texts; got {shown(instance)}.'
    )


def encode(answer: Answer, media_type: str) -> bytes:
    """Return the response body: `{"predictions": [...]}`, or one prediction a line."""
    media = parse(media_type)
    between = b"}\n{" if media.name == JSON_LINES else b"},{"
    if "verbose" in media.parameters:
        fields = _verbose(answer)
        template = b",".join(b'"%b":%%b' % name.encode() for name in fields)
        predictions = between.join(map(template.__mod__, zip(*fields.values(), strict=True)))
    else:
        name = b'"dot_product":'
        predictions = name + _json(answer.score_N)[1:-1].replace(b",", between + name)
    if media.name == JSON_LINES:
        return b"{" + predictions + b"}\n"
    return b'{"predictions":[{' + predictions + b"}]}"


def _verbose(answer: Answer) -> dict[str, list[bytes]]:
    """Return the JSON of each value of each prediction, by name.

    Beyond the service's three come `anomaly_score`, which is high where a pair is suspicious,
    `probability`, and `entity_known`: the score of an entity that training never saw means nothing.
    """
    vectors = answer.vectors()
    with np.errstate(over="ignore"):  # a very low score has probability 0
        probability_N = 1 / (1 + np.exp(-answer.score_N))
    return {
        "dot_product": _values(answer.score_N),
        "entity_embedding": _lists(vectors.entity_NV),
        "ip_embedding": _lists(vectors.address_NV),
        "anomaly_score": _values(-answer.score_N),
        "probability": _values(probability_N),
        "entity_known": _values(vectors.is_known_N),
    }


def _values(array_N: npt.NDArray[Any]) -> list[bytes]:
    return _json(array_N)[1:-1].split(b",")


def _lists(array_NV: Floats) -> list[bytes]:
    return [b"[%b]" % row for row in _json(array_NV)[2:-2].split(b"],[")]


def _json(array: npt.NDArray[Any]) -> bytes:
    return orjson.dumps(np.ascontiguousarray(array), option=orjson.OPT_SERIALIZE_NUMPY)
