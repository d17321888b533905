"""A trained topic model: documents in, topic weights out. Knows no job."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from sm_dl.algorithms.ntm import codec
from sm_dl.algorithms.ntm.documents import Documents, joined
from sm_dl.algorithms.ntm.network import NTMNetwork
from sm_dl.algorithms.ntm.shelf import bags_of
from sm_dl.content_types import CSV, JSON, MediaType

NUMBERS_AT_ONCE = 1 << 24
"""Entries and units of layers that one `predict` holds: about 64 MiB."""

ROW_STEP = 16
"""Documents are computed in multiples of so many: a matrix product of other numbers of rows takes other
kernels, with other last digits, and a request alone is to be answered as it is beside others."""
ROWS_AT_ONCE = 256
"""With 2,048 rows a product of 1,500 columns is added up in other pieces, too."""


class NTMPredictor:
    """Tells how much of each topic is in a document; without noise, so it answers the same again."""

    request_types: tuple[str, ...] = codec.REQUEST_TYPES
    answer_types: tuple[str, ...] = codec.ANSWER_TYPES
    max_weight = NUMBERS_AT_ONCE

    def __init__(self, network: NTMNetwork) -> None:
        """Wrap a trained network; it moves to the GPU when there is one."""
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = network.eval().to(self.device)

    def answer_type_for(self, request_type: str) -> str:
        """Return the request's own type, and JSON for CSV, which is no type of answers."""
        return JSON if request_type == CSV else request_type

    def decode(self, body: bytes, media: MediaType) -> Documents:
        """Return the documents of a body; see `codec.decode`."""
        return codec.decode(body, media, self.network.shape.num_words)

    def weight(self, request: Documents) -> int:
        """Return the numbers that one request takes."""
        shape = self.network.shape
        return len(request.words) + len(request) * (max(shape.layers) + shape.num_topics)

    @torch.inference_mode()
    def predict(self, requests: Sequence[Documents]) -> list[npt.NDArray[np.float32]]:
        """Return for each request the topic weights of its documents, shape (documents, topics).

        A request gets what it would get alone, bit for bit.
        """
        documents = joined(requests)
        weights_BK = np.empty((len(documents), self.network.shape.num_topics), np.float32)
        for first in range(0, len(documents), ROWS_AT_ONCE):
            rows = np.arange(first, min(first + ROWS_AT_ONCE, len(documents)))
            bags = bags_of(_filled_up(documents.take(rows))).to(self.device)
            weights_BK[rows] = self.network.topic_weights(bags)[: len(rows)].cpu().numpy()
        return np.split(weights_BK, np.cumsum([len(request) for request in requests])[:-1])

    def encode(self, answer: npt.NDArray[np.float32], media_type: str) -> bytes:
        """Return the response body; see `codec.encode`."""
        return codec.encode(answer, media_type)


def _filled_up(documents: Documents) -> Documents:
    """Return the documents and as many without words behind them as make a multiple of `ROW_STEP`."""
    starts = np.pad(documents.starts, (0, -len(documents) % ROW_STEP), mode="edge")
    return Documents(documents.words, documents.counts, starts, documents.num_words)
