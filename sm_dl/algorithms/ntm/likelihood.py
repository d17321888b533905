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
    """
    total: Tensor = _NegativeLogLikelihood.apply(topics_BK, weight_VK, bias_V, share_B, bags)
    return total


class _NegativeLogLikelihood(torch.autograd.Function):
    @staticmethod
    def forward(  # noqa: PLR0913 - torch's own calling convention
        ctx: Any,  # noqa: ANN401 - torch's own
        topics_BK: Tensor,
        weight_VK: Tensor,
        bias_V: Tensor,
        share_B: Tensor,
        bags: Bags,
    ) -> Tensor:
        pieces = list(_pieces(bags, len(bias_V)))
        seen_B = torch.zeros_like(share_B)  # sum of x_v (W z + b)_v
        normalizer_B = torch.full_like(share_B, -torch.inf)  # logsumexp so far
        probabilities_BC = topics_BK.new_empty(0)
        for piece in pieces:
            scores_BC = _scores(topics_BK, weight_VK, bias_V, piece)
            at = scores_BC.view(-1)[piece.places]
            seen_B.index_add_(0, piece.rows, at * piece.counts)
            largest_B = scores_BC.amax(1)
            probabilities_BC = torch.softmax(scores_BC, 1)
            # the largest probability is at least 1 / C: its logarithm loses nothing
            logsum_B = largest_B - probabilities_BC.amax(1).log()
            normalizer_B = torch.logaddexp(normalizer_B, logsum_B)
        total = (share_B * (bags.lengths_B * normalizer_B - seen_B)).sum()
        if any(ctx.needs_input_grad):
            ctx.save_for_backward(
                *_gradients(
                    topics_BK, weight_VK, bias_V, share_B, bags, pieces, normalizer_B,
                    probabilities_BC if len(pieces) == 1 else None,
                )
            )  # fmt: skip
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        (outer,) = gradients
        return (*(outer * inner for inner in ctx.saved_tensors), None, None)


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


def _scores(topics_BK: Tensor, weight_VK: Tensor, bias_V: Tensor, piece: _Piece) -> Tensor:
    return torch.addmm(bias_V[piece.columns], topics_BK, weight_VK[piece.columns].t())


def _gradients(  # noqa: PLR0913 - everything forward has
    topics_BK: Tensor,
    weight_VK: Tensor,
    bias_V: Tensor,
    share_B: Tensor,
    bags: Bags,
    pieces: list[_Piece],
    normalizer_B: Tensor,
    probabilities_BC: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of topics, weight and bias.

    With a = share N, the gradient of the scores is a (p - x / N): the factor is put on the small
    matrices beside it, so that the large one is only read.
    """
    factor_B1 = (share_B * bags.lengths_B).unsqueeze(1)
    inverse_B = torch.where(bags.lengths_B > 0, 1 / bags.lengths_B, 0.0)
    topics_and_one = torch.cat([topics_BK * factor_B1, factor_B1], dim=1)
    by_topics_BK = torch.zeros_like(topics_BK)
    by_weight = topics_BK.new_empty(len(bias_V), topics_and_one.shape[1])
    for piece in pieces:
        if probabilities_BC is None:
            scores_BC = _scores(topics_BK, weight_VK, bias_V, piece)
            probabilities_BC = scores_BC.sub_(normalizer_B.unsqueeze(1)).exp_()
        probabilities_BC.view(-1).index_add_(
            0, piece.places, piece.counts * inverse_B[piece.rows], alpha=-1
        )
        by_topics_BK.addmm_(probabilities_BC, weight_VK[piece.columns])
        torch.mm(probabilities_BC.t(), topics_and_one, out=by_weight[piece.columns])
        probabilities_BC = None
    return by_topics_BK.mul_(factor_B1), by_weight[:, :-1], by_weight[:, -1]
