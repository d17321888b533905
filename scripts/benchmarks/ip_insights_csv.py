#!/usr/bin/env python3
r"""CSV to ids and addresses, and CSV to scores by the endpoint's own path: millions of pairs a second.

The process is prepared as the server's is: what it frees it keeps.

taskset -c 0 python scripts/benchmarks/ip_insights_csv.py --model runs/ip_insights/model \
        data/simulated_ip_log/train/events.csv
"""

import argparse
import csv
import io
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from sm_dl.engine import machine

machine.prepare()

import pyarrow as pa  # noqa: E402
import torch  # noqa: E402

from sm_dl import registry  # noqa: E402
from sm_dl.algorithms.ip_insights.codec import decode  # noqa: E402
from sm_dl.algorithms.ip_insights.data import read_table  # noqa: E402
from sm_dl.content_types import CSV, JSON, MediaType  # noqa: E402
from sm_dl.job.job import ChannelSource, Hosts  # noqa: E402
from sm_dl.serving.invoke import Call, invoke  # noqa: E402


def million_a_second(count: int, work: Callable[[], object], rounds: int) -> float:
    """Return the median speed of some work on so many pairs, by the time of the processor."""
    seconds = []
    for _ in range(rounds):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return count / statistics.median(seconds) / 1e6


def plain_rows(body: bytes) -> list[tuple[int, int]]:
    """Return what a plain loop makes of CSV."""
    found = []
    for entity, address in csv.reader(io.StringIO(body.decode())):
        a, b, c, d = map(int, address.split("."))
        found.append((hash(entity) % 20_000, a << 24 | b << 16 | c << 8 | d))
    return found


def main() -> None:
    """Print the speeds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    pa.set_cpu_count(1)
    predictor = registry.load(options.model)
    source = ChannelSource("train", options.file)
    count = len(read_table(source, 20_000, hosts=Hosts()))
    read = million_a_second(
        count, lambda: read_table(source, 20_000, hosts=Hosts()), options.rounds
    )
    lines = options.file.read_bytes().split(b"\n")[:100_000]
    body = b"\n".join(lines)
    loop = million_a_second(len(lines), lambda: plain_rows(body), 3)
    print(
        f"CSV to ids and addresses: {read:.2f} million/s; a plain loop {loop:.2f}, {read / loop:.1f} times"
    )
    repeated = b"\n".join(lines[:1000] * 100)
    for name, one in (("as they come", body), ("1000 pairs a hundred times", repeated)):
        request = decode(one, MediaType(CSV))
        (answer,) = predictor.predict([request])
        whole = million_a_second(
            len(request),
            lambda one=one: invoke(predictor, Call(body=one, content_type=CSV)),  # type: ignore[misc]
            options.rounds,
        )
        parts = {
            "decode": lambda one=one: decode(one, MediaType(CSV)),
            "predict": lambda request=request: predictor.predict([request]),
            "encode": lambda answer=answer: predictor.encode(answer, JSON),
        }
        speeds = ", ".join(
            f"{part} {million_a_second(len(request), work, options.rounds):.2f}"
            for part, work in parts.items()
        )
        print(f"scoring {len(request)} pairs, {name}: {whole:.2f} million/s ({speeds})")


if __name__ == "__main__":
    main()
