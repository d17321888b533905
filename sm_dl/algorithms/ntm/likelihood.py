"""How unlikely bags of words are under a softmax over the vocabulary, from the words present alone.

    -log p(x | z) = N logsumexp(W z + b) - sum_v x_v (W z + b)_v,    N = sum_v x_v

Scores of all words are computed some columns at a time and no count matrix is ever built. As the
result is a number, its gradients are computed on the way forward, while the scores are at hand;
what autograd would keep (scores, logarithms, probabilities) is then one piece of memory.

Shape letters in this file: B = documents, V = vocabulary, K = topics, W = entries (see `bags.py`),
C = columns of the vocabulary that are looked at together.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sm_dl.algorithms.ntm.bags import Bags

SCORES_AT_ONCE = 1 << 23
"""32 MiB of float32: documents times columns of one piece."""


def negative_log_likelihood(
    bags: Bags, topics_BK: Tensor, weight_VK: Tensor, bias_V: Tensor, share_B: Tensor
) -> Tensor:
    """Return the sum over documents of share times -log p(x | z), a scalar.

    Args:
        bags: The documents x.
        topics_BK: z, how much of each topic is in each document.
        weight_VK: W, how much each word belongs to each topic.
        bias_V: b, how usual each word is.
        share_B: What each document counts, e.g. 1 / N.

    In mixed precision, what is multiplied is bfloat16 (float16 has too small a range); all else is
    float32, as the sums are over the whole vocabulary.
    """
    device, dtype = topics_BK.device.type, torch.float32
    if torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device) == torch.bfloat16:
        dtype = torch.bfloat16
    with torch.autocast(device, enabled=False):
        total: Tensor = _NegativeLogLikelihood.apply(
            topics_BK.to(dtype), weight_VK.to(dtype), bias_V, share_B, bags, torch.is_grad_enabled()
        )
    return total


class _NegativeLogLikelihood(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's own
        topics_BK: Tensor,
        weight_VK: Tensor,
        bias_V: Tensor,
        share_B: Tensor,
        bags: Bags,
        is_learning: bool,  # noqa: FBT001 - torch's own calling convention
    ) -> Tensor:
        decoder = _Decoder(topics_BK, weight_VK, bias_V, list(_pieces(bags, len(bias_V))))
        factor_B = share_B * bags.lengths_B
        seen_B, normalizer_B, probabilities_BC = _forward(decoder)
        if is_learning and any(ctx.needs_input_grad):
            at_hand = probabilities_BC if len(decoder.pieces) == 1 else None
            inverse_B = torch.where(bags.lengths_B > 0, 1 / bags.lengths_B, 0.0)
            ctx.save_for_backward(*_gradients(decoder, factor_B, inverse_B, normalizer_B, at_hand))
        return torch.dot(factor_B, normalizer_B) - torch.dot(share_B, seen_B)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        (outer,) = gradients
        return (*(outer * inner for inner in ctx.saved_tensors), None, None, None)


@dataclass(frozen=True)
class _Piece:
    """Some columns of the vocabulary, and the entries whose words are among them."""

    columns: slice
    places: Tensor
    """Of each entry in the flattened scores."""
    rows: Tensor
    counts: Tensor


def _pieces(bags: Bags, num_words: int) -> Iterator[_Piece]:
    width = max(1, SCORES_AT_ONCE // max(1, bags.num_documents))
    if width >= num_words:
        places_W = bags.rows_W * num_words + bags.words_W
        yield _Piece(slice(0, num_words), places_W, bags.rows_W, bags.counts_W)
        return
    for first in range(0, num_words, width):
        last = min(first + width, num_words)
        inside = ((bags.words_W >= first) & (bags.words_W < last)).nonzero().squeeze(1)
        rows = bags.rows_W[inside]
        places = rows * (last - first) + bags.words_W[inside] - first
        yield _Piece(slice(first, last), places, rows, bags.counts_W[inside])


@dataclass(frozen=True)
class _Decoder:
    """What scores are made of, and the pieces they are made in; topics and weight may be bfloat16."""

    topics_BK: Tensor
    weight_VK: Tensor
    bias_V: Tensor
    pieces: list[_Piece]

    def scores(self, piece: _Piece) -> Tensor:
        """Return W z + b of some columns."""
        weight_CK, bias_C = self.weight_VK[piece.columns], self.bias_V[piece.columns]
        if weight_CK.dtype == bias_C.dtype:
            return torch.addmm(bias_C, self.topics_BK, weight_CK.t())
        return self.topics_BK @ weight_CK.t() + bias_C


def _forward(decoder: _Decoder) -> tuple[Tensor, Tensor, Tensor]:
    """Return the sum of x_v (W z + b)_v and the logsumexp of each document, and the last softmax."""
    seen_B = decoder.bias_V.new_zeros(len(decoder.topics_BK))
    normalizer_B = torch.full_like(seen_B, -torch.inf)
    probabilities_BC = seen_B
    for piece in decoder.pieces:
        scores_BC = decoder.scores(piece)
        seen_B.index_add_(
            0, piece.rows, scores_BC.view(-1).index_select(0, piece.places) * piece.counts
        )
        largest_B = scores_BC.amax(1)
        probabilities_BC = torch.softmax(scores_BC, 1)
        # the largest probability is at least 1 / C: its logarithm loses nothing
        normalizer_B = torch.logaddexp(normalizer_B, largest_B - probabilities_BC.amax(1).log())
    return seen_B, normalizer_B, probabilities_BC


def _gradients(
    decoder: _Decoder,
    factor_B: Tensor,
    inverse_B: Tensor,
    normalizer_B: Tensor,
    probabilities_BC: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of topics, weight and bias.

    With a = share N, the gradient of the scores is a (p - x / N): the factor is put on the small
    matrices beside it, so that the large one is only read.

    Args:
        decoder: What scores are made of.
        factor_B: a.
        inverse_B: 1 / N.
        normalizer_B: logsumexp of the scores.
        probabilities_BC: p, where one piece is all there is; else it is computed again.
    """
    factor_B1 = factor_B.unsqueeze(1)
    weight_VK, dtype = decoder.weight_VK, decoder.weight_VK.dtype
    scaled_BK = (decoder.topics_BK * factor_B1).to(dtype)
    by_topics_BK = factor_B.new_zeros(decoder.topics_BK.shape)
    by_weight_VK, by_bias_V = torch.empty_like(weight_VK), torch.empty_like(decoder.bias_V)
    for piece in decoder.pieces:
        if probabilities_BC is None:
            probabilities_BC = decoder.scores(piece).sub_(normalizer_B.unsqueeze(1)).exp_()
        probabilities_BC.view(-1).index_add_(
            0, piece.places, piece.counts * inverse_B.index_select(0, piece.rows), alpha=-1
        )
        torch.mv(probabilities_BC.t(), factor_B, out=by_bias_V[piece.columns])
        difference_BC = probabilities_BC.to(dtype)
        by_topics_BK += difference_BC @ weight_VK[piece.columns]
        torch.mm(difference_BC.t(), scaled_BK, out=by_weight_VK[piece.columns])
        probabilities_BC = None
    return by_topics_BK.mul_(factor_B1).to(dtype), by_weight_VK, by_bias_V
