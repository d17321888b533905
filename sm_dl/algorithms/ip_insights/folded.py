"""A trained network with its sums made beforehand: the same scores, up to rounding, for less work.

The first layer is a sum over prefixes and bits of an address. What the first 16 bits bring to it, five
prefixes and a bias, is a row of a table for each /16; three prefixes and 16 bits are left to be
multiplied. And as a score is e (W h + b) = (e W) h + e b, the last layer is taken to the entities, of
which there are as many as the table has, however many pairs are scored.

Shape letters in this file: A = addresses, N = pairs, E = rows of the table of entities, V = vector_dim,
D = width of a prefix embedding, S = 2^16 networks.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from sm_dl.algorithms.ip_insights.network import (
    ADDRESS_BITS,
    EXACT_BITS,
    EXACT_PREFIXES,
    PREFIX_BITS,
    IPInsightsNetwork,
    address_signs,
    prefix_rows,
)

MAX_NUMBERS = 1 << 24
"""Of a table that is made beforehand, 64 MiB; a network that needs a larger one is not folded."""
NETWORKS_AT_ONCE = 1 << 12
ENCODED_HERE = ADDRESS_BITS - EXACT_BITS


class FoldedNetwork:
    """What pairs are scored with; a snapshot of the weights."""

    def __init__(self, network: IPInsightsNetwork) -> None:
        """Make the tables, within 50 ms for most networks; needs one hidden layer or more."""
        first, *self._others, last = network.encoder.layers
        assert isinstance(first, nn.Linear)  # noqa: S101 - for the type checker
        assert isinstance(last, nn.Linear)  # noqa: S101 - for the type checker
        self._prefixes = network.encoder.prefixes
        width = network.shape.prefix_width
        exact, hashed = len(EXACT_PREFIXES) * width, len(PREFIX_BITS) * width
        self._by_exact, self._by_hashed, by_bits = torch.split(
            first.weight, [exact, hashed - exact, ADDRESS_BITS], dim=1
        )
        self._by_first_bits, by_last_bits = torch.split(by_bits, [EXACT_BITS, ENCODED_HERE], dim=1)
        self._by_last_bits = by_last_bits.T.contiguous()
        self._by_hashed = self._by_hashed.T.contiguous()
        every = torch.arange(1 << EXACT_BITS, device=self._prefixes.device)
        self._network_SV = torch.cat(
            [self._sums(part, first.bias) for part in torch.split(every, NETWORKS_AT_ONCE)]
        )
        self._entity_EV = network.entities @ last.weight
        self._added_E = network.entities @ last.bias

    @staticmethod
    def fits(network: IPInsightsNetwork) -> bool:
        """Return whether a network has layers to fold, and its tables stay small."""
        shape = network.shape
        rows = max(1 << EXACT_BITS, shape.num_entity_vectors)
        return shape.num_layers > 0 and rows * shape.vector_dim <= MAX_NUMBERS

    def _sums(self, network_S: Tensor, bias_V: Tensor) -> Tensor:
        """Return what the first layer makes of the first 16 bits alone, shape (S, V)."""
        address_S = network_S << ENCODED_HERE
        rows = prefix_rows(address_S)[:, : len(EXACT_PREFIXES)]
        features = functional.embedding(rows, self._prefixes).flatten(1)
        signs = address_signs(address_S)[:, :EXACT_BITS]
        sums_SV: Tensor = features @ self._by_exact.T + signs @ self._by_first_bits.T + bias_V
        return sums_SV

    def hidden(self, address_A: Tensor) -> Tensor:
        """Return what the last layer would get, shape (A, V)."""
        hidden_AV = self._network_SV.index_select(0, address_A >> ENCODED_HERE)
        rows = prefix_rows(address_A)[:, len(EXACT_PREFIXES) :]
        features = functional.embedding(rows, self._prefixes).flatten(1)
        hidden_AV.addmm_(features, self._by_hashed)
        hidden_AV.addmm_(address_signs(address_A)[:, EXACT_BITS:], self._by_last_bits)
        for layer in self._others:
            hidden_AV = layer(hidden_AV)
        return hidden_AV

    def scores(self, row_N: Tensor, hidden_NV: Tensor) -> Tensor:
        """Return the scores, shape (N,), of entities in some rows with what `hidden` returned."""
        products_NV = self._entity_EV.index_select(0, row_N).mul_(hidden_NV)
        return products_NV.sum(1).add_(self._added_E.index_select(0, row_N))
