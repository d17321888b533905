#!/usr/bin/env python3
"""Jobs on a CPU with threads that wait asleep, and awake, in turn: records/s by the job's own log.

python scripts/benchmarks/waiting.py configs/quickstart.yaml configs/ntm.yaml --rounds 3
python scripts/benchmarks/waiting.py configs/quickstart.yaml --neighbour     # beside a busy one
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WAYS = {"asleep": "PASSIVE", "awake": "ACTIVE"}
SPEEDS = (
    re.compile(r"#throughput_metric: .* train throughput=(\S+) records/second"),
    re.compile(r"Speed: (\S+) samples/sec"),
)


def speed_of(config: Path, policy: str, settings: list[str]) -> float:
    """Return the median of what a job tells, without the first, when it warms up, if there are more."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "sm_dl", "train", "--config", str(config)]
        for setting in (*settings, f"output={folder}/run"):
            command += ["--set", setting]
        run = subprocess.run(
            command, capture_output=True, text=True, check=False,
            env=os.environ | {"OMP_WAIT_POLICY": policy},
        )  # fmt: skip
    if run.returncode:
        raise SystemExit(run.stdout + run.stderr)
    found = [one.findall(run.stdout + run.stderr) for one in SPEEDS]
    speeds = [float(speed) for speed in next(filter(None, found))]
    return statistics.median(speeds[1:] or speeds)


@contextmanager
def neighbour(*, is_there: bool) -> Iterator[None]:
    """Let another program use one processor meanwhile."""
    command = [sys.executable, "-c", "while True: pass"]
    other = subprocess.Popen(command) if is_there else None
    try:
        yield
    finally:
        if other is not None:
            other.kill()
            other.wait()


def main() -> None:
    """Print both speeds of each job, medians over rounds, and their ratio."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("configs", type=Path, nargs="+")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--neighbour", action="store_true")
    options = parser.parse_args()
    for config in options.configs:
        found: dict[str, list[float]] = {way: [] for way in WAYS}
        with neighbour(is_there=options.neighbour):
            for _ in range(options.rounds):
                for way, policy in WAYS.items():
                    found[way].append(speed_of(config, policy, options.settings))
        asleep, awake = (statistics.median(found[way]) for way in WAYS)
        print(
            f"{config.stem}: {asleep:,.0f} records/s asleep, {awake:,.0f} awake, "
            f"{awake / asleep:.2f} times",
            flush=True,
        )


if __name__ == "__main__":
    main()
