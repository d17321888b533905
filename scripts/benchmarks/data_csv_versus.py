#!/usr/bin/env python3
"""Time our CSV reader and pyarrow's own on an IP log, in turn.

    OMP_NUM_THREADS=1 python scripts/benchmarks/data_csv_versus.py LOG.csv.gz --columns 1,2

LOG is a CSV file with a header; `--columns` picks user and address, and its rows are repeated to
three million. One JSON line for plain and one for gzipped text: medians of CPU seconds, and the
median of the ratios run by run. `open_csv` streams as we do, `read_csv` returns the whole table.
"""

import argparse
import csv
import gzip
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
from pyarrow import csv as arrow_csv

from sm_dl.content_types import CSV
from sm_dl.data.csv_table import BLOCK_BYTES, read_csv
from sm_dl.data.source import DataFile

NUM_ROWS = 3_000_000
NAMES = ["user", "address"]


def main() -> None:
    """Write both files and time the three readers on each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("log", type=Path)
    parser.add_argument("--columns", default="1,2", help="positions of user and address, from 0")
    parser.add_argument("--runs", type=int, default=9)
    options = parser.parse_args()
    columns = [int(text) for text in options.columns.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "log.csv"
        with plain.open("w") as file:
            file.writelines(itertools.islice(rows(options.log, columns), NUM_ROWS))
        packed = Path(folder) / "log.csv.gz"
        packed.write_bytes(gzip.compress(plain.read_bytes(), compresslevel=6))
        for path in (plain, packed):
            print(json.dumps(compare(path, options.runs)))


def rows(log: Path, columns: list[int]) -> Iterator[str]:
    """Yield `user,address` lines of a log over and over."""
    content = log.read_bytes()
    text = (gzip.decompress(content) if log.suffix == ".gz" else content).decode()
    _, *found = csv.reader(text.splitlines())
    lines = [f"{row[columns[0]]},{row[columns[1]]}\n" for row in found if "," not in "".join(row)]
    return itertools.cycle(lines)


def compare(path: Path, num_runs: int) -> dict[str, object]:
    """Return the figures of one file."""
    readers: dict[str, Callable[[Path], int]] = {
        "ours": ours,
        "open_csv": streamed,
        "read_csv": whole,
    }
    cpu_s: dict[str, list[float]] = {name: [] for name in readers}
    for _ in range(num_runs):
        for name, read in readers.items():
            began = time.process_time()
            if read(path) != NUM_ROWS:
                raise SystemExit(f"{name} lost rows")
            cpu_s[name].append(time.process_time() - began)
    figures: dict[str, object] = {"file": path.name, "mib": path.stat().st_size >> 20}
    for name, times in cpu_s.items():
        figures[f"{name}_cpu_s"] = round(statistics.median(times), 3)
    for peer in ("open_csv", "read_csv"):
        ratios = [mine / theirs for mine, theirs in zip(cpu_s["ours"], cpu_s[peer], strict=True)]
        figures[f"ours_over_{peer}"] = round(statistics.median(ratios), 2)
    return figures


def ours(path: Path) -> int:
    """Return the number of rows as our reader counts them."""
    return sum(map(len, read_csv(DataFile(path, path.name, CSV), "text", 2)))


def streamed(path: Path) -> int:
    """Return the number of rows as pyarrow's streaming reader counts them."""
    reading = arrow_csv.ReadOptions(column_names=NAMES, block_size=BLOCK_BYTES)
    with arrow_csv.open_csv(path, reading, convert_options=as_text()) as batches:
        return sum(batch.num_rows for batch in batches)


def whole(path: Path) -> int:
    """Return the number of rows of pyarrow's table."""
    reading = arrow_csv.ReadOptions(column_names=NAMES)
    return int(arrow_csv.read_csv(path, reading, convert_options=as_text()).num_rows)


def as_text() -> arrow_csv.ConvertOptions:
    """Return options under which pyarrow does what we ask of it."""
    types = dict.fromkeys(NAMES, pa.string())
    return arrow_csv.ConvertOptions(column_types=types, null_values=[], strings_can_be_null=False)


if __name__ == "__main__":
    main()
