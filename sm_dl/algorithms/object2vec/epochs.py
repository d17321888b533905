"""What one epoch is (spec section 1.6): which pairs, which of them drawn as negatives, in which order.

Everything follows from (seed, epoch) alone, so a resumed run sees the same batches. Nothing here
loops over pairs.

Shape letters in this file: P = pairs of an epoch.
"""

from dataclasses import dataclass

import numpy as np

from sm_dl.algorithms.object2vec.data import Labels, Pairs
from sm_dl.algorithms.object2vec.ragged import Indices


@dataclass(frozen=True)
class Epoch:
    """The pairs of an epoch in training order."""

    rows0: Indices
    """Row of the channel that gives `in0`."""
    rows1: Indices
    """Row that gives `in1`; another one in a negative."""
    labels: Labels


def draw_epoch(
    pairs: Pairs, *, rate: int, bucket_width: int, batch_size: int, seed: int, epoch: int
) -> Epoch:
    """Return the pairs of one epoch: each given one once, and `rate` negatives for each.

    A negative keeps `in0` and takes `in1` of another row, each with the same chance. How the
    service draws them is not public.

    Args:
        pairs: Of the training channel; at least two when negatives are drawn.
        rate: Negatives for each pair.
        bucket_width: Above 0, pairs of similar lengths stand together in a batch.
        batch_size: Pairs of a batch, over all processes.
        seed: Of the job.
        epoch: Counted from 0.
    """
    random = np.random.Generator(np.random.Philox(key=(seed, epoch)))
    num_rows = len(pairs)
    items_P = random.permutation(num_rows * (1 + rate))
    rows0_P, rows1_P, labels_P = items_P % num_rows, items_P % num_rows, pairs.labels
    if rate:
        is_drawn_P = items_P >= num_rows
        others_P = random.integers(0, num_rows - 1, size=len(items_P))
        others_P += others_P >= rows0_P  # a row is no partner of its own
        rows1_P = np.where(is_drawn_P, others_P, rows0_P)
        labels_P = np.where(is_drawn_P, 0.0, pairs.labels[rows0_P])
    else:
        labels_P = pairs.labels[rows0_P]
    drawn = Epoch(rows0_P, rows1_P, labels_P)
    if bucket_width:
        order = _bucketed(pairs, drawn, bucket_width, batch_size, random)
        drawn = Epoch(rows0_P[order], rows1_P[order], labels_P[order])
    return drawn


def by_length(pairs: Pairs) -> Epoch:
    """Return each pair once, those of similar lengths together."""
    rows = np.lexsort((pairs.in1.lengths, pairs.in0.lengths))
    return Epoch(rows, rows, pairs.labels[rows])


def _bucketed(
    pairs: Pairs, drawn: Epoch, width: int, batch_size: int, random: np.random.Generator
) -> Indices:
    """Return an order whose batches hold pairs of one bucket, or of two neighbours.

    Differs from the service, where the last batch of each bucket is filled up by repetition: here
    the pairs are sorted by bucket and cut into whole batches, which are shuffled.
    """
    bucket0_P = (pairs.in0.lengths[drawn.rows0] - 1) // width
    bucket1_P = (pairs.in1.lengths[drawn.rows1] - 1) // width
    back_and_forth_P = np.where(
        bucket0_P % 2, -bucket1_P, bucket1_P
    )  # so that neighbours are alike
    order_P = np.lexsort((back_and_forth_P, bucket0_P))  # stable: random within a bucket
    order_P = np.roll(order_P, random.integers(len(order_P)))  # any lengths may be left over
    num_whole = len(order_P) // batch_size
    whole, rest = np.split(order_P, [num_whole * batch_size])
    shuffled = whole.reshape(num_whole, batch_size)[random.permutation(num_whole)]
    return np.concatenate([shuffled.ravel(), rest])
