"""Kill a training job at random moments until it has ended, many times over, and compare weights.

    python scripts/benchmarks/kill_soak.py --kills 100 --stops 50

A chain of interruptions (SIGKILL, or SIGTERM, which must end in exit code 143 within 60 s) hits
one job, started again by the same command each time; in the end its weights must equal, byte for
byte, those of a run that nobody touched. Moments are uniform over start-up, training, validation,
saving and scoring.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

CHAIN = 5
"""Interruptions of one run."""
STOP_LIMIT_S = 60


def write_job(folder: Path) -> Path:
    """Write twelve noisy waves and a config of some thousand updates, and return its path."""
    rng = np.random.default_rng(7)
    steps = np.arange(64)
    channels = {"train": 56, "validation": 60, "test": 64}
    waves = [10 + i + 3 * np.sin(steps / 4 + i) + rng.normal(0, 0.2, 64) for i in range(12)]
    for name, length in channels.items():
        (folder / name).mkdir()
        lines = [{"start": "2024-02-28", "target": wave[:length].tolist()} for wave in waves]
        (folder / name / "a.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
    config = {
        "algorithm": "deepar",
        "hyperparameters": {
            "time_freq": "D",
            "prediction_length": 4,
            "context_length": 8,
            "epochs": 250,
            "num_cells": 8,
            "mini_batch_size": 16,
            "early_stopping_patience": 250,
            "num_eval_samples": 20,
        },
        "channels": {name: str(folder / name) for name in channels},
        "output": str(folder / "run"),
    }
    path = folder / "job.yaml"
    path.write_text(json.dumps(config))
    return path


class Soak:
    """One job and the ways to interrupt it."""

    def __init__(self, folder: Path, processes: int, seed: int) -> None:
        """Write the job and train it once, untouched."""
        self.config = write_job(folder)
        self.folder = folder
        self.processes = processes
        self.random = random.Random(seed)  # noqa: S311 - a schedule, no secret
        started = time.monotonic()
        code, log = self.run("whole", None, signal.SIGKILL)
        self.duration_s = time.monotonic() - started
        if code:
            sys.exit(f"the untouched run failed:\n{log}")
        self.wanted = self.weights("whole")

    def weights(self, name: str) -> bytes:
        """Return the weights a run has left."""
        return (self.folder / name / "model" / "weights.safetensors").read_bytes()

    def run(self, name: str, moment_s: float | None, number: signal.Signals) -> tuple[int, str]:
        """Start or go on with a run, interrupt it at a moment, return its exit code and log."""
        command = [sys.executable, "-m", "sm_dl", "train", "--config", str(self.config)]
        command += ["--set", f"output={self.folder / name}"]
        command += ["--set", f"resources.devices={self.processes}"]
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "SM_DL_CHECKPOINT_INTERVAL_S": "0"},
        )
        if moment_s is not None:
            try:
                process.wait(moment_s)
            except subprocess.TimeoutExpired:
                process.send_signal(number)
        log, _ = process.communicate(timeout=STOP_LIMIT_S if moment_s else 600)
        return process.returncode, log

    def chain(self, name: str, number: signal.Signals, outcomes: dict[str, int]) -> int:
        """Interrupt one run several times, let it end, compare; return how often it was hit."""
        hits = 0
        good: Mapping[int, str] = {0: "had ended before", -9: "killed", 143: "stopped"}
        for _ in range(CHAIN):
            code, log = self.run(name, self.random.uniform(0, self.duration_s), number)
            # before Python has a handler, SIGTERM ends a process as it ends any other
            word = "ended in start-up" if code == -signal.SIGTERM else good.get(code)
            if word is None:
                sys.exit(f"{name}: exit code {code} after {number.name}:\n{log}")
            if "Continuing from checkpoint" in log:
                outcomes["resumed"] = outcomes.get("resumed", 0) + 1
            outcomes[word] = outcomes.get(word, 0) + 1
            hits += code != 0
        code, log = self.run(name, None, number)
        if code:
            sys.exit(f"{name}: exit code {code} at the end:\n{log}")
        if self.weights(name) != self.wanted:
            sys.exit(f"{name}: other weights than the untouched run; kept in {self.folder}")
        shutil.rmtree(self.folder / name)
        return hits


def main() -> None:
    """Print how many interruptions of each kind a job survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--stops", type=int, default=50)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kill-soak-"))
    soak = Soak(folder, arguments.processes, arguments.seed)
    print(f"untouched run: {soak.duration_s:.1f} s", flush=True)
    for number, wanted in ((signal.SIGKILL, arguments.kills), (signal.SIGTERM, arguments.stops)):
        hits, chains, outcomes = 0, 0, dict[str, int]()
        while hits < wanted:
            hits += soak.chain(f"{number.name}-{chains}", number, outcomes)
            chains += 1
            print(f"{number.name}: {hits} in {chains} runs, all bit-equal; {outcomes}", flush=True)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
