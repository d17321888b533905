#!/usr/bin/env python3
r"""Run this project's DeepAR and GluonTS's in turn, and print both medians and the median ratio.

    python scripts/benchmarks/deepar_versus.py --peer-python peer/bin/python --runs 5 \
        --task train-speed --context 96 --prediction 48

`--peer-python` is the interpreter of an environment with `gluonts[torch]==0.17.0`. What this script
does not know goes to both twins; `--peer-options` goes to the peer alone, e.g. `--cache`.
"""

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    """Print one line per figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--peer-python", required=True)
    parser.add_argument("--peer-options", default="")
    parser.add_argument("--runs", type=int, default=5)
    options, shared = parser.parse_known_args()

    ours, peers = [], []
    for seed in range(options.runs):
        arguments = [*shared, "--seed", str(seed)]
        ours.append(_line([sys.executable, str(HERE / "deepar_ours.py"), *arguments]))
        peer = [options.peer_python, str(HERE / "deepar_gluonts.py"), *arguments]
        peers.append(_line([*peer, *shlex.split(options.peer_options)]))
    numbers = [
        key for key, value in ours[0].items() if isinstance(value, float) and key in peers[0]
    ]
    print(shlex.join(shared), options.peer_options, f"({options.runs} runs in turn, one thread)")
    for key in numbers:
        mine, theirs = [run[key] for run in ours], [run[key] for run in peers]
        ratio = statistics.median(a / b for a, b in zip(mine, theirs, strict=True) if b)
        print(
            f"{key:<22} ours {statistics.median(mine):>10.5g}  peer {statistics.median(theirs):>10.5g}"
            f"  median ratio {ratio:.3g}   ours {mine}  peer {theirs}"
        )


def _line(command: list[str]) -> dict[str, float]:
    """Return the JSON line a twin printed."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    finished = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    line: dict[str, float] = json.loads(finished.stdout.splitlines()[-1])
    return line


if __name__ == "__main__":
    main()
