"""The loss of a finished model on the `test` channel, and where its documents lie among the topics."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from sm_dl.algorithms.ntm.bags import Bags
from sm_dl.algorithms.ntm.documents import Documents
from sm_dl.algorithms.ntm.narration import log_scoring, log_terms, perplexity
from sm_dl.algorithms.ntm.network import NTMNetwork
from sm_dl.algorithms.ntm.shelf import Shelf
from sm_dl.contract.metrics import MetricLog
from sm_dl.engine.losses import LOSS
from sm_dl.engine.place import address

Weights = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Tested:
    """What scoring found."""

    terms: Mapping[str, float]
    """`loss`, `kld` and `recons`, per word and averaged over documents."""

    @property
    def perplexity(self) -> float:
        """Return the bound on the perplexity per word, documents counting alike."""
        return perplexity(self.terms[LOSS])


@torch.no_grad()
def score(
    network: NTMNetwork, documents: Documents, *, batch_size: int, seed: int, log: MetricLog
) -> Tested:
    """Return the loss of a model on documents, with one draw of noise that the seed decides."""
    network.eval()
    device = network.projection.bias.device
    sums = torch.zeros(2, dtype=torch.float64)
    num_batches = 0
    for index, bags in enumerate(_batches(documents, batch_size, device)):
        generator = torch.Generator(device)
        generator.manual_seed(address(seed, index))
        noise = torch.empty(bags.num_documents, network.shape.num_topics, device=device)
        terms = network.loss(bags, noise.normal_(generator=generator))
        sums += torch.stack([terms.reconstruction, terms.divergence]).double().cpu()
        num_batches += 1
    recons, kld = (sums / len(documents)).tolist()
    tested = Tested({LOSS: recons + kld, "kld": kld, "recons": recons})
    log_scoring(len(documents), num_batches, batch_size)
    log_terms(tested.terms)
    log.say("test:total_loss", tested.terms[LOSS])
    return tested


@torch.no_grad()
def topic_weights(network: NTMNetwork, documents: Documents, batch_size: int) -> Weights:
    """Return the topic weights of documents, shape (documents, topics)."""
    network.eval()
    device = network.projection.bias.device
    weights = [
        network.topic_weights(bags).cpu() for bags in _batches(documents, batch_size, device)
    ]
    found: Weights = torch.cat(weights).numpy()
    return found


def _batches(documents: Documents, batch_size: int, device: torch.device) -> Iterator[Bags]:
    shelf = Shelf(documents).to(device)
    for first in range(0, len(documents), batch_size):
        yield shelf.cut(torch.arange(first, min(first + batch_size, len(documents))))
