"""Requests and responses of an Object2Vec endpoint (spec section 6): JSON and JSON Lines.

What is asked follows from the fields: `in0` and `in1` ask for scores, one alone for its embedding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import orjson

from sm_dl.algorithms.object2vec.ragged import Ragged
from sm_dl.algorithms.object2vec.records import check_sequence
from sm_dl.algorithms.object2vec.sides import Side
from sm_dl.algorithms.object2vec.words import Words
from sm_dl.content_types import JSON_LINES, MediaType
from sm_dl.data.jsonlines import object_from_line
from sm_dl.errors import UserError, shown

LENGTHS_PARAMETER = "infer_max_seqlens"
MAX_LENGTH = 5000
EXAMPLE = (
    '{"instances": [{"in0": [6, 17], "in1": [16, 21]}]}, or in0 or in1 alone for its embedding'
)

Asked = tuple[Literal["in0", "in1"], ...]


@dataclass(frozen=True)
class ObjectRequest:
    """What one body asks for."""

    fields: Asked
    """Both: scores of pairs; one: embeddings."""
    sequences: tuple[Ragged, ...]
    """Of each field, cut to the longest input."""

    def __len__(self) -> int:
        return len(self.sequences[0])


@dataclass(frozen=True)
class ObjectAnswer:
    """Scores or embeddings, a row each."""

    key: Literal["scores", "embeddings"]
    rows: npt.NDArray[np.float32]


class Reader:
    """Decodes the bodies of one model's requests."""

    def __init__(self, sides: tuple[Side, Side], words: tuple[Words | None, Words | None]) -> None:
        """Remember what both encoders read."""
        self.sides = dict(zip(("in0", "in1"), sides, strict=True))
        self.words = dict(zip(("in0", "in1"), words, strict=True))

    def decode(self, body: bytes, media: MediaType) -> ObjectRequest:
        """Return what a body asks for.

        Args:
            body: `{"instances": [...]}`, or one instance a line.
            media: Its type, perhaps with `infer_max_seqlens=<encoder 0>,<encoder 1>`.
        Raises:
            UserError: The body or an instance is not what it should be.
        """
        lengths = dict(zip(("in0", "in1"), self._lengths(media), strict=True))
        places, records = _records(body, media)
        fields = _asked(places[0], records[0])
        for place, record in zip(places, records, strict=True):
            if _asked(place, record) != fields:
                raise UserError(
                    f"{place}: expected {' and '.join(fields)} as in {places[0]}; got {shown(record)}. "
                    "Ask for scores and embeddings in requests of their own."
                )
        sequences = tuple(
            self._sequences(field, places, [record[field] for record in records]).cut(
                lengths[field]
            )[0]
            for field in fields
        )
        return ObjectRequest(fields, sequences)

    def _lengths(self, media: MediaType) -> tuple[int, int]:
        text = media.parameters.get(LENGTHS_PARAMETER)
        if text is None:
            return (self.sides["in0"].max_seq_len, self.sides["in1"].max_seq_len)
        parts = [part.strip() for part in text.split(",")]
        if len(parts) == 2 and all(
            part.isascii() and part.isdigit() and 1 <= int(part) <= MAX_LENGTH for part in parts
        ):
            return int(parts[0]), int(parts[1])
        raise UserError(
            f"Content-Type: {LENGTHS_PARAMETER}: expected two integers from 1 to {MAX_LENGTH} separated by a "
            f"comma, the longest inputs of encoders 0 and 1; got {shown(text)}."
        )

    def _sequences(self, field: str, places: Sequence[str], values: list[Any]) -> Ragged:
        side, words = self.sides[field], self.words[field]
        if words is not None:
            values = [
                value if _is_ids(value) else words.tokens(value, f"{place}: {field}")
                for place, value in zip(places, values, strict=True)
            ]
        try:
            rows = Ragged.of(values)
            is_good = rows.lengths.all() and rows.tokens_N.min(initial=0) >= 0
            if is_good and rows.tokens_N.max(initial=0) < side.vocab_size:
                return rows
        except (TypeError, ValueError, OverflowError):
            pass
        for place, value in zip(places, values, strict=True):
            check_sequence(value, place, side)
        raise UserError(f"{field}: expected lists of token ids.")


def _is_ids(value: object) -> bool:
    return isinstance(value, list) and set(map(type, value)) == {int}


def _records(body: bytes, media: MediaType) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the places and the instances of a body, at least one."""
    if media.name == JSON_LINES:
        lines = [(number, line) for number, line in enumerate(body.split(b"\n"), 1) if line.strip()]
        if not lines:
            raise UserError("request body: expected one instance a line; got only blank lines.")
        places = [f"line {number}" for number, _ in lines]
        return places, [
            object_from_line(line, place) for place, (_, line) in zip(places, lines, strict=True)
        ]
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UserError(
            f"request body: expected JSON, {EXAMPLE}; {error.msg} (character {error.pos})."
        ) from None
    instances = document.get("instances") if isinstance(document, dict) else None
    if not isinstance(instances, list) or not instances:
        raise UserError(f"request body: expected {EXAMPLE}; got {shown(document)}.")
    places = [f"instances[{index}]" for index in range(len(instances))]
    return places, instances


def _asked(place: str, record: object) -> Asked:
    """Return the fields an instance brings; others, such as `label`, are ignored."""
    if isinstance(record, dict):
        fields: list[Literal["in0", "in1"]] = []
        if record.get("in0") is not None:
            fields.append("in0")
        if record.get("in1") is not None:
            fields.append("in1")
        if fields:
            return tuple(fields)
    raise UserError(f"{place}: expected an object with in0, in1 or both; got {shown(record)}.")


def encode(answer: ObjectAnswer, media_type: str) -> bytes:
    """Return the response body: `{"predictions": [...]}`, or one prediction a line."""
    predictions = [{answer.key: row} for row in answer.rows]
    if media_type == JSON_LINES:
        return b"".join(
            orjson.dumps(one, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)
            for one in predictions
        )
    return orjson.dumps({"predictions": predictions}, option=orjson.OPT_SERIALIZE_NUMPY)
