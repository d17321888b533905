#!/usr/bin/env python3
r"""Read RecordIO framing from the page cache: this project's reader and a plain loop of `struct`.

    python scripts/benchmarks/data_recordio.py --folder /dev/shm --runs 5

The plain loop is how the service's SDK reads (`sagemaker.amazon.common.read_recordio`). CPU seconds,
in turn; every payload comes as `bytes`.
"""

import argparse
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sm_dl.data.recordio import framed, read_records

SIZES = {
    20: 2_000_000,
    200: 1_000_000,
    1000: 300_000,
    65_536: 8_000,
    1_048_576: 500,
    52_428_800: 10,
}
"""Bytes of a payload, and how many records."""


def main() -> int:
    """Print one line per size of record."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--folder", help="where the files are written; best in memory")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for size, number in SIZES.items():
            path = Path(folder) / "a.rec"
            record = framed(bytes(size), cuts=False)
            with path.open("wb") as stream:
                for _ in range(number):
                    stream.write(record)
            ours, peer = [], []
            for _ in range(options.runs):
                ours.append(_seconds(path, lambda stream: read_records(stream, "a.rec")))
                peer.append(_seconds(path, _plain))
            each = statistics.median(ours)
            ratio = statistics.median(p / o for p, o in zip(peer, ours, strict=True))
            print(
                f"payloads of {size} bytes: {number / each / 1e6:.3g} M records/s, "
                f"{path.stat().st_size / each / 1e9:.2f} GB/s; plain loop "
                f"{number / statistics.median(peer) / 1e6:.3g} M records/s ({ratio:.1f} x)"
            )
    return 0


def _seconds(path: Path, read: Callable[..., Iterator[bytes]]) -> float:
    with path.open("rb") as stream:
        began = time.process_time()
        for _ in read(stream):
            pass
        return time.process_time() - began


def _plain(stream: object) -> Iterator[bytes]:
    read = stream.read  # type: ignore[attr-defined]
    while header := read(8):
        _, length = struct.unpack("<II", header)
        yield read(length)
        if padding := -length % 4:
            read(padding)


if __name__ == "__main__":
    sys.exit(main())
