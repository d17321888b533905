#!/usr/bin/env python3
"""Print memory and start-up time of a DeepAR job on 370 series of 26,000 hourly points.

    OMP_NUM_THREADS=1 python scripts/benchmarks/deepar_memory.py

One JSON line: peak resident memory above what the imports take (MiB), and seconds from the end of
the imports to the end of the first update, reading and checking the channel included.
"""

import json
import logging
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from sm_dl.engine import machine

machine.prepare()  # as every door does, before torch is imported

import numpy as np  # noqa: E402

from sm_dl import registry  # noqa: E402
from sm_dl.algorithms.deepar import training  # noqa: E402
from sm_dl.algorithms.deepar.module import DeepARModule  # noqa: E402
from sm_dl.job.job import ChannelSource, Job  # noqa: E402
from sm_dl.job.paths import Paths  # noqa: E402

NUM_SERIES, NUM_POINTS = 370, 26_000


class TimedModule(DeepARModule):
    """Notes when its first update is over."""

    first_update_at = 0.0

    def on_train_batch_end(self, *_: object) -> None:
        """Note the time once."""
        TimedModule.first_update_at = TimedModule.first_update_at or time.perf_counter()


def main() -> None:
    """Write the channel, train one epoch, print the line."""
    logging.getLogger("sm_dl").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size_bytes = write_channel(folder / "series.json")
        hyperparameters = {
            "time_freq": "H",
            "prediction_length": 24,
            "context_length": 168,
            "epochs": 1,
        }
        channels = {"train": ChannelSource("train", folder / "series.json")}
        raw = Job("deepar", hyperparameters, channels, Paths(folder))
        job = registry.get("deepar").check(raw)
        vars(training)["DeepARModule"] = TimedModule  # the clock
        imports_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        began = time.perf_counter()
        registry.get("deepar").fit(job)
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = {
        "series": NUM_SERIES,
        "points_each": NUM_POINTS,
        "channel_mib": round(size_bytes / 2**20),
        "imports_mib": round(imports_mib),
        "peak_above_imports_mib": round(peak_mib - imports_mib),
        "first_update_after_s": round(TimedModule.first_update_at - began, 2),
        "epoch_after_s": round(time.perf_counter() - began, 2),
    }
    print(json.dumps(figures))
    sys.exit(0)


def write_channel(path: Path) -> int:
    """Write the series one at a time and return the file's size in bytes."""
    with path.open("w") as file:
        file.writelines(_lines())
    return path.stat().st_size


def _lines() -> Iterator[str]:
    random = np.random.default_rng(0)
    steps = np.arange(NUM_POINTS)
    for _ in range(NUM_SERIES):
        level = random.uniform(10, 1000)
        values = level * (
            1 + 0.4 * np.sin(steps * 2 * np.pi / 24) + random.normal(0, 0.05, NUM_POINTS)
        )
        yield (
            json.dumps({"start": "2020-01-01 00:00:00", "target": values.round(2).tolist()}) + "\n"
        )


if __name__ == "__main__":
    main()
