"""Pairs and tokens a CPU second in training, through the engine as a job runs it.

Layouts: `movielens` is the notebook's (one token a side, width 300, 256 hidden units, batches of 64);
`documents` that of object2vec_document_embedding (pooled, tied, hadamard, 50 tokens a side, three
negatives, batches of 512), on made-up token ids whose frequencies fall as those of words do.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sm_dl.engine import machine

machine.prepare(is_training=True)  # as every door does, before torch is imported

from sm_dl.algorithms.object2vec.batches import EpochBatches, PairBatch  # noqa: E402 - threads are set before torch
from sm_dl.algorithms.object2vec.data import Pairs, read_channel  # noqa: E402
from sm_dl.algorithms.object2vec.hyperparameters import Object2VecHyperparameters  # noqa: E402
from sm_dl.algorithms.object2vec.module import Object2VecModule  # noqa: E402
from sm_dl.algorithms.object2vec.ragged import Ragged  # noqa: E402
from sm_dl.algorithms.object2vec.records import Rules  # noqa: E402
from sm_dl.algorithms.object2vec.sides import sides_of  # noqa: E402
from sm_dl.algorithms.object2vec.training import build_network, planned  # noqa: E402
from sm_dl.engine.fit import fit  # noqa: E402
from sm_dl.engine.losses import Running  # noqa: E402
from sm_dl.engine.narration import EpochSummary  # noqa: E402
from sm_dl.engine.place import Place  # noqa: E402
from sm_dl.job import stop  # noqa: E402
from sm_dl.job.job import ChannelSource, Job, Resources  # noqa: E402
from sm_dl.job.paths import Paths  # noqa: E402

MOVIELENS = {
    "enc0_network": "pooled_embedding", "enc0_vocab_size": 944, "enc0_max_seq_len": 1,
    "enc1_network": "pooled_embedding", "enc1_vocab_size": 1684, "enc1_max_seq_len": 1,
    "mlp_dim": 256, "mlp_layers": 1, "mlp_activation": "tanh", "mini_batch_size": 64,
    "learning_rate": 0.001, "output_layer": "mean_squared_error",
}  # fmt: skip
DOCUMENTS = {
    "enc0_network": "pooled_embedding", "enc0_vocab_size": 267_522, "enc0_max_seq_len": 50,
    "tied_token_embedding_weight": True, "comparator_list": "hadamard", "mlp_activation": "relu",
    "mlp_dim": 512, "mlp_layers": 2, "dropout": 0.4, "learning_rate": 0.01, "mini_batch_size": 512,
    "negative_sampling_rate": 3,
}  # fmt: skip
LAYOUTS: dict[str, dict[str, Any]] = {"movielens": MOVIELENS, "documents": DOCUMENTS}


class Clock:
    """Notes the CPU seconds at each batch."""

    def __init__(self) -> None:
        """Start with none."""
        self.times = [time.process_time()]

    def batch_ends(self, epoch: int, batch: int, running: Running) -> None:  # noqa: ARG002
        """Note one."""
        self.times.append(time.process_time())

    def epoch_ends(self, summary: EpochSummary) -> None:
        """Say nothing."""


def made_up(num_pairs: int, vocabulary: int, length: int) -> Pairs:
    """Return pairs whose tokens are as frequent as words are (Zipf's law)."""
    random = np.random.default_rng(0)
    weights = 1 / np.arange(1, vocabulary + 1)
    cumulated = np.cumsum(weights / weights.sum())

    def side() -> Ragged:
        drawn = np.searchsorted(cumulated, random.random(num_pairs * length))
        tokens = np.minimum(drawn, vocabulary - 1)
        return Ragged(tokens.astype(np.int32), np.arange(num_pairs + 1) * length)

    return Pairs(side(), side(), np.ones(num_pairs))


def main() -> None:
    """Train for some batches and print the speed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--layout", choices=LAYOUTS, default="movielens")
    parser.add_argument("--channel", type=Path, help="needed for movielens")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--precision", default="auto", help="as resources.precision of a job")
    parser.add_argument("--batches", type=int, default=1000)
    parser.add_argument("--warm-up", type=int, default=20)
    options = parser.parse_args()
    changes = dict(one.split("=", 1) for one in options.set)
    given = Object2VecHyperparameters.parse({**LAYOUTS[options.layout], **changes})
    sides = sides_of(given)
    if options.channel:
        pairs = read_channel(ChannelSource("train", options.channel), Rules.of(given, sides))
    else:
        num_pairs = -(-given.mini_batch_size * (options.batches + options.warm_up) // 4)
        pairs = made_up(num_pairs, sides[0].vocab_size, sides[0].max_seq_len)
    batches = EpochBatches(pairs, given)
    tokens: list[int] = []

    def some(place: Place) -> Iterator[PairBatch]:
        for _, batch in zip(range(options.batches + options.warm_up), batches(place), strict=False):
            tokens.append(len(batch.in0.tokens_N) + len(batch.in1.tokens_N))
            yield batch

    clock = Clock()
    with tempfile.TemporaryDirectory() as folder, stop.listening(), stop.deferred():
        resources = Resources(precision=options.precision)
        job = Job("object2vec", given, {}, Paths(Path(folder)), resources=resources)
        plan = planned(job)
        fit(
            Object2VecModule(build_network(given, sides, pairs), given),
            some,
            job=job,
            plan=plan,
            num_epochs=1,
            narrator=clock,
            identity={},
        )
    steps = len(clock.times) - 1 - options.warm_up
    seconds = clock.times[-1] - clock.times[options.warm_up]
    print(
        json.dumps(
            {
                "pairs_per_cpu_s": steps * given.mini_batch_size / seconds,
                "tokens_per_cpu_s": sum(tokens[options.warm_up :]) / seconds,
                "ms_per_step": 1000 * seconds / steps,
                "precision": plan.precision,
                "storage": given.token_embedding_storage_type,
            }
        )
    )


if __name__ == "__main__":
    main()
