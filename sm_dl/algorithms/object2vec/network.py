"""Two encoders, a comparator and an MLP on top (spec section 1).

    in0 -> token table 0 -> encoder 0 -> e0 -+
                                             +- comparator -> MLP -> outputs
    in1 -> token table 1 -> encoder 1 -> e1 -+

Shape letters in this file: B = pairs, N = tokens, U = different tokens, E = width of a token
vector, D = width of an encoding, X = width behind the comparator, H = width of the last hidden layer, C = outputs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor, nn

from sm_dl.algorithms.object2vec.comparators import WIDTH_FACTORS, compared
from sm_dl.algorithms.object2vec.encoders import PooledEmbedding, Sequences, build_encoder, joined
from sm_dl.algorithms.object2vec.hidden import HiddenLinear
from sm_dl.algorithms.object2vec.sides import Side
from sm_dl.nn.dropout import Dropout

TOKEN_SCALE, OBJECT_SCALE = 0.07, 0.001
"""Token vectors start uniformly between minus and plus this: the first, MXNet's default for any weight,
where sequences are encoded, the second where each object is one token. Those are then the factors of a
matrix, and what they start with is noise that has to be unlearnt: see scripts/benchmarks/RESULTS.md."""
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "linear": nn.Identity,
}


@dataclass(frozen=True)
class NetworkShape:
    """Everything that decides which weights a network has and what it does with them."""

    sides: tuple[Side, Side]
    is_tied: bool
    """Whether both sides share one token table."""
    comparators: tuple[str, ...]
    mlp_layers: int
    mlp_dim: int
    mlp_activation: str
    num_outputs: int
    dropout: float = 0.0
    has_sparse_rows: bool = False
    """Whether gradients of the token tables hold only the rows that a batch touches."""


class Object2VecNetwork(nn.Module):
    """Encodes both objects of a pair and says what their label may be."""

    def __init__(self, shape: NetworkShape) -> None:
        """Build it with fresh weights."""
        super().__init__()
        self.shape = shape
        num_tables = 1 if shape.is_tied else 2
        self.tables = nn.ModuleList(
            _token_table(side, is_sparse=shape.has_sparse_rows) for side in shape.sides[:num_tables]
        )
        self.encoders = nn.ModuleList(build_encoder(side) for side in shape.sides)
        if replace(shape.sides[0], field="in1") == shape.sides[1]:
            # alike objects start in one space, where a comparator has something to compare
            for pair in (self.tables, self.encoders):
                pair[-1].load_state_dict(pair[0].state_dict())
        self.dropout = Dropout(shape.dropout)
        self.mlp, self.output = _head(shape)

    def forward(self, in0: Sequences, in1: Sequences) -> Tensor:
        """Return outputs of pairs, shape (B, C): logits of the classes, or one score."""
        return self.compare(*self._encodings(in0, in1))

    def encode(self, number: int, sequences: Sequences) -> Tensor:
        """Return what encoder 0 or 1 makes of sequences, shape (B, D)."""
        table = self.tables[0 if self.shape.is_tied else number]
        encoder = self.encoders[number]
        encoding_BD: Tensor = (
            encoder(table.weight, sequences, is_sparse=table.sparse)
            if isinstance(encoder, PooledEmbedding)
            else encoder(*_vectors(table, sequences))
        )
        return encoding_BD

    def compare(self, encoding0_BD: Tensor, encoding1_BD: Tensor) -> Tensor:
        """Return outputs of encoded pairs, shape (B, C), float32 in any precision."""
        one_BD, two_BD = (
            self.dropout(encoding_BD.float()) for encoding_BD in (encoding0_BD, encoding1_BD)
        )
        hidden_BH = self.mlp(compared(one_BD, two_BD, self.shape.comparators))
        with torch.autocast(hidden_BH.device.type, enabled=False):  # a score has all its digits
            outputs_BC: Tensor = self.output(hidden_BH.float())
        return outputs_BC

    def _encodings(self, in0: Sequences, in1: Sequences) -> Sequence[Tensor]:
        """Return what both encoders make of their sides, shape (B, D) each."""
        if not self.shape.is_tied:
            return self.encode(0, in0), self.encode(1, in1)
        # one look-up for both sides: the table then has one gradient, not two to be added up
        both = joined(in0, in1)
        if all(isinstance(encoder, PooledEmbedding) for encoder in self.encoders):
            return self.encode(0, both).tensor_split([len(in0.lengths_B)])
        vectors_UE, placed = _vectors(self.tables[0], both)
        parts = placed.tokens_N.tensor_split([len(in0.tokens_N)])
        return [
            encoder(vectors_UE, sequences._replace(tokens_N=part_N))
            for encoder, sequences, part_N in zip(self.encoders, (in0, in1), parts, strict=True)
        ]


def _vectors(table: nn.Module, sequences: Sequences) -> tuple[Tensor, Sequences]:
    """Return the vectors of the different tokens, shape (U, E), and the sequences by their places.

    Each row of the table is then read once and gets one gradient, however often its token occurs.
    """
    present_U, places_N = torch.unique(sequences.tokens_N, return_inverse=True)
    return table(present_U), sequences._replace(tokens_N=places_N)


def _token_table(side: Side, *, is_sparse: bool) -> nn.Embedding:
    scale = OBJECT_SCALE if side.max_seq_len == 1 else TOKEN_SCALE
    weight_VE = torch.empty(side.vocab_size, side.token_dim).uniform_(-scale, scale)
    return nn.Embedding(side.vocab_size, side.token_dim, sparse=is_sparse, _weight=weight_VE)


def _head(shape: NetworkShape) -> tuple[nn.Sequential, nn.Linear]:
    """Return the hidden layers, each with activation and dropout, and the last linear one."""
    width = shape.sides[0].dim * sum(WIDTH_FACTORS[name] for name in shape.comparators)
    widths = [width, *[shape.mlp_dim] * shape.mlp_layers]
    layers: list[nn.Module] = []
    for before, behind in pairwise(widths):
        layers += [
            HiddenLinear(before, behind),
            ACTIVATIONS[shape.mlp_activation](),
            Dropout(shape.dropout),
        ]
    return nn.Sequential(*layers), nn.Linear(widths[-1], shape.num_outputs)
