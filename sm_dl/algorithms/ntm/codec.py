"""Requests and responses of a topic model's endpoint (spec section 6): CSV, JSON, JSON Lines, protobuf."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt
import orjson

from sm_dl.algorithms.ntm.data import entries_of_csv
from sm_dl.algorithms.ntm.documents import Documents, joined
from sm_dl.algorithms.ntm.entries import TENSOR, Entries, checked, entries_of_records
from sm_dl.content_types import CSV, JSON, JSON_LINES, RECORDIO_PROTOBUF, MediaType
from sm_dl.data.bad_records import BadRecords
from sm_dl.data.compression import GZIP_MAGIC
from sm_dl.data.csv_table import label_size_of
from sm_dl.data.jsonlines import object_from_line
from sm_dl.data.protobuf.read import read_batches
from sm_dl.data.protobuf.write import Tensor, record_bytes
from sm_dl.data.recordio import framed
from sm_dl.data.width import Width
from sm_dl.errors import UserError, shown

Weights = npt.NDArray[np.float32]
BODY = "request body"
ANSWER = "topic_weights"


@dataclass(frozen=True)
class Body:
    """A request's bytes as a stream that readers of files take."""

    content: bytes
    media_type: str
    name: str = BODY

    def open(self) -> BinaryIO:
        """Return the bytes."""
        return cast("BinaryIO", io.BytesIO(self.content))


def decode(body: bytes, media: MediaType, num_words: int) -> Documents:
    """Return the documents of a request; one without words is answered as well.

    Args:
        body: In one of the four types.
        media: Which one, and for CSV perhaps `label_size`.
        num_words: Size of the vocabulary.
    Raises:
        UserError: The body or a document is not what it should be.
    """
    refusing = BadRecords()
    parts = [checked(entries, num_words, refusing) for entries in _read(body, media, num_words)]
    if not parts:
        raise UserError(f"{BODY}: expected at least one document; got none.")
    return joined(parts)


def _read(body: bytes, media: MediaType, num_words: int) -> Iterator[Entries]:
    if media.name == CSV:
        if body.startswith(GZIP_MAGIC):  # it may unpack to any size
            raise UserError(f"{BODY}: expected CSV; got gzip. Send it unpacked.")
        label_size = label_size_of(f"{CSV};label_size={media.parameters.get('label_size', '0')}")
        yield from entries_of_csv(Body(body, CSV), _width(num_words), label_size)
    elif media.name == RECORDIO_PROTOBUF:
        wanted = {TENSOR: _width(num_words)}
        for batch in read_batches(io.BytesIO(body), BODY, wanted=wanted):
            yield entries_of_records(batch)
    elif media.name == JSON_LINES:
        lines = [(number, line) for number, line in enumerate(body.split(b"\n"), 1) if line.strip()]
        found = [
            (f"line {number}", object_from_line(line, f"line {number}")) for number, line in lines
        ]
        if found:
            yield _entries(found, num_words)
    else:
        instances = object_from_line(body, BODY).get("instances")
        if not isinstance(instances, list) or not instances:
            raise UserError(f"instances: expected a list of documents; got {shown(instances)}.")
        named = [(f"instances[{index}]", instance) for index, instance in enumerate(instances)]
        yield _entries(named, num_words)


def _width(num_words: int) -> Width:
    """Return what a request's documents are measured by."""
    return Width(
        num_words,
        ", one for each word of the model's vocabulary",
        " Send documents over the vocabulary that the model was trained with.",
    )


def _entries(instances: Sequence[tuple[str, object]], num_words: int) -> Entries:
    words, counts = zip(
        *(_instance(instance, place, num_words) for place, instance in instances), strict=True
    )
    return Entries(
        np.concatenate(words),
        np.concatenate(counts),
        np.array([len(some) for some in words]),
        lambda row: instances[row][0],
    )


def _instance(
    instance: object, place: str, num_words: int
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return words and counts of a document, in any of the three spellings.

    A sparse one without words has no keys, or none and no values: its shape alone says that it is one.
    """
    match instance:
        case {"features": list(values)}:
            return _dense(values, place, num_words)
        case {"data": {"features": dict(tensor)}}:
            given = (tensor.get("keys"), tensor.get("values"))
            keys, values = ([] if one is None else one for one in given)
            if isinstance(keys, list) and isinstance(values, list):
                if values and not keys:
                    return _dense(values, place, num_words)
                if "shape" in tensor:
                    return _sparse(keys, values, tensor["shape"], place, num_words)
    raise UserError(
        f"{place}: expected features as a list of counts, or data.features with values, and for a sparse "
        f"document keys and shape; got {shown(instance)}."
    )


def _dense(
    values: list[Any], place: str, num_words: int
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    counts = _numbers(values, f"{place}: values")
    if len(counts) != num_words:
        raise UserError(
            f"{place}: expected {num_words} values, one for each word of the model's vocabulary; "
            f"got {len(counts)}."
        )
    words = np.flatnonzero(counts)
    return words, counts[words]


def _sparse(
    keys: list[Any], values: list[Any], shape: object, place: str, num_words: int
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    if shape not in ([num_words], num_words):
        raise UserError(
            f"{place}: shape: expected [{num_words}], the size of the model's vocabulary; got {shown(shape)}."
        )
    counts = _numbers(values, f"{place}: values")
    words = _numbers(keys, f"{place}: keys")
    if len(words) != len(counts):
        raise UserError(
            f"{place}: expected a key for each value; got {len(words)} keys and {len(counts)} values."
        )
    wrong = np.flatnonzero(~((words >= 0) & (words < num_words) & (words == np.floor(words))))
    if len(wrong):
        raise UserError(
            f"{place}: keys: expected whole numbers from 0 to {num_words - 1}; got {words[wrong[0]]:g}."
        )
    return words.astype(np.int64), counts


def _numbers(values: list[Any], place: str) -> npt.NDArray[np.float64]:
    try:
        array = np.asarray(values or [0.0][:0])
    except ValueError:  # lists of different lengths
        array = np.empty(0, dtype=object)
    if (
        array.ndim != 1
        or array.dtype.kind not in "iuf"
        or any(v is True or v is False for v in values)
    ):
        raise UserError(f"{place}: expected a list of numbers; got {shown(values)}.")
    return array.astype(np.float64)


def encode(weights_BK: Weights, media_type: str) -> bytes:
    """Return the response body: one vector of topic weights for each document."""
    if media_type == RECORDIO_PROTOBUF:
        return b"".join(
            framed(record_bytes({}, {ANSWER: Tensor(row)}), cuts=False) for row in weights_BK
        )
    predictions = [{ANSWER: row} for row in weights_BK]
    if media_type == JSON_LINES:
        return b"".join(_json(prediction) + b"\n" for prediction in predictions)
    return _json({"predictions": predictions})


def _json(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


REQUEST_TYPES = (CSV, JSON, JSON_LINES, RECORDIO_PROTOBUF)
ANSWER_TYPES = (JSON, JSON_LINES, RECORDIO_PROTOBUF)
