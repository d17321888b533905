"""Servers to ask, and clients that ask them, for the serving benchmarks. Loopback only."""

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from sm_dl.content_types import JSON, MediaType
from sm_dl.engine import machine

HOST = "127.0.0.1"
TRIVIAL = "trivial"
START_S = 60


class Doubler:
    """Doubles a JSON list of numbers: what is left is the server itself."""

    request_types: tuple[str, ...] = (JSON,)
    answer_types: tuple[str, ...] = (JSON,)

    def answer_type_for(self, request_type: str) -> str:
        """Return the request's own type."""
        return request_type

    def decode(self, body: bytes, _media: MediaType) -> Any:  # noqa: ANN401 - whatever JSON holds
        """Return the numbers."""
        return orjson.loads(body)

    def predict(self, requests: Sequence[Any]) -> list[Any]:
        """Return their doubles."""
        return [[2 * value for value in request] for request in requests]

    def encode(self, answer: Any, _media_type: str) -> bytes:  # noqa: ANN401
        """Return JSON."""
        return orjson.dumps(answer)


@contextmanager
def serving(model: str, *, max_batch: int = 32, cores: str = "") -> Iterator[tuple[int, int]]:
    """Start a server in a process of its own and return its port and process id.

    Args:
        model: A model directory, or `trivial`.
        max_batch: Requests of one predict.
        cores: For taskset; empty for all.
    """
    pinned = ["taskset", "-c", cores] if cores else []
    process = subprocess.Popen(
        [*pinned, sys.executable, __file__, "--model", model, "--max-batch", str(max_batch)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        lines = iter(process.stdout or [])
        port = next(int(line.rpartition(":")[2]) for line in lines if "serving on" in line)
        yield port, process.pid
    finally:
        process.terminate()
        try:
            process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@dataclass
class Load:
    """What clients saw."""

    wall_s: float = 0.0
    latencies_s: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    num_lost: int = 0
    """Requests whose connection ended without an answer."""

    def __str__(self) -> str:
        """Return rate, median and 99th percentile."""
        ordered = sorted(self.latencies_s)
        p99 = ordered[int(0.99 * (len(ordered) - 1))]
        return (
            f"{len(ordered) / self.wall_s:8.1f} requests/s   "
            f"p50 {1e3 * statistics.median(ordered):8.2f} ms   p99 {1e3 * p99:8.2f} ms   "
            f"statuses {dict(self.statuses)}, lost {self.num_lost}"
        )


def load(port: int, body: bytes, *, num_clients: int, seconds: float, path: str = "") -> Load:
    """Let clients ask one after the other, each on one connection, and return what they saw."""
    seen = Load()

    async def run() -> None:
        until = time.perf_counter() + seconds
        clients = (
            _client(port, path or "/invocations", body, until, seen) for _ in range(num_clients)
        )
        await asyncio.gather(*clients)

    began = time.perf_counter()
    asyncio.run(run())
    seen.wall_s = time.perf_counter() - began
    return seen


async def _client(port: int, path: str, body: bytes, until: float, seen: Load) -> None:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode()
    reader, writer = await asyncio.open_connection(HOST, port)
    while time.perf_counter() < until:
        began = time.perf_counter()
        try:
            writer.write(head + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            fields = dict(line.lower().split(b": ", 1) for line in answer.split(b"\r\n")[1:-2])
            await reader.readexactly(int(fields[b"content-length"]))
        except (OSError, asyncio.IncompleteReadError):
            seen.num_lost += 1
            reader, writer = await asyncio.open_connection(HOST, port)
            continue
        seen.latencies_s.append(time.perf_counter() - began)
        seen.statuses[int(answer.split()[1])] += 1
        if fields.get(b"connection") == b"close":
            writer.close()
            reader, writer = await asyncio.open_connection(HOST, port)
    writer.close()


def main() -> None:
    """Serve on a free port until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--max-batch", type=int, default=32)
    options = parser.parse_args()
    machine.prepare()  # before torch is imported

    from sm_dl import registry  # noqa: PLC0415
    from sm_dl.job.log import start_logging  # noqa: PLC0415
    from sm_dl.serving import process  # noqa: PLC0415
    from sm_dl.serving.models import Load  # noqa: PLC0415
    from sm_dl.serving.settings import Settings  # noqa: PLC0415

    start_logging()
    settings = Settings(max_batch=options.max_batch)
    with process.listen(HOST, 0) as listening:
        load_model: Load = registry.load
        if options.model == TRIVIAL:
            load_model = lambda _: Doubler()  # noqa: E731 - one of two ways
        process.serve(load_model, Path(options.model), listening, settings)


if __name__ == "__main__":
    main()
