#!/usr/bin/env python3
"""Print the resident memory of a reader that gets a long stream through Pipe mode.

    OMP_NUM_THREADS=1 python scripts/benchmarks/data_pipe_memory.py --mib 2048

Another process writes IP logs (`user,address`) or JSON Lines into the FIFO. One JSON line for each
way to read them: peak resident memory of the reader (MiB, imports included), seconds, MiB a second.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sm_dl.content_types import CSV, JSON_LINES
from sm_dl.data.compression import opened_plain
from sm_dl.data.csv_table import read_csv
from sm_dl.data.jsonlines import read_objects
from sm_dl.data.shuffle import shuffled
from sm_dl.data.source import NamedBytes, byte_source
from sm_dl.job.job import ChannelSource

PIECE_BYTES = 1 << 20
SHUFFLED_RECORDS = 100_000


def main() -> None:
    """Measure each reader in a process of its own, so that none inherits another's peak."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=int, default=2048, help="length of the stream")
    parser.add_argument("--reader", choices=READERS, help="measure this one, in this process")
    options = parser.parse_args()
    if options.reader:
        measure(options.reader, options.mib)
        return
    for reader in READERS:
        command = [sys.executable, __file__, "--reader", reader, "--mib", str(options.mib)]
        subprocess.run(command, check=True)


def measure(reader: str, num_mib: int) -> None:
    """Read one epoch of a pipe and print the line."""
    read, media_type, line = READERS[reader]
    with tempfile.TemporaryDirectory() as folder:
        channel = Path(folder) / "train"
        writer = os.fork()
        if not writer:
            write(channel.with_name("train_0"), line, num_mib)
            os._exit(0)
        began = time.perf_counter()
        (epoch,) = byte_source(ChannelSource("train", channel, media_type, "Pipe")).next_epoch()
        num_records = read(epoch)
        took_s = time.perf_counter() - began
        os.waitpid(writer, 0)
    figures = {
        "reader": reader,
        "stream_mib": num_mib,
        "records": num_records,
        "peak_resident_mib": round(peak_resident_mib()),
        "seconds": round(took_s, 1),
        "mib_per_s": round(num_mib / took_s),
    }
    print(json.dumps(figures), flush=True)


def peak_resident_mib() -> float:
    """Return the peak of this process alone; `ru_maxrss` would include what came before exec."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def write(path: Path, line: bytes, num_mib: int) -> None:
    """Play the platform: make the FIFO and fill it."""
    os.mkfifo(path)
    lines = b"".join(line.replace(b"NUMBER", b"%06d" % number) for number in range(50_000))
    with path.open("wb", buffering=0) as fifo:
        left = num_mib << 20
        while whole := lines[: lines.rfind(b"\n", 0, left) + 1]:
            left -= fifo.write(whole)


def count_bytes(file: NamedBytes) -> int:
    """Return the number of bytes, read a mebibyte at a time."""
    with opened_plain(file) as stream:
        return sum(len(piece) for piece in iter(lambda: stream.read(PIECE_BYTES), b""))


def count_rows(file: NamedBytes) -> int:
    """Return the number of rows of a CSV stream, read as columns."""
    return sum(len(columns) for columns in read_csv(file, "text", 2))


def count_objects(file: NamedBytes) -> int:
    """Return the number of objects of a stream of JSON Lines."""
    return sum(1 for _ in read_objects(file))


def count_shuffled(file: NamedBytes) -> int:
    """Return the number of lines that come out of a shuffle buffer."""
    with opened_plain(file) as stream:
        order = shuffled(stream, buffer_records=SHUFFLED_RECORDS, seed=0, epoch=0)
        return sum(1 for _ in order)


Reading = Callable[[NamedBytes], int]
IP_LOG = b"user_NUMBER,192.0.2.1\n"
SERIES = b'{"start": "2016-01-01 00:00:00", "target": [%s], "item_id": "NUMBER"}\n' % (
    b", ".join(b"%d.5" % value for value in range(100))
)
READERS: dict[str, tuple[Reading, str, bytes]] = {
    "bytes": (count_bytes, CSV, IP_LOG),
    "csv columns": (count_rows, CSV, IP_LOG),
    "json lines": (count_objects, JSON_LINES, SERIES),
    "lines, shuffled": (count_shuffled, CSV, IP_LOG),
}
"""What reads, what it claims to read, and a line of it."""

if __name__ == "__main__":
    main()
