"""One run of our topic model on sparse counts: the engine's own loop, a line for each epoch.

Prints documents per second of CPU and of wall time, from the first batch of an epoch to the end of
its last update, batches made from the compressed documents included.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from ntm_versus import EPOCHS, NUM_TOPICS, NUM_UNITS, RATE, corpus

from sm_dl.engine import machine

machine.prepare(is_training=True)

from sm_dl.algorithms.ntm.batches import EpochBatches  # noqa: E402 - threads are set before torch
from sm_dl.algorithms.ntm.documents import documents_from  # noqa: E402
from sm_dl.algorithms.ntm.hyperparameters import NTMHyperparameters  # noqa: E402
from sm_dl.algorithms.ntm.module import NTMModule  # noqa: E402
from sm_dl.algorithms.ntm.training import AVERAGE_DECAY, AVERAGE_EVERY, build_network  # noqa: E402
from sm_dl.engine.fit import fit  # noqa: E402
from sm_dl.engine.losses import Running  # noqa: E402
from sm_dl.engine.narration import EpochSummary  # noqa: E402
from sm_dl.engine.strategy import LightningPrecision, Plan, hardware  # noqa: E402
from sm_dl.job.job import Job  # noqa: E402
from sm_dl.job.paths import Paths  # noqa: E402


class Clock:
    """A narrator that prints how fast an epoch was."""

    def __init__(self) -> None:
        """Start both clocks."""
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def batch_ends(self, epoch: int, batch: int, running: Running) -> None:
        """Say nothing."""

    def epoch_ends(self, summary: EpochSummary) -> None:
        """Print the speeds of every epoch but the first."""
        wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        if summary.epoch:
            speeds = {"wall": summary.records / wall, "cpu": summary.records / cpu}
            print(json.dumps(speeds), flush=True)
        self._wall, self._cpu = time.perf_counter(), time.process_time()


def main() -> None:
    """Train and print the speed of each epoch but the first."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--words", type=int, required=True)
    parser.add_argument("--documents", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--optimizer", default="adam")
    parser.add_argument("--precision", help="without it: what `precision: auto` takes here")
    options = parser.parse_args()
    rows, words, counts = corpus(options.documents, options.words)
    sizes = np.bincount(rows, minlength=options.documents)
    documents = documents_from(words, counts, sizes, options.words)
    wanted = NTMHyperparameters.parse(
        {
            "feature_dim": options.words, "num_topics": NUM_TOPICS, "learning_rate": RATE,
            "encoder_layers": [NUM_UNITS, NUM_UNITS], "optimizer": options.optimizer,
            "mini_batch_size": options.batch, "epochs": EPOCHS,
        }
    )  # fmt: skip
    usual: LightningPrecision = "bf16-mixed" if hardware().has_bf16 else "32-true"
    with tempfile.TemporaryDirectory() as folder:
        fit(
            NTMModule(build_network(wanted), wanted, documents),
            EpochBatches(
                documents,
                batch_size=options.batch, sub_sample=1.0, seed=0, num_hosts=1, is_sharded=False,
            ),
            job=Job("ntm", wanted, {}, Paths(Path(folder))),
            plan=Plan("cpu", 1, 1, "auto", options.precision or usual),
            num_epochs=EPOCHS,
            narrator=Clock(),
            average_decay=AVERAGE_DECAY,
            average_every=AVERAGE_EVERY,
            identity={},
        )  # fmt: skip


if __name__ == "__main__":
    main()
