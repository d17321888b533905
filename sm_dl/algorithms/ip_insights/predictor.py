"""A trained IP Insights model: artifact in, scores and vectors out. Knows no job.

Shape letters in this file: N = pairs, A = addresses, V = vector_dim.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sm_dl.algorithms.ip_insights import codec
from sm_dl.algorithms.ip_insights.addresses import Addresses
from sm_dl.algorithms.ip_insights.codec import Answer, PairRequest, Vectors
from sm_dl.algorithms.ip_insights.data import is_known, rows_of
from sm_dl.algorithms.ip_insights.folded import FoldedNetwork
from sm_dl.algorithms.ip_insights.hashing import Words
from sm_dl.algorithms.ip_insights.network import IPInsightsNetwork
from sm_dl.content_types import CSV, JSON, JSON_LINES, MediaType
from sm_dl.engine import denormals

PAIRS_AT_ONCE = 1 << 12
"""What fits the caches of a processor: with 20,000 addresses the same layers take twice as long."""
BLOCK = MAX_WEIGHT = 1 << 16
"""Pairs that are scored together: what vectors of their addresses take is bounded."""


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
        """Return JSON Lines for JSON Lines, else JSON.

        Differs from the service, whose answers are JSON unless a client accepts something else: the
        answers to lines are put together again by line, and our other text endpoints do the same.
        """
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
    @denormals.taken_for_zero()
    def scores(self, hash_N: Words, address_N: Addresses) -> npt.NDArray[np.float32]:
        """Return the inner products of entities and addresses, shape (N,).

        Nearly all of the work is done beforehand where the tables for it are small; the products
        then differ from those of `vectors` by rounding, some millionths.
        """
        scores = np.empty(len(address_N), np.float32)
        folded = self._folded
        if folded is None:
            for part, row_N, address_NV in self._encoded(hash_N, address_N, self.network.encoder):
                entity_NV = self.network.entity_vectors(row_N)
                scores[part] = (entity_NV * address_NV).sum(1).cpu().numpy()
            return scores
        for part, row_N, hidden_NV in self._encoded(hash_N, address_N, folded.hidden):
            scores[part] = folded.scores(row_N, hidden_NV).cpu().numpy()
        return scores

    @cached_property
    def _folded(self) -> FoldedNetwork | None:
        """The tables; made with the first scores, since a model is also built to be written."""
        return FoldedNetwork(self.network) if FoldedNetwork.fits(self.network) else None

    @torch.inference_mode()
    @denormals.taken_for_zero()
    def vectors(self, request: PairRequest) -> Vectors:
        """Return the vectors whose products the scores are, and which entities are known."""
        parts = [
            (self.network.entity_vectors(row_N), address_NV)
            for _, row_N, address_NV in self._encoded(
                request.hash_N, request.address_N, self.network.encoder
            )
        ]
        entity_NV, address_NV = (torch.cat(one).cpu().numpy() for one in zip(*parts, strict=True))
        return Vectors(entity_NV, address_NV, is_known(request.hash_N, self.entities))

    def _encoded(
        self, hash_N: Words, address_N: Addresses, encode: Callable[[Tensor], Tensor]
    ) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Yield some pairs at a time: their place, the rows of their entities, what their addresses give.

        Equal addresses of a block are encoded once.
        """
        row_N = self._tensor(rows_of(hash_N, self.network.shape.num_entity_vectors))
        for block in _parts(0, len(address_N), BLOCK):
            distinct_A, place_N = np.unique(address_N[block], return_inverse=True)
            address_A, places = self._tensor(distinct_A), self._tensor(place_N)
            address_AV = torch.cat([encode(part) for part in torch.split(address_A, PAIRS_AT_ONCE)])
            for part in _parts(block.start, block.stop, PAIRS_AT_ONCE):
                here = places[part.start - block.start : part.stop - block.start]
                yield part, row_N[part], address_AV.index_select(0, here)

    def _tensor(self, numbers: npt.NDArray[np.integer]) -> Tensor:
        return torch.from_numpy(numbers.astype(np.int64)).to(self.device)


def _parts(first: int, stop: int, length: int) -> list[slice]:
    return [slice(one, min(one + length, stop)) for one in range(first, stop, length)]
