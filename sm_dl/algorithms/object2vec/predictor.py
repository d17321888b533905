"""A trained Object2Vec model: artifact in, scores and embeddings out. Knows no job.

Shape letters in this file: R = rows, B = rows at once, C = outputs, D = width of an encoding.
"""

import os
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sm_dl.algorithms.object2vec import codec
from sm_dl.algorithms.object2vec.codec import ObjectAnswer, ObjectRequest, Reader
from sm_dl.algorithms.object2vec.encoders import LENGTH_STEPS, Sequences
from sm_dl.algorithms.object2vec.network import Object2VecNetwork
from sm_dl.algorithms.object2vec.ragged import Indices, Ragged, joined
from sm_dl.algorithms.object2vec.words import Words
from sm_dl.content_types import JSON, JSON_LINES, MediaType
from sm_dl.errors import UserError, shown

MODE_VARIABLE = "INFERENCE_PREFERRED_MODE"
MODES = ("embedding", "classification")
TOKENS_AT_ONCE = 1 << 12
ROW_STEP = 16
"""Rows are computed in multiples of so many: a matrix product of other numbers of rows takes other
kernels, with other last digits, and a request alone is to be answered as it is beside others."""
MAX_WEIGHT = 1 << 16

Vectors = npt.NDArray[np.float32]


class Object2VecPredictor:
    """Scores pairs of objects, and embeds single ones."""

    request_types: tuple[str, ...] = (JSON, JSON_LINES)
    answer_types: tuple[str, ...] = (JSON, JSON_LINES)
    max_weight = MAX_WEIGHT

    def __init__(
        self,
        network: Object2VecNetwork,
        words: tuple[Words | None, Words | None] = (None, None),
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """Wrap a trained network; it moves to the GPU when there is one.

        Args:
            network: Trained.
            words: Vocabularies of both sides, where requests may bring words.
            environment: With INFERENCE_PREFERRED_MODE=embedding only the encoders go to the GPU.
        Raises:
            UserError: INFERENCE_PREFERRED_MODE is no mode.
        """
        mode = environment.get(MODE_VARIABLE, "").strip()
        if mode and mode not in MODES:
            raise UserError(
                f"environment variable {MODE_VARIABLE}: expected {' or '.join(MODES)}; got {shown(mode)}."
            )
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = network.eval().to(self.device)
        self.head_device = torch.device("cpu") if mode == "embedding" else self.device
        self.network.mlp.to(self.head_device)
        self.network.output.to(self.head_device)
        self.words = words
        self._reader = Reader(network.shape.sides, words)

    def answer_type_for(self, request_type: str) -> str:
        """Return the request's own type."""
        return request_type

    def decode(self, body: bytes, media: MediaType) -> ObjectRequest:
        """Return what a body asks for; see `codec.Reader.decode`."""
        return self._reader.decode(body, media)

    def weight(self, request: ObjectRequest) -> int:
        """Return the tokens of one request."""
        return sum(len(rows.tokens_N) for rows in request.sequences)

    def predict(self, requests: Sequence[ObjectRequest]) -> list[ObjectAnswer]:
        """Return one answer for each request; those that ask for the same are computed together."""
        answers: dict[int, ObjectAnswer] = {}
        for fields in {request.fields for request in requests}:
            chosen = {
                index: request for index, request in enumerate(requests) if request.fields == fields
            }
            sides = [
                joined([request.sequences[number] for request in chosen.values()])
                for number in range(len(fields))
            ]
            is_pair = len(sides) == 2
            rows = self.scores(*sides) if is_pair else self.embeddings(int(fields[0][-1]), *sides)
            first = 0
            for index, request in chosen.items():
                part = rows[first : first + len(request)]
                answers[index] = ObjectAnswer("scores" if is_pair else "embeddings", part)
                first += len(request)
        return [answers[index] for index in range(len(requests))]

    def encode(self, answer: ObjectAnswer, media_type: str) -> bytes:
        """Return the response body; see `codec.encode`."""
        return codec.encode(answer, media_type)

    @torch.inference_mode()
    def embeddings(self, number: int, rows: Ragged) -> Vectors:
        """Return what encoder 0 or 1 makes of sequences, shape (R, D)."""
        side = self.network.shape.sides[number]
        result = np.empty((len(rows), side.dim), np.float32)
        for chosen in _portions(rows.lengths, LENGTH_STEPS[side.network]):
            encoding_BD = self.network.encode(number, self._sequences(rows.take(chosen)))
            result[chosen] = encoding_BD.cpu().numpy()
        return result

    @torch.inference_mode()
    def scores(self, in0: Ragged, in1: Ragged) -> Vectors:
        """Return class probabilities of pairs, or their one score, shape (R, C)."""
        encodings = (self.embeddings(0, in0), self.embeddings(1, in1))
        result = np.empty((len(in0), self.network.shape.num_outputs), np.float32)
        for chosen in _portions(np.ones(len(in0), np.int64), 1):
            one_BD, two_BD = (
                torch.from_numpy(encoding[chosen]).to(self.head_device) for encoding in encodings
            )
            outputs_BC = self.network.compare(one_BD, two_BD)
            result[chosen] = _probabilities(outputs_BC).cpu().numpy()
        return result

    def _sequences(self, rows: Ragged) -> Sequences:
        tokens_N = torch.from_numpy(rows.tokens_N.astype(np.int64))
        return Sequences(tokens_N, torch.from_numpy(rows.lengths)).to(self.device)


def _probabilities(outputs_BC: Tensor) -> Tensor:
    return outputs_BC if outputs_BC.shape[1] == 1 else outputs_BC.softmax(dim=1)


def _portions(lengths: Indices, length_step: int) -> list[Indices]:
    """Return the rows of each sweep: of like lengths, and their number a multiple of `ROW_STEP`.

    The first row of a sweep is repeated to fill it up.
    """
    order = np.argsort(lengths, kind="stable")
    group = -(-lengths[order] // length_step)
    portions = []
    bounds = [0, *(np.flatnonzero(np.diff(group)) + 1).tolist(), len(order)]
    for first, stop in pairwise(bounds):
        longest = int(lengths[order[stop - 1]]) if stop > first else 1
        at_once = max(TOKENS_AT_ONCE // longest // ROW_STEP, 1) * ROW_STEP
        for begin in range(first, stop, at_once):
            chosen = order[begin : min(begin + at_once, stop)]
            missing = -len(chosen) % ROW_STEP
            portions.append(np.concatenate([chosen, np.repeat(chosen[:1], missing)]))
    return portions
