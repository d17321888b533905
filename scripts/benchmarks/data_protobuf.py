#!/usr/bin/env python3
r"""Read protobuf records to arrays: this project, the service's SDK, and a plain protobuf loop.

    python scripts/benchmarks/data_protobuf.py --peer-python peer/bin/python --runs 5

`--peer-python` is the interpreter of an environment with `sagemaker==2.257.7`; without it only the
plain loop is run, with the protobuf library of this environment. All read the same files from the
page cache, in turn, and give arrays of 1,000 records or more at a time. CPU seconds.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sm_dl.data.protobuf import record_pb2
from sm_dl.data.protobuf.columns import Csr
from sm_dl.data.protobuf.read import read_batches
from sm_dl.data.protobuf.write import Tensor, dense_records, record_bytes, sparse_records
from sm_dl.data.recordio import framed, read_records

PEER = Path(__file__).with_name("data_protobuf_peer.py")
AT_ONCE = 1000
Array = np.ndarray[Any, np.dtype[Any]]


def main() -> int:
    """Print one line per kind of file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--peer-python")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, records in _files().items():
            path = Path(folder) / f"{name}.pbr"
            path.write_bytes(b"".join(framed(record, cuts=False) for record in records))
            _compare(path, len(records), options)
    return 0


def _compare(path: Path, num_records: int, options: argparse.Namespace) -> None:
    seconds: dict[str, list[float]] = {}
    for _ in range(options.runs):
        _note(seconds, "ours", lambda: _ours(path))
        _note(seconds, "plain loop", lambda: _plain(path))
        if options.peer_python:
            command = [options.peer_python, str(PEER), str(path)]
            done = subprocess.run(command, capture_output=True, check=True, text=True)
            for key, value in json.loads(done.stdout.splitlines()[-1]).items():
                seconds.setdefault(key, []).append(value)
    assert _ours(path, _sum) == _plain(path, _sum), path  # noqa: S101 - a benchmark of a wrong answer is none
    figures = []
    for name, values in seconds.items():
        ratio = statistics.median(
            value / ours for value, ours in zip(values, seconds["ours"], strict=True)
        )
        each = statistics.median(values) / num_records * 1e6
        figures.append(f"{name} {each:.2f} us" + (f" ({ratio:.1f} x)" if name != "ours" else ""))
    size = path.stat().st_size / num_records
    print(
        f"{path.stem}: {num_records} records of {size:.0f} bytes; a record takes",
        "; ".join(figures),
    )


def _note(seconds: dict[str, list[float]], name: str, read: Callable[[], object]) -> None:
    began = time.process_time()
    read()
    seconds.setdefault(name, []).append(time.process_time() - began)


def _sum(values: Array) -> float:
    return float(values.sum(dtype=np.float64))


def _ours(path: Path, figure: Callable[[Array], float] = np.size) -> float:
    """Return a figure of all values, so that every array is there."""
    total = 0.0
    with path.open("rb") as stream:
        for batch in read_batches(stream, path.name):
            for column in (*batch.features.values(), *batch.label.values()):
                values = column.csr().values if column.is_sparse else column.values
                total += figure(values)
    return total


def _plain(path: Path, figure: Callable[[Array], float] = np.size) -> float:
    """Return the same by the library and one array per record, joined 1,000 at a time."""
    total = 0.0
    pieces: list[Array] = []
    keys: list[object] = []
    with path.open("rb") as stream:
        for payload in read_records(stream, path.name):
            record = record_pb2.Record.FromString(payload)  # type: ignore[attr-defined]  # generated
            for entries in (record.features, record.label):
                for value in entries.values():
                    tensor = getattr(value, value.WhichOneof("value"))
                    pieces.append(np.array(tensor.values))
                    if tensor.keys:
                        keys.append(np.array(tensor.keys))
            if len(pieces) >= AT_ONCE:
                total += figure(np.concatenate(pieces))
                pieces, keys = [], []
    return total + (figure(np.concatenate(pieces)) if pieces else 0.0)


def _files() -> dict[str, list[bytes]]:
    generator = np.random.default_rng(0)
    files = {}
    for width, number in ((10, 60_000), (100, 20_000), (784, 6_000)):
        rows = generator.integers(-50, 50, (number, width)).astype(np.float32)
        labels = generator.integers(0, 9, number).astype(np.float32)
        files[f"dense float32, {width} values"] = list(dense_records(rows, labels))
    for mean, number in ((10, 60_000), (80, 20_000)):
        counts = generator.poisson(mean, number)
        columns = generator.integers(0, 2000, counts.sum())
        starts = np.concatenate([[0], np.cumsum(counts)])
        values = generator.integers(1, 9, counts.sum()).astype(np.float32)
        labels = generator.integers(0, 9, number).astype(np.float32)
        rows_of = Csr(values, columns, starts, 2000)
        files[f"sparse float32, {mean} of 2000 columns"] = list(sparse_records(rows_of, labels))
    pairs = [
        {
            name: Tensor(generator.integers(4, 15_000, generator.integers(5, 25)))
            for name in ("source", "target")
        }
        for _ in range(30_000)
    ]
    files["pairs of int32, 5 to 25 tokens"] = [record_bytes(pair) for pair in pairs]
    return files


if __name__ == "__main__":
    sys.exit(main())
