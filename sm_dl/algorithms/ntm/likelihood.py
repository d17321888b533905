"""How unlikely bags of words are under a softmax over the vocabulary, from the words present alone.

    -log p(x | z) = N logsumexp(W z + b) - sum_v x_v (W z + b)_v,    N = sum_v x_v

The second sum and its gradients are products of sparse x. The first is over the whole vocabulary, some
columns at a time, and what is done there is little: exp(W z + b) = exp(W z) exp(b), so that exp(b) goes
into the matrices beside the large one, as does the division by the sum. That one, E = exp(W z), is
made by a product and one pass, and read by two products, whose extra columns add up the
normaliser and the gradient of b. As the result is a number, its gradients are computed on the way
forward, while E is at hand; what autograd would keep is then one piece of memory.

Shape letters in this file: B = documents, V = vocabulary, K = topics, C = columns of the vocabulary
that are looked at together, M = K and the columns that add up to the normaliser.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from sm_dl.algorithms.ntm.bags import Bags, ByWord, by_word, sums_over_documents, sums_over_words

SCORES_AT_ONCE = 1 << 23
"""32 MiB of float32: documents times columns of one piece."""
NUM_SUMS = 8
"""The normaliser is added up in parts, each rounded to bfloat16: so many round it three times less."""
WIDEST_BIAS, LARGEST_SUM = 30.0, 1e15
"""Beyond them exponentials are not taken apart, but of what is left below the largest score."""
LOG2_E = 1 / math.log(2)
"""exp(x) = 2^(x log2 e); torch's powers of 2 take a half to a third of the time."""


def negative_log_likelihood(
    bags: Bags,
    topics_BK: Tensor,
    weight_VK: Tensor,
    bias_V: Tensor,
    share_B: Tensor,
    *,
    dtype: torch.dtype = torch.float32,
    entries: ByWord | None = None,
) -> Tensor:
    """Return the sum over documents of share times -log p(x | z), a scalar.

    Args:
        bags: The documents x.
        topics_BK: z, how much of each topic is in each document.
        weight_VK: W, how much each word belongs to each topic.
        bias_V: b, how usual each word is.
        share_B: What each document counts, e.g. 1 / N.
        dtype: Of what is multiplied over the whole vocabulary; all else is float32.
        entries: The documents by word, where they are known already; only gradients need them.
    """
    if entries is None and torch.is_grad_enabled():
        entries = by_word(bags, len(bias_V))
    total: Tensor = _NegativeLogLikelihood.apply(
        topics_BK, weight_VK, bias_V, share_B, bags, entries, dtype
    )
    return total


class _NegativeLogLikelihood(torch.autograd.Function):
    @staticmethod
    def forward(  # noqa: PLR0913, PLR0917 - torch's own calling convention
        ctx: Any,  # noqa: ANN401 - torch's own
        topics_BK: Tensor,
        weight_VK: Tensor,
        bias_V: Tensor,
        share_B: Tensor,
        bags: Bags,
        entries: ByWord | None,
        dtype: torch.dtype,
    ) -> Tensor:
        normaliser = _normaliser(topics_BK, weight_VK, bias_V, dtype)
        factor_B = share_B * bags.lengths_B
        seen_BK = sums_over_words(bags, weight_VK).mul_(share_B.unsqueeze(1))
        seen = torch.dot(seen_BK.view(-1), topics_BK.view(-1))
        if entries is None or not any(ctx.needs_input_grad):
            by_bias_B = sums_over_words(bags, bias_V.unsqueeze(1)).squeeze(1)
            return (
                torch.dot(factor_B, normaliser.logarithm_B) - seen - torch.dot(share_B, by_bias_B)
            )
        ones_BK = torch.cat([topics_BK, torch.ones_like(share_B).unsqueeze(1)], 1)
        unseen_VK = sums_over_documents(entries, ones_BK * -share_B.unsqueeze(1))
        seen = seen - torch.dot(unseen_VK[:, -1], bias_V)
        by_topics_BK = torch.addcmul(-seen_BK, normaliser.mean_BK, factor_B.unsqueeze(1))
        ctx.save_for_backward(
            by_topics_BK,
            *normaliser.gradients(
                ones_BK.mul_((factor_B / normaliser.sum_B).unsqueeze(1)), unseen_VK
            ),
        )
        return torch.dot(factor_B, normaliser.logarithm_B) - seen

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        (outer,) = gradients
        return (*(outer * inner for inner in ctx.saved_tensors), None, None, None, None)


@dataclass(frozen=True)
class _Exponentials:
    """E = exp(W z), some columns at a time; where that is too wide, exp(W z + b - the largest)."""

    topics_BK: Tensor
    """z log2 e, of the type of what is multiplied, as is W."""
    weight_VK: Tensor
    added_V: Tensor | None = None
    """b log2 e, where it is in E."""
    largest_B1: Tensor | None = None
    """What is left out of E, in powers of 2."""

    def columns(self) -> list[slice]:
        """Return the pieces of the vocabulary that are looked at together."""
        num_words = len(self.weight_VK)
        width = max(1, SCORES_AT_ONCE // max(1, len(self.topics_BK)))
        return [slice(first, min(first + width, num_words)) for first in range(0, num_words, width)]

    def scores(self, columns: slice) -> Tensor:
        """Return the exponents, in powers of 2."""
        scores_BC = self.topics_BK @ self.weight_VK[columns].t()
        if self.added_V is None:
            return scores_BC
        return scores_BC.float() + self.added_V[columns]

    def of(self, columns: slice) -> Tensor:
        """Return E."""
        scores_BC = self.scores(columns)
        if self.largest_B1 is not None:
            scores_BC -= self.largest_B1
        return torch.exp2_(scores_BC).to(self.weight_VK.dtype)


@dataclass(frozen=True)
class _Normaliser:
    """sum_v exp(W z + b)_v of each document, and what its gradients are made of."""

    exponentials: _Exponentials
    kept_BC: Tensor | None
    """E, where one piece is all there is."""
    usual_V1: Tensor
    """What E is multiplied by: exp(b) by its largest, or 1."""
    sum_B: Tensor
    """The sum over E times that."""
    logarithm_B: Tensor
    """Of the whole sum."""
    mean_BK: Tensor
    """The mean row of W by the softmax: the gradient of the logarithm by z."""

    def gradients(self, scaled_BK: Tensor, others_VK: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients of weight and bias.

        Args:
            scaled_BK: z, and 1 in one more column, times what the logarithm counts by the sum.
            others_VK: What is to be added: to that of the weight, and in one more column of the bias.
        """
        scaled_BK = scaled_BK.to(self.exponentials.weight_VK.dtype)
        by_weight_VK = torch.empty_like(others_VK[:, :-1], memory_format=torch.contiguous_format)
        by_bias_V = torch.empty_like(self.usual_V1[:, 0])
        for columns in self.exponentials.columns():
            kept_BC = self.exponentials.of(columns) if self.kept_BC is None else self.kept_BC
            both_CK = (kept_BC.t() @ scaled_BK).float()
            others_CK, usual_C1 = others_VK[columns], self.usual_V1[columns]
            torch.addcmul(others_CK[:, :-1], both_CK[:, :-1], usual_C1, out=by_weight_VK[columns])
            torch.addcmul(others_CK[:, -1], both_CK[:, -1], usual_C1[:, 0], out=by_bias_V[columns])
        return by_weight_VK, by_bias_V


def _normaliser(
    topics_BK: Tensor, weight_VK: Tensor, bias_V: Tensor, dtype: torch.dtype
) -> _Normaliser:
    """Return the normaliser, computed the short way if numbers are in its range, as they are."""
    exponentials = _Exponentials((topics_BK * LOG2_E).to(dtype), weight_VK.to(dtype))
    least, most = torch.aminmax(bias_V)
    if float(most) - float(least) < WIDEST_BIAS:
        usual_V1 = torch.exp(bias_V - most).unsqueeze(1)
        found = _added_up(exponentials, weight_VK, usual_V1, most)
        if len(topics_BK) == 0:
            return found
        least, most = torch.aminmax(found.sum_B)
        if float(least) > 1 / LARGEST_SUM and float(most) < LARGEST_SUM:
            return found
    added_V = bias_V * LOG2_E
    exponentials = _Exponentials(exponentials.topics_BK, exponentials.weight_VK, added_V)
    largest_B = torch.stack(
        [exponentials.scores(columns).amax(1) for columns in exponentials.columns()]
    ).amax(0)
    exponentials = _Exponentials(
        exponentials.topics_BK, exponentials.weight_VK, added_V, largest_B.unsqueeze(1)
    )
    usual_V1 = torch.ones_like(bias_V).unsqueeze(1)
    return _added_up(exponentials, weight_VK, usual_V1, largest_B / LOG2_E)


def _added_up(
    exponentials: _Exponentials, weight_VK: Tensor, usual_V1: Tensor, left_out: Tensor
) -> _Normaliser:
    """Return the sums over E, of whose logarithm `left_out` was left out."""
    num_topics = weight_VK.shape[1]
    beside_VM = _beside(weight_VK, usual_V1)
    beside_VM = beside_VM.to(exponentials.weight_VK.dtype)
    sums_BM = weight_VK.new_zeros(len(exponentials.topics_BK), num_topics + NUM_SUMS)
    pieces, kept_BC = exponentials.columns(), None
    for columns in pieces:
        kept_BC = exponentials.of(columns)
        sums_BM += kept_BC @ beside_VM[columns]
    sum_B = sums_BM[:, num_topics:].sum(1)
    return _Normaliser(
        exponentials,
        kept_BC if len(pieces) == 1 else None,
        usual_V1,
        sum_B,
        sum_B.log() + left_out,
        sums_BM[:, :num_topics] / sum_B.unsqueeze(1),
    )


def _beside(weight_VK: Tensor, usual_V1: Tensor) -> Tensor:
    """Return weight times usual, and in `NUM_SUMS` more columns usual, each word's in one of them."""
    num_words, num_topics = weight_VK.shape
    num_turns = -(-num_words // NUM_SUMS)
    beside_VM = weight_VK.new_empty(num_turns * NUM_SUMS, num_topics + NUM_SUMS)
    torch.mul(weight_VK, usual_V1, out=beside_VM[:num_words, :num_topics])
    beside_VM[:, num_topics:] = 0
    # word t S + s, column K + s: down a diagonal of each S rows
    width = beside_VM.shape[1]
    diagonals_TS = beside_VM.as_strided(
        (num_turns, NUM_SUMS), (NUM_SUMS * width, width + 1), num_topics
    )
    padded_V = functional.pad(usual_V1[:, 0], (0, num_turns * NUM_SUMS - num_words))
    diagonals_TS.copy_(padded_V.view(num_turns, NUM_SUMS))
    return beside_VM[:num_words]
