#!/usr/bin/env python3
"""Many clients for a long time: is an answer lost, does memory grow?

    python scripts/benchmarks/serving_soak.py --model runs/serving/model --body runs/serving/request.json \
        --clients 64 --seconds 600

Memory is the server's resident set, read every few seconds; its slope is that of a straight line
through the second half, when caches are full.
"""

import argparse
import os
import statistics
import threading
import time
from pathlib import Path

from serving_load import TRIVIAL, load, serving

TRIVIAL_BODY = b"[1,2,3,4]"
MIB = 1024 * 1024


def main() -> None:
    """Print what the clients saw, and the memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=TRIVIAL)
    parser.add_argument("--body", type=Path, help="JSON; default: the trivial model's")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    body = options.body.read_bytes() if options.body else TRIVIAL_BODY
    readings: list[tuple[float, float]] = []
    is_over = threading.Event()
    with serving(options.model) as (port, pid):

        def read() -> None:
            while not is_over.wait(max(0.5, options.seconds / 120)):
                readings.append((time.monotonic(), resident_mib(pid)))

        reader = threading.Thread(target=read)
        reader.start()
        seen = load(port, body, num_clients=options.clients, seconds=options.seconds)
        is_over.set()
        reader.join()
    print(f"{options.clients} clients, {seen.wall_s:.0f} s: {seen}")
    half = readings[len(readings) // 2 :]
    slope, _ = statistics.linear_regression(*zip(*half, strict=True))
    print(
        f"resident: {readings[0][1]:.1f} MiB at first, {half[0][1]:.1f} at half time, "
        f"{half[-1][1]:.1f} at the end, slope of the second half {60 * slope:+.3f} MiB a minute"
    )


def resident_mib(pid: int) -> float:
    """Return the resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


if __name__ == "__main__":
    main()
