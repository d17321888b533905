#!/usr/bin/env python3
"""Print what the DeepAR of GluonTS does on a DeepAR channel folder, as one JSON line.

Run it with the interpreter of an environment that holds `gluonts[torch]` (figures so far: 0.17.0),
not with this project's own, and with the thread pools pinned before Python starts:

    OMP_NUM_THREADS=1 python scripts/benchmarks/deepar_gluonts.py --task train-speed

`--channel-folder` holds `train` and `test` as the scripts in scripts/prepare write them. The
estimator runs as GluonTS ships it (its loader, Lightning module, trainer, gradient clipping and
best-epoch checkpoint); only progress bar, logger and model summary are off, which helps it.
Categories are used when the records have them.
The line holds the settings, the versions, and by task

- train-speed: windows per second of CPU and wall time, data loading included, over `--updates`
  updates after a warm-up, within one epoch, so that no checkpoint falls into the measure;
- predict-speed: series per second of CPU and wall time for `--samples` paths, from raw series to
  arrays, after a warm-up on a few series;
- quality: mean_wQuantileLoss, ND and RMSE over the last `--prediction` points of every test
  series after `--updates` updates, in epochs of 50 as by default, and the CPU time of training.
"""

import argparse
import gzip
import json
import logging
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from gluonts.dataset.common import ListDataset
from gluonts.torch.model.deepar import DeepAREstimator

QUANTILES = tuple(tenth / 10 for tenth in range(1, 10))
WARM_UP_UPDATES, WARM_UP_SERIES = 5, 4
EPOCH_UPDATES = 50
"""Updates an epoch, the default of GluonTS; the step size may be halved only between epochs."""

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Moment:
    """The two clocks, read together."""

    cpu_s: float
    wall_s: float

    @classmethod
    def now(cls) -> "Moment":
        """Return both clocks in seconds; the CPU clock counts every thread of the process."""
        return cls(time.process_time(), time.perf_counter())

    def rates_until(self, end: "Moment", count: int, name: str) -> dict[str, float]:
        """Return `count` per second of both clocks, from this moment to `end`."""
        return {
            f"{name}_per_cpu_s": round(count / (end.cpu_s - self.cpu_s), 2),
            f"{name}_per_wall_s": round(count / (end.wall_s - self.wall_s), 2),
        }


class UpdateClock(pl.Callback):
    """Reads the clocks as each update starts, after its batch was loaded."""

    def __init__(self) -> None:
        """Start with nothing read."""
        self.moments: list[Moment] = []

    def on_train_batch_start(self, *_: object, **__: object) -> None:
        """Read the clocks."""
        self.moments.append(Moment.now())


def read_channel(options: argparse.Namespace, channel: str) -> list[dict[str, Any]]:
    """Return the first `--series` records of a channel, in the field names of GluonTS."""
    folder = options.channel_folder / channel
    entries = []
    for path in sorted(folder.rglob("[!.]*.json.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            entries += [json.loads(line) for line in lines]
    if not entries:
        raise SystemExit(f"{folder}: expected files *.json.gz, found none; prepare the data first.")
    return [
        {
            "start": entry["start"],
            # NumPy reads None as NaN when it is told the type
            "target": np.array(entry["target"], dtype=np.float32),
            **({"feat_static_cat": entry["cat"]} if "cat" in entry else {}),
        }
        for entry in entries[: options.series or None]
    ]


def make_estimator(
    options: argparse.Namespace,
    train: Sequence[dict[str, Any]],
    folder: str,
    epochs: int,
    epoch_updates: int,
    *callbacks: object,
) -> DeepAREstimator:
    """Return the estimator with its defaults, save what the options and the categories state."""
    categories = zip(*(entry.get("feat_static_cat", ()) for entry in train), strict=True)
    cardinality = [1 + int(max(column)) for column in categories]
    return DeepAREstimator(
        freq=options.freq,
        context_length=options.context,
        prediction_length=options.prediction,
        num_layers=options.layers,
        hidden_size=options.cells,
        lr=options.lr,
        batch_size=options.batch,
        num_batches_per_epoch=epoch_updates,
        num_parallel_samples=options.samples,
        num_feat_static_cat=len(cardinality),
        cardinality=cardinality or None,
        trainer_kwargs={
            "max_epochs": epochs,
            "accelerator": "cpu",
            "default_root_dir": folder,
            "logger": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "callbacks": list(callbacks),
        },
    )


def measure_training(options: argparse.Namespace, folder: str) -> dict[str, float]:
    """Return windows per second, and the number of weights."""
    train = ListDataset(read_channel(options, "train"), options.freq)
    clock = UpdateClock()
    estimator = make_estimator(
        options, train, folder, 1, WARM_UP_UPDATES + options.updates + 1, clock
    )
    network = estimator.train_model(train, cache_data=options.cache).trained_net
    start, end = clock.moments[WARM_UP_UPDATES], clock.moments[-1]
    return {
        **start.rates_until(end, options.updates * options.batch, "windows"),
        "num_weights": sum(weight.numel() for weight in network.parameters()),
    }


def measure_prediction(options: argparse.Namespace, folder: str) -> dict[str, float]:
    """Return series per second of a network that saw a few updates."""
    train = ListDataset(read_channel(options, "train"), options.freq)
    predictor = make_estimator(options, train, folder, 1, options.updates).train(train)
    predictor.batch_size = options.predict_batch or options.batch
    list(predictor.predict(train[:WARM_UP_SERIES]))
    start = Moment.now()
    num_forecasts = len(list(predictor.predict(train)))
    return start.rates_until(Moment.now(), num_forecasts, "series")


def measure_quality(options: argparse.Namespace, folder: str) -> dict[str, float]:
    """Return the scores on the test channel, and what training them took."""
    epoch_updates = min(EPOCH_UPDATES, options.updates)
    if options.updates % epoch_updates:
        raise SystemExit(f"--updates: expected a multiple of {EPOCH_UPDATES} for quality.")
    train = ListDataset(read_channel(options, "train"), options.freq)
    whole = read_channel(options, "test")
    epochs = options.updates // epoch_updates
    start = Moment.now()
    estimator = make_estimator(options, train, folder, epochs, epoch_updates)
    predictor = estimator.train(train, cache_data=options.cache)
    end = Moment.now()

    horizon = options.prediction
    known = [{**entry, "target": entry["target"][:-horizon]} for entry in whole]
    forecasts = predictor.predict(ListDataset(known, options.freq))
    truth_NT = np.stack([entry["target"][-horizon:] for entry in whole]).astype(np.float64)
    return {
        **scores(truth_NT, [forecast.samples for forecast in forecasts]),
        "train_cpu_s": round(end.cpu_s - start.cpu_s, 1),
        "train_wall_s": round(end.wall_s - start.wall_s, 1),
    }


def scores(truth_NT: Floats, samples: Sequence[Floats]) -> dict[str, float]:
    """Return the service's scores of N sample sets, each (paths, T); missing truths are left out.

    wQL[q] = 2 sum pinball / sum |y|, RMSE of the mean forecast, ND of the median forecast.
    """
    samples_NST = np.stack(samples).astype(np.float64)
    known_NT = ~np.isnan(truth_NT)
    truth = truth_NT[known_NT]
    size = np.abs(truth).sum()

    def pinball(quantile: float) -> float:
        error = truth - np.quantile(samples_NST, quantile, axis=1)[known_NT]
        return float(np.maximum(quantile * error, (quantile - 1) * error).sum())

    mean = samples_NST.mean(axis=1)[known_NT]
    return {
        "mean_wQuantileLoss": round(float(np.mean([2 * pinball(q) / size for q in QUANTILES])), 5),
        "ND": round(float(2 * pinball(0.5) / size), 5),
        "RMSE": round(float(np.sqrt(np.mean((truth - mean) ** 2))), 2),
    }


TASKS = {
    "train-speed": measure_training,
    "predict-speed": measure_prediction,
    "quality": measure_quality,
}


def parse_options() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--channel-folder", type=Path, default=Path("data/m4_hourly"))
    parser.add_argument("--task", choices=sorted(TASKS), required=True)
    parser.add_argument("--freq", default="h", help="frequency as pandas spells it")
    parser.add_argument("--context", type=int, default=96)
    parser.add_argument("--prediction", type=int, default=48)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--cells", type=int, default=40)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--updates", type=int, default=100)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--series", type=int, default=0, help="use the first so many; 0 for all")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--cache", action="store_true", help="keep the transformed training series in memory"
    )
    parser.add_argument(
        "--predict-batch", type=int, default=0, help="series a batch in predict-speed; 0: --batch"
    )
    return parser.parse_args()


def main() -> None:
    """Print the figures of one task."""
    options = parse_options()
    # the line must stand alone on standard output, and advice to users is not a figure
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    torch.set_num_threads(options.threads)
    pl.seed_everything(options.seed, verbose=False)
    with tempfile.TemporaryDirectory() as folder:
        figures = TASKS[options.task](options, folder)
    settings = {name: value for name, value in vars(options).items() if name != "channel_folder"}
    print(
        json.dumps(
            {
                "peer": f"gluonts {version('gluonts')}",
                "torch": torch.__version__,
                "lightning": version("lightning"),
                "data": options.channel_folder.name,
                **settings,
                **figures,
            }
        )
    )


if __name__ == "__main__":
    main()
