#!/usr/bin/env python3
r"""Feed the readers damaged bytes: each must read them or refuse them with a UserError.

    pip install atheris
    python scripts/benchmarks/fuzz_readers.py recordio --seeds FOLDER --executions 1000000

`--seeds` is a folder of whole files, e.g. the golden ones. An error other than UserError ends the run
with the input that caused it; so do more than 2 s for one input, or more than 2 GiB of memory.
"""

import argparse
import contextlib
import io
import itertools
import logging
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import atheris
import numpy as np

with atheris.instrument_imports(include=["sm_dl"]):
    from sm_dl.data.annotations import boxes_from_text
    from sm_dl.data.augmented_manifest import class_from_text, classes_from_text, read_samples
    from sm_dl.data.bad_records import BadRecords
    from sm_dl.data.csv_numbers import read_numbers
    from sm_dl.data.csv_table import Kind, read_csv
    from sm_dl.data.image import decode, decode_mask
    from sm_dl.data.image_record import read_image_records
    from sm_dl.data.jsonlines import read_objects
    from sm_dl.data.lst import read_list
    from sm_dl.data.masks import label_map_from_text
    from sm_dl.data.protobuf.read import read_batches
    from sm_dl.data.protobuf.write import Tensor, record_bytes
    from sm_dl.data.recordio import framed, read_records
    from sm_dl.data.width import Width
    from sm_dl.errors import UserError
    from sm_dl.inspection.look import look

MAX_PIXELS = 1 << 20
MAX_INPUT_BYTES = 4096
LIMITS = (0, 2)
"""Of `max_bad_records`: a reader goes on behind a record that it leaves out."""


@dataclass(frozen=True)
class Bytes:
    """A file in memory."""

    content: bytes
    name: str = "a"
    media_type: str = "text/csv"

    def open(self) -> BinaryIO:
        """Return the bytes."""
        return io.BytesIO(self.content)


def main() -> None:
    """Fuzz one reader until its executions are used up."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("reader", choices=sorted(READERS))
    parser.add_argument("--seeds", type=Path, required=True)
    parser.add_argument("--executions", type=int, default=100_000)
    options = parser.parse_args()
    logging.disable()
    read = READERS[options.reader]

    def run_once(content: bytes) -> None:
        with contextlib.suppress(UserError):
            read(content)

    with tempfile.TemporaryDirectory() as corpus:
        for number, path in enumerate(sorted(options.seeds.rglob("*"))):
            if path.is_file() and path.stat().st_size <= MAX_INPUT_BYTES:
                (Path(corpus) / str(number)).write_bytes(path.read_bytes())
        flags = [f"-runs={options.executions}", f"-max_len={MAX_INPUT_BYTES}"]
        limits = ["-timeout=2", "-rss_limit_mb=2048", "-print_final_stats=1", corpus]
        atheris.Setup([sys.argv[0], *flags, *limits], run_once)
        atheris.Fuzz()


def _recordio(content: bytes) -> None:
    for _ in read_records(io.BytesIO(content), "a"):
        pass


def _protobuf(content: bytes) -> None:
    """Read a file of records, the same bytes as one payload, and this among good ones."""
    good = framed(record_bytes({"values": Tensor(np.array([1, 2], dtype=np.float32))}), cuts=False)
    alone = framed(content, cuts=False)
    streams = (content, alone, good + alone + good + good)
    for stream, limit in itertools.product(streams, LIMITS):
        with contextlib.suppress(UserError):
            for batch in read_batches(io.BytesIO(stream), "a", bad=BadRecords(limit)):
                for column in (*batch.features.values(), *batch.label.values()):
                    column.csr()


def _images(content: bytes) -> None:
    for limit in LIMITS:
        with contextlib.suppress(UserError):
            for _ in read_image_records(io.BytesIO(content), "a", BadRecords(limit)):
                pass


def _csv(content: bytes) -> None:
    kinds: tuple[Kind, ...] = ("number", "text")
    for kind, limit in itertools.product(kinds, LIMITS):
        with contextlib.suppress(UserError):
            for _ in read_csv(Bytes(content), kind, bad=BadRecords(limit)):
                pass
    for limit in LIMITS:
        with contextlib.suppress(UserError):
            for _ in read_numbers(Bytes(content), Width(2), BadRecords(limit)):
                pass


def _jsonlines(content: bytes) -> None:
    for limit in LIMITS:
        with contextlib.suppress(UserError):
            for _ in read_objects(Bytes(content), BadRecords(limit)):
                pass


def _manifest(content: bytes) -> None:
    for place, (_, text) in read_samples(io.BytesIO(content), "a", 2):
        for parse in (class_from_text, classes_from_text, boxes_from_text):
            with contextlib.suppress(UserError):
                parse(text, place)


def _texts(content: bytes) -> None:
    for parse in (class_from_text, classes_from_text, boxes_from_text, label_map_from_text):
        with contextlib.suppress(UserError):
            parse(content, "a")
    for limit in LIMITS:
        with contextlib.suppress(UserError):
            for _ in read_list(io.BytesIO(content), "a", BadRecords(limit)):
                pass


def _pixels(content: bytes) -> None:
    for read in (decode, decode_mask):
        with contextlib.suppress(UserError):
            read(content, "a", max_pixels=MAX_PIXELS)


def _look(content: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:  # in memory, and removed
        file.write(content)
        file.flush()
        look(Path(file.name))


READERS: dict[str, Callable[[bytes], None]] = {
    "recordio": _recordio,
    "protobuf": _protobuf,
    "images": _images,
    "csv": _csv,
    "jsonlines": _jsonlines,
    "manifest": _manifest,
    "texts": _texts,
    "pixels": _pixels,
    "inspect": _look,
}


if __name__ == "__main__":
    main()
