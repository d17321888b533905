"""What checkpoints cost, and how soon a killed job is back at work.

    python scripts/benchmarks/checkpoints.py --config configs/deepar.yaml --runs 3

Trains with the default interval until a few checkpoints are written, kills the process, starts the
same command again, and reads from the log when it went on and what share saving took.
"""

import argparse
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FIRST_LOSS = "train loss <loss>="
SHARE = re.compile(r"(\d+) checkpoints took (\S+) s, (\S+) % of the training time")


def start(arguments: argparse.Namespace, output: Path) -> subprocess.Popen[str]:
    """Start the job, or go on with it."""
    command = [sys.executable, "-m", "sm_dl.train", "--config", arguments.config]
    for setting in (f"output={output}", *arguments.set):
        command += ["--set", setting]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
    )


def moments(process: subprocess.Popen[str], started: float, last: str) -> dict[str, float]:
    """Return the seconds after which each of a few lines came, up to the line `last`."""
    seen: dict[str, float] = {}
    for line in process.stdout or ():
        for mark in ("Final configuration", "Continuing from checkpoint", FIRST_LOSS):
            if mark in line:
                seen.setdefault(mark, time.monotonic() - started)
        if share := SHARE.search(line):
            seen["checkpoints"], seen["seconds"], seen["percent"] = map(float, share.groups())
        if last in seen:
            return seen
    sys.exit("the job ended before its time")


def main() -> None:
    """Print medians over several runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True)
    parser.add_argument("--set", action="append", default=[], metavar="BLOCK.KEY=VALUE")
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    to_first_step, percents = [], []
    for _ in range(arguments.runs):
        folder = Path(tempfile.mkdtemp(prefix="checkpoints-"))
        process = start(arguments, folder)
        moments(process, time.monotonic(), FIRST_LOSS)
        while len(list((folder / "checkpoints").glob("step-*.safetensors"))) < 2:
            time.sleep(0.1)
        process.kill()
        process.communicate()
        process = start(arguments, folder)
        seen = moments(process, time.monotonic(), FIRST_LOSS)
        to_first_step.append(seen[FIRST_LOSS] - seen["Final configuration"])
        percents.append(moments(process, time.monotonic(), "percent")["percent"])
        process.kill()
        process.communicate()
        shutil.rmtree(folder)
        print(f"resumed: {seen}; saving took {percents[-1]} %", flush=True)
    print(
        f"checked job to first step after a kill, reading and imports included: median "
        f"{statistics.median(to_first_step):.1f} s; saving: median {statistics.median(percents):.2f} % "
        "of the training time"
    )


if __name__ == "__main__":
    main()
