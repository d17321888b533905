#!/usr/bin/env python3
"""Print what this project's DeepAR does on a DeepAR channel folder, as one JSON line.

The twin of deepar_gluonts.py: same tasks, same options, same clocks, so that the two can be run in
turn (deepar_versus.py). Training runs through the public engine, checkpoints, averages and log
lines included; prediction through the `Predictor` that serves.

    OMP_NUM_THREADS=1 python scripts/benchmarks/deepar_ours.py --task train-speed
"""

import argparse
import json
import logging
import tempfile
import time
from pathlib import Path
from typing import Any

from sm_dl.engine import machine

machine.prepare(is_training=True)  # as every door does, before torch is imported

import numpy as np  # noqa: E402
import torch  # noqa: E402

from sm_dl.algorithms.deepar import ALGORITHM, training  # noqa: E402
from sm_dl.algorithms.deepar.batches import EpochBatches  # noqa: E402
from sm_dl.algorithms.deepar.calendar import Frequency  # noqa: E402
from sm_dl.algorithms.deepar.data import read_channel  # noqa: E402
from sm_dl.algorithms.deepar.hyperparameters import DeepARHyperparameters  # noqa: E402
from sm_dl.algorithms.deepar.metrics import Scorer  # noqa: E402
from sm_dl.algorithms.deepar.module import DeepARModule  # noqa: E402
from sm_dl.algorithms.deepar.narration import DeepARNarrator  # noqa: E402
from sm_dl.algorithms.deepar.predictor import DeepARPredictor  # noqa: E402
from sm_dl.algorithms.deepar.scoring import without_future  # noqa: E402
from sm_dl.contract.metrics import MetricLog  # noqa: E402
from sm_dl.engine import fit as engine  # noqa: E402
from sm_dl.engine.strategy import Hardware, plan  # noqa: E402
from sm_dl.job.job import ChannelSource, Job, Resources  # noqa: E402
from sm_dl.job.paths import Paths  # noqa: E402

WARM_UP_UPDATES, WARM_UP_SERIES = 5, 4


class TimedBatches(EpochBatches):
    """Reads the clocks as each update starts, and ends an epoch after a number of updates."""

    updates = 0
    limit = 0

    def __call__(self, place: Any) -> Any:  # noqa: ANN401 - hands on what it gets
        """Yield batches without end of epoch until the limit."""
        self.moments: list[tuple[float, float]] = []
        epoch = 0
        while True:
            for batch in super().__call__(type(place)(epoch, device=place.device)):
                if len(batch.cat_BC) < self.batch_size:
                    continue  # the twin has full batches only
                if len(self.moments) > self.limit:
                    return
                self.moments.append((time.process_time(), time.perf_counter()))
                yield batch
            epoch += 1


def main() -> None:
    """Run one task and print its line."""
    options = _options()
    torch.set_num_threads(options.threads)
    logging.getLogger("sm_dl").setLevel(logging.ERROR)
    line = {**{key: str(value) for key, value in vars(options).items()}, "torch": torch.__version__}
    print(json.dumps({**line, **TASKS[options.task](options)}))


def train_speed(options: argparse.Namespace) -> dict[str, float]:
    """Return windows per second of CPU and wall time."""
    batches, _ = _train(options, options.updates + WARM_UP_UPDATES)
    first, last = batches.moments[WARM_UP_UPDATES], batches.moments[-1]
    windows = options.batch * (len(batches.moments) - 1 - WARM_UP_UPDATES)
    return _rates(first, last, windows, "windows")


def predict_speed(options: argparse.Namespace) -> dict[str, float]:
    """Return series per second of CPU and wall time, from series to paths."""
    _, predictor = _train(options, 2)
    series = [without_future(one, options.prediction) for one in _test_series(options)]
    wanted = {"num_samples": options.samples, "num_steps": options.prediction}
    predictor.forecast(series[:WARM_UP_SERIES], **wanted)
    first = time.process_time(), time.perf_counter()
    for start in range(0, len(series), options.batch):
        predictor.forecast(series[start : start + options.batch], **wanted)
    last = time.process_time(), time.perf_counter()
    return _rates(first, last, len(series), "series")


def quality(options: argparse.Namespace) -> dict[str, float]:
    """Return scores after a number of updates, in epochs as the job has them."""
    began = time.process_time()
    predictor = _train_epochs(options)
    cpu_s = time.process_time() - began
    scorer = Scorer([tenth / 10 for tenth in range(1, 10)])
    absolute = magnitude = 0.0
    series = _test_series(options)
    for start in range(0, len(series), options.batch):
        part = series[start : start + options.batch]
        paths = predictor.forecast(
            [without_future(one, options.prediction) for one in part],
            num_samples=options.samples,
            num_steps=options.prediction,
            seed=options.seed,
        )
        truth = np.stack([one.target_T[-options.prediction :] for one in part])
        scorer.add(paths, truth)
        absolute += float(np.nansum(np.abs(np.median(paths, axis=1) - truth)))
        magnitude += float(np.nansum(np.abs(truth)))
    scores = scorer.scores()
    if scores is None:
        raise SystemExit("the test channel has no known truth")
    return {
        "mean_wQuantileLoss": round(scores.mean_weighted_quantile_loss, 5),
        "ND": round(absolute / magnitude, 5),
        "RMSE": round(scores.rmse, 1),
        "train_cpu_s": round(cpu_s, 1),
    }


def profile(options: argparse.Namespace) -> dict[str, float]:
    """Return the share of training's CPU time that each of the ten costliest operators takes."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        _train(options, options.updates)
    events = profiler.key_averages()
    total = sum(event.self_cpu_time_total for event in events)
    costliest = sorted(events, key=lambda event: -event.self_cpu_time_total)[:10]
    return {event.key: round(event.self_cpu_time_total / total, 3) for event in costliest}


def kernel(options: argparse.Namespace) -> dict[str, float]:
    """Return windows per second of the recurrent layers alone, forward and backward."""
    steps, num_inputs = options.context + options.prediction, 40
    layers = torch.nn.LSTM(num_inputs + options.cells, options.cells, options.layers)
    inputs = torch.randn(steps, options.batch, num_inputs + options.cells)
    moments = []
    for _ in range(options.updates + WARM_UP_UPDATES):
        moments.append((time.process_time(), time.perf_counter()))
        layers(inputs)[0].sum().backward()
    windows = options.batch * (len(moments) - 1 - WARM_UP_UPDATES)
    return _rates(moments[WARM_UP_UPDATES], moments[-1], windows, "windows")


TASKS = {
    "kernel": kernel,
    "train-speed": train_speed,
    "predict-speed": predict_speed,
    "quality": quality,
    "profile": profile,
}


def _hyperparameters(options: argparse.Namespace, epochs: int) -> DeepARHyperparameters:
    return DeepARHyperparameters.parse(
        {
            "time_freq": "H",
            "prediction_length": options.prediction,
            "context_length": options.context,
            "num_layers": options.layers,
            "num_cells": options.cells,
            "mini_batch_size": options.batch,
            "learning_rate": options.lr,
            "seed": options.seed,
            "epochs": epochs,
        }
    )


def _fit(options: argparse.Namespace, batches: Any, schema: Any, epochs: int) -> DeepARPredictor:  # noqa: ANN401 - two kinds of batches
    hyperparameters = _hyperparameters(options, epochs)
    network = training.build_network(hyperparameters, schema)
    with tempfile.TemporaryDirectory() as folder:
        engine.fit(
            DeepARModule(network, hyperparameters),
            batches,
            job=Job("deepar", hyperparameters, {}, Paths(Path(folder))),
            plan=plan(ALGORITHM.placement, Resources(), Hardware()),
            num_epochs=epochs,
            narrator=DeepARNarrator(MetricLog(ALGORITHM.metrics, "algo-1")),
            average_decay=training.AVERAGE_DECAY,
            identity={},
        )
    return DeepARPredictor(network, schema, options.context)


def _train(options: argparse.Namespace, updates: int) -> tuple[TimedBatches, DeepARPredictor]:
    hyperparameters = _hyperparameters(options, 1)
    panel, schema = training.read_panel(_channel(options, "train"), hyperparameters)
    batches = TimedBatches(panel, schema, hyperparameters)
    batches.limit = updates
    return batches, _fit(options, batches, schema, 1)


def _train_epochs(options: argparse.Namespace) -> DeepARPredictor:
    """Train for the epochs that come closest to the number of updates (ten an epoch)."""
    epochs = max(1, round(options.updates / 10))
    hyperparameters = _hyperparameters(options, epochs)
    panel, schema = training.read_panel(_channel(options, "train"), hyperparameters)
    return _fit(options, EpochBatches(panel, schema, hyperparameters), schema, epochs)


def _channel(options: argparse.Namespace, name: str) -> ChannelSource:
    return ChannelSource(name, options.channel_folder / name)


def _test_series(options: argparse.Namespace) -> list[Any]:
    frequency = Frequency.parse("H")
    return list(read_channel(_channel(options, "test"), frequency))[: options.series or None]


def _rates(
    first: tuple[float, float], last: tuple[float, float], count: int, name: str
) -> dict[str, float]:
    return {
        f"{name}_per_cpu_s": round(count / (last[0] - first[0]), 2),
        f"{name}_per_wall_s": round(count / (last[1] - first[1]), 2),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--channel-folder", type=Path, default=Path("data/m4_hourly"))
    parser.add_argument("--task", choices=sorted(TASKS), required=True)
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
    return parser.parse_args()


if __name__ == "__main__":
    main()
