"""The three encoders: token vectors of a sequence in, one vector out (spec section 1.3).

An encoder gets the vectors of the different tokens of a batch and, for each position, which of them
stands there. What is behind the end of a sequence has no influence, bit for bit.

Shape letters in this file: B = sequences, N = tokens of all of them, T = tokens of the longest,
U = different tokens, E = width of a token vector, D = width of an encoding.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, pad
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from sm_dl.algorithms.object2vec.sides import Side
from sm_dl.nn.rows import mean_of_rows, rows_of


class Sequences(NamedTuple):
    """Sequences of tokens, one behind the other; none is empty."""

    tokens_N: Tensor
    """Token ids, or places among the different tokens of a batch; int64."""
    lengths_B: Tensor
    """Tokens of each sequence, int64."""

    def to(self, device: torch.device) -> "Sequences":
        """Return them on a device."""
        return Sequences(self.tokens_N.to(device), self.lengths_B.to(device))

    def split(self, counts: list[int]) -> "list[Sequences]":
        """Return them in parts of so many sequences."""
        lengths = torch.split(self.lengths_B, counts)
        num_tokens = [int(part_B.sum()) for part_B in lengths]
        return list(map(Sequences, torch.split(self.tokens_N, num_tokens), lengths))


def joined(one: Sequences, two: Sequences) -> Sequences:
    """Return the sequences of two batches, one behind the other."""
    return Sequences(*(torch.cat(parts) for parts in zip(one, two, strict=True)))


LENGTH_STEPS = {"hcnn": 8, "bilstm": 1, "pooled_embedding": 5000}
"""Sequences whose lengths, divided by this and rounded up, are equal are encoded in the same way,
bit for bit, whatever other lengths are in their batch (see `predictor.py`)."""


def build_encoder(side: Side) -> nn.Module:
    """Return the encoder of a side, with fresh weights."""
    if side.network == "pooled_embedding":
        return PooledEmbedding()
    if side.network == "hcnn":
        return HierarchicalCNN(side.token_dim, side.dim, side.layers, side.filter_width)
    return BidirectionalLSTM(side.token_dim, side.dim, side.layers)


class PooledEmbedding(nn.Module):
    """The mean of the token vectors, of width E: there is no projection and no weight."""

    def forward(
        self, vectors_UE: Tensor, sequences: Sequences, *, is_sparse: bool = False
    ) -> Tensor:
        """Return encodings, shape (B, E).

        The vectors may be a whole table, whose gradient then holds, if sparse, only the rows of
        tokens that occur.
        """
        tokens_N, lengths_B = sequences
        if len(tokens_N) == len(lengths_B):  # single tokens: nothing to add up
            return rows_of(vectors_UE, tokens_N, is_sparse=is_sparse)
        return mean_of_rows(vectors_UE, tokens_N, lengths_B, is_sparse=is_sparse)


class HierarchicalCNN(nn.Module):
    """Convolutions on top of each other; the largest value over time of each layer, all joined.

    After the hierarchical ConvNet of Conneau et al. (2017, arXiv:1705.02364, section 3.2.4). What
    stands inside the service's `hcnn` is not public.
    """

    def __init__(self, token_dim: int, dim: int, layers: int, filter_width: int) -> None:
        """Share `dim` filters out over the layers; the last one gets what is left over."""
        super().__init__()
        filters = [dim // layers] * (layers - 1)
        filters.append(dim - sum(filters))
        widths = [token_dim, *filters]
        self.missing = 1 - filter_width % 2  # at the right, so that an even filter keeps the length
        self.convolutions = nn.ModuleList(
            nn.Conv1d(widths[layer], filters[layer], filter_width, padding=(filter_width - 1) // 2)
            for layer in range(layers)
        )

    def forward(self, vectors_UE: Tensor, sequences: Sequences) -> Tensor:
        """Return encodings, shape (B, D), none of their numbers below 0."""
        hidden_BTE, is_token_BT = padded(vectors_UE, sequences, LENGTH_STEPS["hcnn"])
        hidden_BDT, is_token_B1T = hidden_BTE.transpose(1, 2), is_token_BT.unsqueeze(1)
        largest = []
        for convolution in self.convolutions:
            # 0 behind the end: what the next layer sees there is what it sees before the start
            hidden_BDT = convolution(pad(hidden_BDT, (0, self.missing))).relu() * is_token_B1T
            largest.append(hidden_BDT.amax(2))  # of a token, since no value is below 0
        return torch.cat(largest, dim=1)


class BidirectionalLSTM(nn.Module):
    """LSTMs in both directions, half the width each; the largest value over time.

    After BiLSTM-max of Conneau et al. (2017, arXiv:1705.02364, section 3.2.2).
    """

    def __init__(self, token_dim: int, dim: int, layers: int) -> None:
        """Stack the layers."""
        super().__init__()
        self.lstm = nn.LSTM(token_dim, dim // 2, layers, batch_first=True, bidirectional=True)

    def forward(self, vectors_UE: Tensor, sequences: Sequences) -> Tensor:
        """Return encodings, shape (B, D)."""
        tokens_BTE, is_token_BT = padded(vectors_UE, sequences)
        packed = pack_padded_sequence(
            tokens_BTE, sequences.lengths_B.cpu(), batch_first=True, enforce_sorted=False
        )
        hidden_BTD, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        return hidden_BTD.masked_fill(~is_token_BT.unsqueeze(2), -torch.inf).amax(1)


def padded(vectors_UE: Tensor, sequences: Sequences, step: int = 1) -> tuple[Tensor, Tensor]:
    """Return token vectors, shape (B, T, E), 0 behind the end, and which are tokens, shape (B, T).

    T is the longest length, rounded up to a multiple of `step`.
    """
    lengths_B = sequences.lengths_B
    num_steps = -(-int(lengths_B.max()) // step) * step
    steps_T = torch.arange(num_steps, device=lengths_B.device)
    is_token_BT = steps_T < lengths_B.unsqueeze(1)
    # a row of its own behind the vectors: id 0 is an ordinary token
    places_BT = torch.full_like(is_token_BT, len(vectors_UE), dtype=torch.int64)
    places_BT[is_token_BT] = sequences.tokens_N
    return embedding(places_BT, pad(vectors_UE, (0, 0, 0, 1))), is_token_BT
