"""The neural topic model (spec 1.1; Miao et al., 2016, arXiv:1511.06038, equations 3 to 6).

A document of N words with counts x is coded as a normal distribution over K numbers, one for each
topic, and read again from a draw of it:

    pi = MLP(x)          mu = l1(pi)          log sigma = l2(pi)
    h = mu + sigma * e,  e ~ Normal(0, I)     z = sigmoid(h)          p(word) = softmax(W z + b)

Differs from the paper: z is the sigmoid of h. The service does not say what it is; of the readings
tried against a training log of the service (spec 1.10) this one has its early course, its later KL
and its topics alike. And b starts at the logarithm of each word's share of all words, so that W
need not learn which words are usual, and has the words by which a topic differs from the rest. Differs
from the service, whose divergence stays small for eight epochs of that log, ours for five.

Shape letters in this file: B = documents, V = vocabulary, K = topics, H = units of a layer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from sm_dl.algorithms.ntm.bags import Bags, ByWord, bag_product, by_word
from sm_dl.algorithms.ntm.code import drawn
from sm_dl.algorithms.ntm.likelihood import negative_log_likelihood
from sm_dl.nn.mixed import linear, product_type

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
}


@dataclass(frozen=True)
class NetworkShape:
    """Everything that decides the network's weights."""

    num_words: int
    """V."""
    num_topics: int
    """K."""
    layers: tuple[int, ...]
    """Sizes of the encoder's layers."""
    activation: str
    has_batch_norm: bool


class Terms(NamedTuple):
    """The loss of some documents, each document's divided by its length and then added up."""

    reconstruction: Tensor
    """-log p(x | z), a scalar."""
    divergence: Tensor
    """KL of the code from Normal(0, I), a scalar."""


class BagLinear(nn.Module):
    """A linear layer on bags of words, which reads and adds only the rows of words that occur."""

    def __init__(self, num_words: int, num_units: int) -> None:
        """Build it with fresh weights."""
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(num_words, num_units)))
        self.bias = nn.Parameter(torch.zeros(num_units))

    def forward(self, bags: Bags, entries: ByWord | None = None) -> Tensor:
        """Return x W + b, shape (B, H); see `bag_product`."""
        return bag_product(bags, self.weight, self.bias, entries)


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation that takes the running statistics where a batch has no spread."""

    def forward(self, hidden_BH: Tensor) -> Tensor:
        """Return the normalised units; one document alone is normalised as in inference."""
        if not self.training or len(hidden_BH) > 1:
            normalised: Tensor = super().forward(hidden_BH)
            return normalised
        return functional.batch_norm(
            hidden_BH, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )


class NTMNetwork(nn.Module):
    """Bags of words in, topics and loss out."""

    def __init__(self, shape: NetworkShape) -> None:
        """Build the network with fresh weights: Xavier uniform, as MXNet, and biases of zero.

        Before training, `start_from` gives the decoder's bias its better start.
        """
        super().__init__()
        self.shape = shape
        self.reading = BagLinear(shape.num_words, shape.layers[0])
        self.encoder = nn.Sequential(*_encoder(shape))
        self.mean = _linear(shape.layers[-1], shape.num_topics)
        self.log_deviation = _linear(shape.layers[-1], shape.num_topics)
        self.projection = _linear(shape.num_topics, shape.num_words)

    @torch.no_grad()
    def start_from(self, counts_V: Tensor) -> None:
        """Let the decoder's bias be log p(word) without topics.

        Args:
            counts_V: How often each word occurs in the training documents; half an occurrence more
                is assumed of each, so that words that never occur stay possible.
        """
        self.projection.bias.copy_(torch.log_softmax(torch.log(counts_V + 0.5), dim=0))

    def hidden(
        self, bags: Bags, dtype: torch.dtype = torch.float32, entries: ByWord | None = None
    ) -> Tensor:
        """Return what the encoder makes of each document, shape (B, H).

        Args:
            bags: The documents.
            dtype: Of the factors of products; sums over a document's words are float32, being bound
                by reading a few rows of the weights.
            entries: The documents by word, where they are known already.
        """
        hidden_BH: Tensor = self.reading(bags, entries)
        for part in self.encoder:
            if isinstance(part, nn.Linear):
                hidden_BH = linear(hidden_BH, part.weight, part.bias, dtype)
            else:
                hidden_BH = part(hidden_BH)
        return hidden_BH

    def topic_weights(self, bags: Bags) -> Tensor:
        """Return how much of each topic is in each document, shape (B, K); rows sum to 1.

        They are the softmax of the code's mean: no noise, so the same document gets the same.
        """
        return torch.softmax(self.mean(self.hidden(bags)), dim=1)

    def loss(self, bags: Bags, noise_BK: Tensor) -> Terms:
        """Return the terms of the bound on -log p(x), per word of each document and summed.

        Args:
            bags: Documents; those without words count for nothing.
            noise_BK: Draws from Normal(0, 1).
        """
        dtype = product_type(noise_BK.device)
        with torch.autocast(noise_BK.device.type, enabled=False):
            entries = by_word(bags, self.shape.num_words) if torch.is_grad_enabled() else None
            topics_BK, divergence = drawn(
                self.hidden(bags, dtype, entries), self.mean, self.log_deviation,
                noise_BK, bags.shares_B, dtype=dtype,
            )  # fmt: skip
            reconstruction = negative_log_likelihood(
                bags, topics_BK, self.projection.weight, self.projection.bias, bags.shares_B,
                dtype=dtype, entries=entries,
            )  # fmt: skip
        return Terms(reconstruction, divergence)


def _encoder(shape: NetworkShape) -> Sequence[nn.Module]:
    """Return what follows the first linear map."""
    activation = ACTIVATIONS[shape.activation]
    parts: list[nn.Module] = []
    for index, size in enumerate(shape.layers):
        if index:
            parts.append(_linear(shape.layers[index - 1], size))
        if shape.has_batch_norm:
            parts.append(BatchNorm(size))
        parts.append(activation())
    return parts


def _linear(num_inputs: int, num_outputs: int) -> nn.Linear:
    layer = nn.Linear(num_inputs, num_outputs)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
