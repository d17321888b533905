"""How unlikely bags of words are under a softmax over the vocabulary, from the words present alone.

    -log p(x | z) = N logsumexp(W z + b) - sum_v x_v (W z + b)_v,    N = sum_v x_v

The second sum and its gradients are products of sparse x. The first is over the whole vocabulary, some
words at a time, and what is done there is little: exp(W z + b) = exp(W z) exp(b), so that exp(b) goes
into the matrices beside the large one, as does the division by the sum. That one, E = exp(W z), is
made by a product and one pass, and read by two products, whose extra columns add up the
normaliser and the gradient of b. E has a row a word: a processor writes such a product in the
order of the memory, and reads it for the gradient of W, too; a row a document took a tenth longer. As the
result is a number, its gradients are computed on the way forward, while E is at hand; what autograd
would keep is then one piece of memory.

Shape letters in this file: B = documents, V = vocabulary, K = topics, C = words that are looked at
together, M = K and the columns that add up to the normaliser,
L = K and one more.
"""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sm_dl.algorithms.ntm.bags import Bags, ByWord, by_word, sums_over_documents, sums_over_words

SCORES_AT_ONCE = 1 << 23
"""32 MiB of float32: documents times words of one piece."""
NUM_SUMS = 8
"""The normaliser is added up in parts, each rounded to bfloat16: so many round it three times less. The
documents of a young model have all but one normaliser, so that roundings of one part would not cancel."""
SHORTEST_SUM = 1 << 10
"""Words that are worth a part of the sum over them."""
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
        ones_BL = torch.cat([topics_BK, torch.ones_like(share_B).unsqueeze(1)], 1)
        unseen_VL = sums_over_documents(entries, ones_BL * -share_B.unsqueeze(1))
        seen = seen - torch.dot(unseen_VL[:, -1], bias_V)
        ratio_B1 = (factor_B / normaliser.sum_B).unsqueeze(1)
        by_topics_BK = torch.mul(normaliser.rows_BK, ratio_B1).sub_(seen_BK)
        ctx.save_for_backward(
            by_topics_BK, *normaliser.gradients(ones_BL.mul_(ratio_B1), unseen_VL)
        )
        return torch.dot(factor_B, normaliser.logarithm_B) - seen

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        (outer,) = gradients
        gradients = tuple(ctx.saved_tensors)
        if outer.device.type != "cpu" or float(outer) != 1:  # to multiply by 1 is a pass over all
            gradients = tuple(outer * inner for inner in gradients)
        return (*gradients, None, None, None, None)


class _Exponentials(NamedTuple):
    """E = exp(W z), some words at a time; where that is too wide, exp(W z + b - the largest)."""

    topics_BK: Tensor
    """z log2 e, of the type of what is multiplied, as is W."""
    weight_VK: Tensor
    added_V1: Tensor | None = None
    """b log2 e, where it is in E."""
    largest_B: Tensor | None = None
    """What is left out of E, in powers of 2."""

    def pieces(self) -> list[slice]:
        """Return the pieces of the vocabulary that are looked at together."""
        num_words = len(self.weight_VK)
        width = max(1, SCORES_AT_ONCE // max(1, len(self.topics_BK)))
        return [slice(first, min(first + width, num_words)) for first in range(0, num_words, width)]

    def scores(self, words: slice) -> Tensor:
        """Return the exponents, in powers of 2, shape (C, B)."""
        scores_CB = torch.mm(self.weight_VK[words], self.topics_BK.t())
        if self.added_V1 is None:
            return scores_CB
        return scores_CB.float() + self.added_V1[words]

    def of(self, words: slice) -> Tensor:
        """Return E, shape (C, B)."""
        scores_CB = self.scores(words)
        if self.largest_B is not None:
            scores_CB -= self.largest_B
        return torch.exp2_(scores_CB).to(self.weight_VK.dtype)


class _Normaliser(NamedTuple):
    """sum_v exp(W z + b)_v of each document, and what its gradients are made of."""

    exponentials: _Exponentials
    kept_CB: Tensor | None
    """E, where one piece is all there is."""
    usual_V1: Tensor
    """What E is multiplied by: exp(b) by its largest, or 1."""
    sum_B: Tensor
    """The sum over E times that."""
    logarithm_B: Tensor
    """Of the whole sum."""
    rows_BK: Tensor
    """The same sum over rows of W: divided by it, the gradient of the logarithm by z."""

    def gradients(self, scaled_BL: Tensor, others_VL: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients of weight and bias.

        Args:
            scaled_BL: z, and 1 in one more column, times what the logarithm counts by the sum.
            others_VL: What is to be added: to that of the weight, and in one more column of the bias.
        """
        scaled_BL = scaled_BL.to(self.exponentials.weight_VK.dtype)
        by_weight_VK = torch.empty_like(others_VL[:, :-1], memory_format=torch.contiguous_format)
        by_bias_V = torch.empty_like(self.usual_V1[:, 0])
        for words in self.exponentials.pieces():
            kept_CB = self.exponentials.of(words) if self.kept_CB is None else self.kept_CB
            both_CL = torch.mm(kept_CB, scaled_BL).float()
            others_CL, usual_C1 = others_VL[words], self.usual_V1[words]
            torch.addcmul(others_CL[:, :-1], both_CL[:, :-1], usual_C1, out=by_weight_VK[words])
            torch.addcmul(others_CL[:, -1], both_CL[:, -1], usual_C1[:, 0], out=by_bias_V[words])
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
    usual_V1 = torch.ones_like(bias_V).unsqueeze(1)
    exponentials = exponentials._replace(added_V1=bias_V.unsqueeze(1) * LOG2_E)
    largest_B = torch.stack(
        [exponentials.scores(words).amax(0) for words in exponentials.pieces()]
    ).amax(0)
    exponentials = exponentials._replace(largest_B=largest_B)
    return _added_up(exponentials, weight_VK, usual_V1, largest_B / LOG2_E)


def _added_up(
    exponentials: _Exponentials, weight_VK: Tensor, usual_V1: Tensor, left_out: Tensor
) -> _Normaliser:
    """Return the sums over E, of whose logarithm `left_out` was left out."""
    num_topics = weight_VK.shape[1]
    beside_VM = _beside(weight_VK, usual_V1).to(exponentials.weight_VK.dtype)
    pieces = exponentials.pieces()
    parts_MB: list[Tensor] = []
    for words in pieces:
        kept_CB = exponentials.of(words)
        parts_MB.append(_product_over_words(beside_VM[words], kept_CB))
    sums_MB = parts_MB[0] if len(pieces) == 1 else torch.stack(parts_MB).sum(0)
    sum_B = sums_MB[num_topics:].sum(0)
    return _Normaliser(
        exponentials,
        kept_CB if len(pieces) == 1 else None,
        usual_V1,
        sum_B,
        sum_B.log() + left_out,
        sums_MB[:num_topics].t(),
    )


def _product_over_words(one_CM: Tensor, other_CB: Tensor) -> Tensor:
    """Return the product of one, transposed, with the other, float32.

    A processor's threads share a small result badly and a long sum well: each adds up words of its own.
    """
    num_threads = torch.get_num_threads()
    width = len(one_CM) // num_threads
    if one_CM.device.type != "cpu" or num_threads == 1 or width < SHORTEST_SUM:
        return torch.mm(one_CM.t(), other_CB).float()
    ends = width * num_threads
    parts = torch.bmm(
        one_CM[:ends].view(num_threads, width, -1).transpose(1, 2),
        other_CB[:ends].view(num_threads, width, -1),
    ).float()
    total = parts.sum(0)
    if ends < len(one_CM):
        total += torch.mm(one_CM[ends:].t(), other_CB[ends:])
    return total


def _beside(weight_VK: Tensor, usual_V1: Tensor) -> Tensor:
    """Return weight times usual, and in `NUM_SUMS` more columns usual, each word's in one of them."""
    return torch.cat([weight_VK, _columns(len(weight_VK), weight_VK.device)], 1).mul_(usual_V1)


@lru_cache(maxsize=1)
def _columns(num_words: int, device: torch.device) -> Tensor:
    """Return 1 in each word's column and 0 in the others: words 0 to 7 have columns 0 to 7, and so on."""
    rounds = -(-num_words // NUM_SUMS)
    return torch.eye(NUM_SUMS, device=device).repeat(rounds, 1)[:num_words]
