"""The network of IP Insights: a vector for each entity, an encoder of addresses, their inner product.

The service publishes the outline (AWS developer guide, "How IP Insights Works"): hashed entities, an
encoder that represents every address and uses its prefixes, fully connected layers. Its inside is
ours, and has a version, `ENCODER_VERSION`, that artifacts carry:

1. One embedding for each prefix of an address, `PREFIX_BITS` long. Addresses of one network share
   those of their common prefixes, so what one of them has learnt the others know. Prefixes up to
   `EXACT_BITS` have rows of their own; the longer ones share `2 ** HASHED_BITS` rows by a hash.
2. The 32 bits themselves, as -1 and +1: no two addresses look the same.
3. `num_layers` fully connected layers with ReLU, then a linear one.

Prefix embeddings start large and entities small: at first all scores are near 0 (cross entropy
ln 2), and an entity's vector grows into the sum of what its addresses look like. That way the
network starts from "how long a prefix is shared", and learns what is better.

Shape letters in this file: B = observed pairs, R and S = random and shuffled negatives of each,
A = addresses, P = prefixes of an address, V = vector_dim, D = width of a prefix embedding.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from sm_dl.nn.mixed import linear, product_type

ENCODER_VERSION = 1
PREFIX_BITS = (6, 8, 11, 14, 16, 20, 24, 32)
EXACT_BITS, HASHED_BITS = 16, 20
ADDRESS_BITS = 32
WIDEST_PREFIX = 32
ENTITY_DEVIATION, PREFIX_DEVIATION = 0.01, 1.0
FIBONACCI = 0x9E3779B97F4A7C15 - 2**64
"""2^64 / golden ratio as a signed word: multiplying by it spreads neighbours (Knuth, volume 3, 6.4)."""


class PairBatch(NamedTuple):
    """One process's part of a batch: observed pairs, and what negatives are made of."""

    row_B: Tensor
    """Of each entity in the table."""
    address_A: Tensor
    """The distinct observed addresses, as integers."""
    place_B: Tensor
    """Where among them the address of each pair is."""
    partner_BS: Tensor
    """Whose address each shuffled negative has."""
    random_BR: Tensor
    """The addresses of the random negatives."""

    def to(self, device: torch.device) -> "PairBatch":
        """Return the batch on a device."""
        return PairBatch(*(part.to(device, non_blocking=True) for part in self))


@dataclass(frozen=True)
class NetworkShape:
    """What the weights' shapes follow from."""

    num_entity_vectors: int
    vector_dim: int
    num_layers: int

    @property
    def prefix_width(self) -> int:
        """Return D."""
        return min(self.vector_dim, WIDEST_PREFIX)


EXACT_PREFIXES = tuple(bits for bits in PREFIX_BITS if bits <= EXACT_BITS)
NUM_EXACT_ROWS = sum(1 << bits for bits in EXACT_PREFIXES)
NUM_PREFIX_ROWS = NUM_EXACT_ROWS + (1 << HASHED_BITS)


@lru_cache
def _shifts_and_starts(device: torch.device) -> tuple[Tensor, Tensor]:
    """Return by how much an address is shifted for each prefix, and where the rows of each begin."""
    shifts = [ADDRESS_BITS - bits for bits in PREFIX_BITS]
    starts = [
        sum(1 << bits for bits in EXACT_PREFIXES[:number]) for number in range(len(PREFIX_BITS))
    ]
    return torch.tensor(shifts, device=device), torch.tensor(starts, device=device)


def prefix_rows(address_A: Tensor) -> Tensor:
    """Return which rows of one table the prefixes of addresses have, shape (A, P).

    Exact prefixes stand one behind the other, and the hashed ones behind them.
    """
    shift_P, start_P = _shifts_and_starts(address_A.device)
    prefix_AP = address_A.unsqueeze(1) >> shift_P
    hashed = prefix_AP[:, len(EXACT_PREFIXES) :]
    # the length goes in too: 10.0.0.0/20 is another network than 10.0.0.0/24
    hashed += shift_P[len(EXACT_PREFIXES) :] << ADDRESS_BITS
    hashed *= FIBONACCI
    hashed >>= 64 - HASHED_BITS
    hashed &= (1 << HASHED_BITS) - 1
    return prefix_AP.add_(start_P)


@lru_cache
def _octet_tables(device: torch.device) -> tuple[Tensor, Tensor]:
    """Return by how much an address is shifted for each octet, and each octet's bits as -1 and +1."""
    bits = torch.arange(256, device=device).unsqueeze(1) >> torch.arange(7, -1, -1, device=device)
    return torch.tensor([24, 16, 8, 0], device=device), (bits & 1).float() * 2 - 1


def address_signs(address_A: Tensor) -> Tensor:
    """Return the bits of addresses as -1 and +1, the highest first, shape (A, 32)."""
    shift, signs = _octet_tables(address_A.device)
    return signs[address_A.unsqueeze(1) >> shift & 255].flatten(1)


class AddressEncoder(nn.Module):
    """Gives every IPv4 address a vector; near addresses begin alike."""

    def __init__(self, shape: NetworkShape) -> None:
        """Set up fresh weights."""
        super().__init__()
        self.prefixes = nn.Parameter(torch.empty(NUM_PREFIX_ROWS, shape.prefix_width))
        nn.init.normal_(self.prefixes, std=PREFIX_DEVIATION)
        width = len(PREFIX_BITS) * shape.prefix_width + ADDRESS_BITS
        layers: list[nn.Module] = []
        for _ in range(shape.num_layers):
            layers += [nn.Linear(width, shape.vector_dim), nn.ReLU()]
            width = shape.vector_dim
        self.layers = nn.Sequential(*layers, nn.Linear(width, shape.vector_dim))

    def forward(self, address_A: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return the vectors, shape (A, V), of addresses given as integers.

        Args:
            address_A: The addresses.
            dtype: Of the factors of the layers' products; all else is float32.
        """
        features_APD = functional.embedding(prefix_rows(address_A), self.prefixes, sparse=True)
        features = features_APD.flatten(1)
        # the first layer on (features, signs), in two products: to join them takes longer
        first, *others = self.layers
        assert isinstance(first, nn.Linear)  # noqa: S101 - for the type checker
        width = features.shape[1]
        signed = functional.linear(address_signs(address_A), first.weight[:, width:], first.bias)
        vectors = linear(features, first.weight[:, :width], signed, dtype)
        for layer in others:
            if isinstance(layer, nn.Linear):
                vectors = linear(vectors, layer.weight, layer.bias, dtype)
            else:
                vectors = layer(vectors)
        return vectors


class IPInsightsNetwork(nn.Module):
    """Scores pairs; a score is the log odds of an observed pair against a generated one."""

    def __init__(self, shape: NetworkShape) -> None:
        """Set up fresh weights."""
        super().__init__()
        self.shape = shape
        self.entities = nn.Parameter(torch.empty(shape.num_entity_vectors, shape.vector_dim))
        nn.init.normal_(self.entities, std=ENTITY_DEVIATION)
        self.encoder = AddressEncoder(shape)

    def forward(self, batch: PairBatch) -> Tensor:
        """Return scores, shape (B, 1 + S + R): the observed pair's first, then the negatives'."""
        dtype = product_type(batch.row_B.device)
        with torch.autocast(batch.row_B.device.type, enabled=False):
            return self._scores(batch, dtype)

    def _scores(self, batch: PairBatch, dtype: torch.dtype) -> Tensor:
        num_pairs, num_random = batch.random_BR.shape
        entity_BV = self.entity_vectors(batch.row_B)
        every = torch.cat([batch.address_A, batch.random_BR.flatten()])
        vector_AV = self.encoder(every, dtype)
        real_BV = vector_AV.index_select(0, batch.place_B)
        random_BRV = vector_AV[len(batch.address_A) :].view(
            num_pairs, num_random, self.shape.vector_dim
        )
        scores = [(entity_BV * real_BV).sum(1, keepdim=True)]
        scores += [
            (entity_BV * real_BV.index_select(0, partner_B)).sum(1, keepdim=True)
            for partner_B in batch.partner_BS.unbind(1)
        ]
        scores.append((random_BRV @ entity_BV.unsqueeze(2)).squeeze(2))
        return torch.cat(scores, dim=1)

    def entity_vectors(self, row_B: Tensor) -> Tensor:
        """Return the vectors, shape (B, V), in some rows of the table."""
        return functional.embedding(row_B, self.entities, sparse=True)

    def tables(self) -> list[str]:
        """Return the names of the parameters whose gradients are sparse."""
        return ["entities", "encoder.prefixes"]
