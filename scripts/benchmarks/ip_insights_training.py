#!/usr/bin/env python3
"""Train the tutorial's network on its simulated log: ours, and plain PyTorch loops of the same network.

Ours is what a job does, from the CSV file on: reading, drawing, the step with the engine's own sums and
checks. The plain loops have the same tables, layers, rates and negatives; each of the 1000 pairs of a
batch is looked up and encoded on its own. `dense` uses `nn.Embedding` and `Adam`, as tutorials do;
`sparse` has `sparse=True` and `SparseAdam`, and batches drawn with NumPy beforehand, which is generous.
Runs take turns; records count generated pairs, as the service does.

    taskset -c 0 python scripts/benchmarks/ip_insights_training.py data/simulated_ip_log/train --steps 400
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from sm_dl.algorithms.ip_insights.batches import EpochBatches
from sm_dl.algorithms.ip_insights.data import Table, read_table
from sm_dl.algorithms.ip_insights.hyperparameters import IPInsightsHyperparameters
from sm_dl.algorithms.ip_insights.module import IPInsightsModule
from sm_dl.algorithms.ip_insights.network import NUM_PREFIX_ROWS, PREFIX_BITS, prefix_rows
from sm_dl.algorithms.ip_insights.training import build_network
from sm_dl.engine import denormals
from sm_dl.engine.losses import sums_of
from sm_dl.engine.place import Place, address
from sm_dl.engine.strategy import hardware
from sm_dl.engine.updates import optimizer_of, size_of_gradients
from sm_dl.job.job import ChannelSource, Hosts

TUTORIAL = {
    "num_entity_vectors": 20_000,
    "vector_dim": 128,
    "mini_batch_size": 1000,
    "random_negative_sampling_rate": 5,
    "shuffled_negative_sampling_rate": 1,
    "learning_rate": 0.01,
}


class Plain(nn.Module):
    """The network as one would write it down: a pair at a time."""

    def __init__(self, settings: IPInsightsHyperparameters, *, is_sparse: bool) -> None:
        """Set up the same tables and layers."""
        super().__init__()
        width, dim = min(settings.vector_dim, 32), settings.vector_dim
        self.entities = nn.Embedding(settings.num_entity_vectors, dim, sparse=is_sparse)
        self.prefixes = nn.Embedding(NUM_PREFIX_ROWS, width, sparse=is_sparse)
        self.layers = nn.Sequential(
            nn.Linear(len(PREFIX_BITS) * width + 32, dim), nn.ReLU(), nn.Linear(dim, dim)
        )

    def forward(self, entity_N: Tensor, address_N: Tensor) -> Tensor:
        """Return the score of each pair."""
        bits = (address_N.unsqueeze(1) >> torch.arange(31, -1, -1) & 1).float() * 2 - 1
        features = self.prefixes(prefix_rows(address_N)).flatten(1)
        vectors = self.layers(torch.cat([features, bits], dim=1))
        scores: Tensor = (self.entities(entity_N) * vectors).sum(1)
        return scores


def ours(table: Table, settings: IPInsightsHyperparameters) -> Callable[[int], float]:
    """Return a function that makes so many steps and returns the seconds they took."""
    module = IPInsightsModule(build_network(settings), settings, EpochBatches(table, settings))
    module.on_fit_start()
    optimizer, schedule, _ = optimizer_of(module)
    batches = iter(EpochBatches(table, settings)(Place(0)))
    is_bf16 = hardware().has_bf16  # what `precision: auto` takes

    def run(num_steps: int) -> float:
        started = time.perf_counter()
        with denormals.taken_for_zero():
            for step in range(num_steps):  # what `sm_dl.engine.run.Run` does for a batch
                torch.manual_seed(address(settings.seed, 0, step, 0))
                with torch.autocast("cpu", enabled=is_bf16):
                    loss = module.training_step(next(batches), step)
                sums = sums_of(loss)
                optimizer.zero_grad()
                mean = loss["total"] / sums[1].clamp_min(1.0).to(loss["total"].dtype)
                mean.backward()  # type: ignore[no-untyped-call]
                float(sums[0])
                float(size_of_gradients(module.parameters()))
                optimizer.step()
                schedule.step()
        return time.perf_counter() - started

    return run


def plain(
    table: Table, settings: IPInsightsHyperparameters, *, is_sparse: bool
) -> Callable[[int], float]:
    """Return the same of a plain loop."""
    torch.manual_seed(0)
    network = Plain(settings, is_sparse=is_sparse)
    rate = settings.learning_rate
    if is_sparse:
        tables = [network.entities.weight, network.prefixes.weight]
        optimizers: list[torch.optim.Optimizer] = [
            torch.optim.SparseAdam(tables, lr=rate),
            torch.optim.Adam(network.layers.parameters(), lr=rate, weight_decay=1e-5),
        ]
    else:
        optimizers = [torch.optim.Adam(network.parameters(), lr=rate, weight_decay=1e-5)]
    row_N, address_N = (
        torch.from_numpy(one.astype("int64")) for one in (table.row_N, table.address_N)
    )
    num_pairs = settings.positives_per_batch
    num_random, num_shuffled = (
        settings.random_negative_sampling_rate,
        settings.shuffled_negative_sampling_rate,
    )

    def run(num_steps: int) -> float:
        started = time.perf_counter()
        for _ in range(num_steps):
            chosen = torch.randint(0, len(row_N), (num_pairs,))
            real = address_N[chosen]
            shuffled = [real[torch.randperm(num_pairs)] for _ in range(num_shuffled)]
            addresses = torch.cat(
                [real, *shuffled, torch.randint(0, 2**32, (num_random * num_pairs,))]
            )
            entities = row_N[chosen].repeat(1 + settings.num_negatives)
            truth = torch.zeros(len(addresses))
            truth[:num_pairs] = 1
            loss = functional.binary_cross_entropy_with_logits(network(entities, addresses), truth)
            for optimizer in optimizers:
                optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            for optimizer in optimizers:
                optimizer.step()
        return time.perf_counter() - started

    return run


def main() -> None:
    """Print records a second of each, medians over rounds, and the ratios."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("train", type=Path)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    settings = IPInsightsHyperparameters.parse(TUTORIAL)
    started = time.perf_counter()
    table = read_table(
        ChannelSource("train", options.train), settings.num_entity_vectors, hosts=Hosts()
    )
    reading = time.perf_counter() - started
    runs = {
        "ours": (ours(table, settings), options.steps),
        "sparse": (plain(table, settings, is_sparse=True), options.steps),
        "dense": (plain(table, settings, is_sparse=False), max(1, options.steps // 20)),
    }
    records = settings.positives_per_batch * (1 + settings.num_negatives)
    speeds: dict[str, list[float]] = {name: [] for name in runs}
    for run, steps in runs.values():
        run(max(1, steps // 10))
    for _ in range(options.rounds):
        for name, (run, steps) in runs.items():
            speeds[name].append(steps * records / run(steps))
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    per_record = reading / (len(table) * (1 + settings.num_negatives))
    with_reading = 1 / (1 / medians["ours"] + per_record)
    print(
        f"reading {len(table)} pairs: {reading:.2f} s, {len(table) / reading / 1e6:.2f} million/s"
    )
    for name, speed in medians.items():
        print(
            f"{name}: {speed:,.0f} records/s; ours is {medians['ours'] / speed:.2f} times as fast"
        )
    print(f"ours with all of the reading in one epoch: {with_reading:,.0f} records/s")


if __name__ == "__main__":
    main()
