#!/usr/bin/env python3
"""Print what batch transform itself costs: splitting, filters, joins, assembly.

The model answers at once with its request, so that nothing else is in the figures. Each case reads
a stream of `--megabytes` that is made on the way, in a process of its own; the last column is what
the process grew by, above its imports.

    OMP_NUM_THREADS=1 python scripts/benchmarks/transform.py
"""

import argparse
import io
import multiprocessing
import resource
import statistics
import time
from concurrent.futures import Future
from typing import Any

from sm_dl.content_types import CSV, JSON_LINES
from sm_dl.serving.batch import one_object
from sm_dl.serving.batch.rules import Rules
from sm_dl.serving.invoke import Call, Response

NUMBERS = ",".join(f"{number / 7:.4f}" for number in range(100))
JSON_LINE = b'{"id":12345,"features":[%s]}\n' % NUMBERS.encode()
CSV_LINE = b"12345,%s\n" % NUMBERS.encode()
FRAME = b"\x0a\x23\xd7\xce" + (1000).to_bytes(4, "little") + bytes(1000)
MIB = 1 << 20

LINES = {"split_type": "Line", "assemble_with": "Line", "max_concurrent_transforms": 2}
JOIN = {**LINES, "join_source": "Input"}
CASES: dict[str, tuple[bytes, str, dict[str, Any]]] = {
    "lines, as many as fit": (JSON_LINE, JSON_LINES, LINES),
    "lines, one by one": (JSON_LINE, JSON_LINES, {**LINES, "batch_strategy": "SingleRecord"}),
    "JSON Lines, filter, join, filter": (
        JSON_LINE,
        JSON_LINES,
        {**JOIN, "input_filter": "$.features", "output_filter": "$['id','SageMakerOutput']"},
    ),
    "CSV, filter, join, filter": (
        CSV_LINE,
        CSV,
        {**JOIN, "input_filter": "$[1:]", "output_filter": "$[0,-1]"},
    ),
    "RecordIO, as many as fit": (FRAME, "application/x-recordio", {"split_type": "RecordIO"}),
    "RecordIO, one by one": (
        FRAME,
        "application/x-recordio",
        {"split_type": "RecordIO", "batch_strategy": "SingleRecord"},
    ),
}


class Repeated(io.RawIOBase):
    """A stream of the same record over and over."""

    def __init__(self, record: bytes, num_bytes: int) -> None:
        """Hold one block of whole records."""
        self._block = record * (MIB // len(record))
        self._left = num_bytes // len(self._block)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        """Fill the buffer."""
        if not self._rest and self._left:
            self._rest, self._left = memoryview(self._block), self._left - 1
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def answer(call: Call) -> Future[Response]:
    """Return the request as its own answer."""
    future: Future[Response] = Future()
    future.set_result(Response(200, call.body, call.accept or call.content_type))
    return future


def measure(name: str, num_megabytes: int) -> tuple[float, float, float]:
    """Return MB per second, records per second and the MiB that the process grew by."""
    record, content_type, settings = CASES[name]
    source = io.BufferedReader(Repeated(record, num_megabytes * MIB), MIB)
    rules = Rules(content_type=content_type, **settings)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    with open("/dev/null", "wb") as sink:  # noqa: PTH123 - no path to speak of
        one_object.transform(answer, source, sink, name=name, rules=rules)
    taken_s = time.process_time() - start
    grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return num_megabytes / taken_s, num_megabytes * MIB / len(record) / taken_s, grown_mib


def main() -> None:
    """Print one line for each case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=20)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    print(f"{'case':<34} {'MiB/CPU s':>10} {'records/CPU s':>14} {'grown MiB':>10}")
    for name in CASES:
        results = []
        for _ in range(arguments.runs):
            with context.Pool(1) as pool:
                results.append(pool.apply(measure, (name, arguments.megabytes)))
        speed, records, grown = map(statistics.median, zip(*results, strict=True))
        print(f"{name:<34} {speed:>10,.0f} {records:>14,.0f} {grown:>10,.0f}")


if __name__ == "__main__":
    main()
