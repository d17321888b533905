"""NTM channels from bags of words in text form: `LABEL ID:COUNT ID:COUNT ...`, ids counted from 1.

A channel is a folder with one RecordIO file of sparse protobuf records, `part-0.pbr`; the channel
`auxiliary` has the words, `vocab.txt`. The same documents give the same bytes.
"""

import argparse
import gzip
import io
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sm_dl.data.protobuf.columns import Csr
from sm_dl.data.protobuf.write import sparse_records
from sm_dl.data.recordio import framed

DOWNLOAD_TIMEOUT_S = 60.0
GZIP_MAGIC = b"\x1f\x8b"
VALIDATION_STEP = 10
"""Every tenth training document goes to validation."""

Document = dict[int, int]
"""Word ids, counted from 0, and how often each occurs."""


@dataclass(frozen=True)
class Options:
    """What the scripts are told."""

    source: Path | None
    output: Path
    min_words: int
    max_documents: int | None


def options_of(description: str, name: str, *, has_url: bool) -> Options:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(description=description.partition("\n")[0])
    parser.add_argument(
        "--source",
        type=Path,
        required=not has_url,
        help="folder with train.feat, test.feat and vocab.new, plain or .gz"
        + ("; without it they are downloaded" if has_url else ""),
    )
    parser.add_argument("--output", type=Path, default=Path("data") / name)
    parser.add_argument(
        "--min-words", type=int, default=1, help="leave shorter documents out (default: empty ones)"
    )
    parser.add_argument(
        "--max-documents", type=int, help="keep so many training documents, before the split"
    )
    found = parser.parse_args()
    return Options(found.source, found.output, found.min_words, found.max_documents)


def read_text(name: str, source: Path | None, url: str | None) -> Iterator[str]:
    """Yield the lines of a file, from a folder or else from the web."""
    try:
        if source is None:
            with urllib.request.urlopen(f"{url}/{name}", timeout=DOWNLOAD_TIMEOUT_S) as answer:  # noqa: S310 - an https constant
                content: bytes = answer.read()
        else:
            packed = source / f"{name}.gz"
            content = (packed if packed.exists() else source / name).read_bytes()
        if content.startswith(GZIP_MAGIC):
            content = gzip.decompress(content)
        yield from io.StringIO(content.decode())
    except (OSError, EOFError, UnicodeDecodeError) as error:
        message = f"{source or url}: could not read {name} ({error}); "
        raise SystemExit(message + f"pass --source the folder that holds {name}.") from error


def documents_of(lines: Iterable[str], name: str, num_words: int, min_words: int) -> list[Document]:
    """Return the documents that have enough words."""
    found = []
    for number, line in enumerate(lines, start=1):
        document: Document = {}
        for cell in line.split()[1:]:
            word, _, count = cell.partition(":")
            if not (word.isdecimal() and count.isdecimal() and 1 <= int(word) <= num_words):
                raise SystemExit(
                    f"{name} line {number}: expected pairs such as 12:3 with ids from 1 to {num_words}; "
                    f"got {cell!r}; fetch the file anew."
                )
            document[int(word) - 1] = document.get(int(word) - 1, 0) + int(count)
        if sum(document.values()) >= max(min_words, 1):
            found.append(document)
    return found


def write_channel(folder: Path, documents: Sequence[Document], num_words: int) -> None:
    """Write `folder`/part-0.pbr whole or not at all, and print what it holds."""
    sizes = [len(document) for document in documents]
    pairs = [pair for document in documents for pair in sorted(document.items())]
    rows = Csr(
        values=np.array([count for _, count in pairs], dtype=np.float32),
        columns=np.array([word for word, _ in pairs], dtype=np.int64),
        row_starts=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        num_columns=num_words,
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "part-0.pbr"
    partial = folder / f".{path.name}.partial"
    with partial.open("wb") as file:
        for record in sparse_records(rows):
            file.write(framed(record, cuts=False))
    partial.replace(path)
    print(f"{path}: {len(documents)} documents, {rows.values.sum():.0f} words")


def write_channels(options: Options, url: str | None, num_words: int) -> None:
    """Read the three files of a set and write its four channels."""
    words = [
        line.split()[0] if line.strip() else ""
        for line in read_text("vocab.new", options.source, url)
    ]
    if len(words) != num_words:
        raise SystemExit(f"vocab.new: expected {num_words} words, got {len(words)}; fetch anew.")
    train, test = (
        documents_of(read_text(name, options.source, url), name, num_words, options.min_words)
        for name in ("train.feat", "test.feat")
    )
    kept = train[: options.max_documents]
    first = VALIDATION_STEP - 1
    validation = kept[first::VALIDATION_STEP]
    learnt = [one for number, one in enumerate(kept) if number % VALIDATION_STEP != first]
    write_channel(options.output / "train", learnt, num_words)
    write_channel(options.output / "validation", validation, num_words)
    write_channel(options.output / "test", test, num_words)
    auxiliary = options.output / "auxiliary"
    auxiliary.mkdir(parents=True, exist_ok=True)
    (auxiliary / "vocab.txt").write_text("".join(f"{word}\n" for word in words))
    print(f"{auxiliary / 'vocab.txt'}: {num_words} words")
