"""A trained IP Insights model: artifact in, scores and vectors out. Knows no job.

Shape letters in this file: N = pairs, A = addresses, V = vector_dim.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sm_dl.algorithms.ip_insights import codec
from sm_dl.algorithms.ip_insights.addresses import Addresses
from sm_dl.algorithms.ip_insights.codec import Answer, PairRequest, Vectors
from sm_dl.algorithms.ip_insights.data import is_known, rows_of
from sm_dl.algorithms.ip_insights.hashing import Words
from sm_dl.algorithms.ip_insights.network import IPInsightsNetwork
from sm_dl.content_types import CSV, JSON, JSON_LINES, MediaType

PAIRS_AT_ONCE = 1 << 12
"""What fits the caches of a processor: with 20,000 addresses the same layers take twice as long."""
MAX_WEIGHT = 1 << 16


class IPInsightsPredictor:
    """Scores pairs of an entity and an address. Low scores are suspicious."""

    request_types: tuple[str, ...] = (CSV, JSON, JSON_LINES)
    answer_types: tuple[str, ...] = (JSON, JSON_LINES, codec.VERBOSE_JSON, codec.VERBOSE_JSON_LINES)

    def __init__(self, network: IPInsightsNetwork, entities: Words) -> None:
        """Wrap a trained network; it moves to the GPU when there is one.

        Args:
            network: Trained.
            entities: Hashes of those it was trained on, sorted.
        """
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = network.eval().to(self.device)
        self.entities = entities

    def answer_type_for(self, request_type: str) -> str:
        """Return JSON Lines for JSON Lines, else JSON."""
        return JSON_LINES if request_type == JSON_LINES else JSON

    def decode(self, body: bytes, media: MediaType) -> PairRequest:
        """Return what a body asks for; see `codec.decode`."""
        return codec.decode(body, media)

    def weight(self, request: PairRequest) -> int:
        """Return the pairs of one request."""
        return len(request)

    @property
    def max_weight(self) -> int:
        """Return the pairs that are scored together at most."""
        return MAX_WEIGHT

    def predict(self, requests: Sequence[PairRequest]) -> list[Answer]:
        """Return one answer for each request; a request gets what it would get alone, bit for bit."""
        return [
            Answer(self.scores(one.hash_N, one.address_N), partial(self.vectors, one))
            for one in requests
        ]

    def encode(self, answer: Answer, media_type: str) -> bytes:
        """Return the response body; see `codec.encode`."""
        return codec.encode(answer, media_type)

    @torch.inference_mode()
    def scores(self, hash_N: Words, address_N: Addresses) -> npt.NDArray[np.float32]:
        """Return the inner products of entities and addresses, shape (N,)."""
        scores = np.empty(len(address_N), np.float32)
        for part in _parts(len(address_N)):
            entity_NV, address_NV = self._vectors(hash_N[part], address_N[part])
            scores[part] = (entity_NV * address_NV).sum(1).cpu().numpy()
        return scores

    @torch.inference_mode()
    def vectors(self, request: PairRequest) -> Vectors:
        """Return the vectors whose products the scores are, and which entities are known."""
        parts = [
            self._vectors(request.hash_N[part], request.address_N[part])
            for part in _parts(len(request))
        ]
        entity_NV, address_NV = (torch.cat(one).cpu().numpy() for one in zip(*parts, strict=True))
        return Vectors(entity_NV, address_NV, is_known(request.hash_N, self.entities))

    def _vectors(self, hash_N: Words, address_N: Addresses) -> tuple[Tensor, Tensor]:
        row_N = rows_of(hash_N, self.network.shape.num_entity_vectors)
        distinct_A, place_N = np.unique(address_N, return_inverse=True)
        address_AV = self.network.encoder(self._tensor(distinct_A))
        entity_NV = self.network.entity_vectors(self._tensor(row_N))
        return entity_NV, address_AV.index_select(0, self._tensor(place_N))

    def _tensor(self, numbers: npt.NDArray[np.integer]) -> Tensor:
        return torch.from_numpy(numbers.astype(np.int64)).to(self.device)


def _parts(num_pairs: int) -> list[slice]:
    return [slice(first, first + PAIRS_AT_ONCE) for first in range(0, num_pairs, PAIRS_AT_ONCE)]
