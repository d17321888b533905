"""DeepAR on twelve noisy waves with a category and a feature."""

import json
from pathlib import Path

import numpy as np

from tests.small_job import SmallJob

HORIZON, LENGTH = 4, 60


def _records(length: int, num_future: int = 0):
    random = np.random.default_rng(7)
    for index in range(12):
        steps = np.arange(LENGTH + HORIZON)
        wave = 10 + index + 3 * np.sin(steps / 4 + index) + random.normal(0, 0.2, len(steps))
        yield {
            "start": "2024-02-28 00:00:00",
            "target": wave[:length].round(3).tolist(),
            "cat": [index % 2],
            "dynamic_feat": [np.cos(steps / 4)[: length + num_future].round(3).tolist()],
        }


def _write(folder: Path) -> dict[str, Path]:
    channels = {"train": LENGTH - HORIZON, "test": LENGTH}
    for name, length in channels.items():
        (folder / name).mkdir(parents=True)
        lines = "".join(json.dumps(record) + "\n" for record in _records(length))
        (folder / name / "series.json").write_text(lines)
    return {name: folder / name for name in channels}


_instances = list(_records(LENGTH - HORIZON, HORIZON))[:3]

SMALL_JOB = SmallJob(
    hyperparameters={
        "time_freq": "D",
        "prediction_length": HORIZON,
        "context_length": 8,
        "epochs": 4,
        "num_cells": 8,
        "mini_batch_size": 16,
        "num_eval_samples": 20,
        "likelihood": "deterministic-L1",
        "test_quantiles": [0.5, 0.9],
    },
    epochs_name="epochs",
    silent_metrics=frozenset({"validation:loss"}),
    write_channels=_write,
    requests=(
        ("application/json", json.dumps({"instances": _instances}).encode()),
        ("application/jsonlines", b"".join(json.dumps(one).encode() + b"\n" for one in _instances)),
    ),
)
