"""Object2Vec channels: pairs of token lists as JSON Lines, vocabularies, and the texts they come from.

A channel is a folder with one file, `pairs.jsonl.gz`. A vocabulary is one JSON object of words and
ids in channel `auxiliary`. The same pairs give the same bytes.
"""

import gzip
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

UNKNOWN = "<unk>"
WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """One record of a channel."""

    label: float
    in0: Sequence[int]
    in1: Sequence[int]

    def json_line(self) -> str:
        """Return the record as one line of JSON, line end included."""
        label = int(self.label) if float(self.label).is_integer() else self.label
        record = {"label": label, "in0": list(self.in0), "in1": list(self.in1)}
        return json.dumps(record) + "\n"


def read_fields(
    name: str, *, source: Path, separator: str = "\t", encoding: str = "utf-8"
) -> list[list[str]]:
    """Return the fields of each line of a file of the folder, which may be gzipped under name.gz."""
    plain, packed = source / name, source / f"{name}.gz"
    path = packed if packed.exists() and not plain.exists() else plain
    try:
        content = path.read_bytes()
        if path == packed:
            content = gzip.decompress(content)
        lines = content.decode(encoding).split("\n")
    except (OSError, EOFError, ValueError, zlib.error) as error:
        message = f"{path}: could not be read ({error}); pass --source the folder with {name}."
        raise SystemExit(message) from error
    return [line.rstrip("\r").split(separator) for line in lines if line.strip()]


def write_pairs(folder: Path, pairs: Iterable[Pair]) -> None:
    """Write `folder`/pairs.jsonl.gz whole or not at all, and print what it holds."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "pairs.jsonl.gz"
    # readers of a channel skip names with a leading dot, so a broken run leaves nothing to read
    partial = folder / f".{path.name}.partial"
    count = 0
    with partial.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed:
        for pair in pairs:
            packed.write(pair.json_line().encode())
            count += 1
    partial.replace(path)
    print(f"{path}: {count} pairs")


def write_vocabulary(path: Path, ids: dict[str, int]) -> None:
    """Write words and ids as one JSON object, and print what a job must know."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(ids, ensure_ascii=False), encoding="utf-8")
    print(f"{path}: {len(ids)} names, vocab_size {max(ids.values()) + 1}")


def words_of(text: str) -> list[str]:
    """Return the words of a sentence in lower case, without punctuation."""
    return WORD.findall(text.lower())


def vocabulary_of(texts: Iterable[Sequence[str]], min_count: int = 2) -> dict[str, int]:
    """Return the ids of words that occur often enough, the most frequent first; 0 stands for others.

    Words that occur once become `<unk>`, so that its vector learns something.
    """
    counts = Counter(word for words in texts for word in words)
    frequent = [
        word for word, count in sorted(counts.items(), key=_by_frequency) if count >= min_count
    ]
    return {UNKNOWN: 0} | {word: number for number, word in enumerate(frequent, start=1)}


def _by_frequency(entry: tuple[str, int]) -> tuple[int, str]:
    return -entry[1], entry[0]


@dataclass(frozen=True, slots=True)
class TextPair:
    """Two sentences as words, and their label."""

    label: float
    words0: Sequence[str]
    words1: Sequence[str]


def write_text_channels(output: Path, channels: dict[str, list[TextPair]]) -> None:
    """Write channels of sentences, with the vocabulary of `train`, and print the longest sentence."""
    train = channels["train"]
    ids = vocabulary_of(words for pair in train for words in (pair.words0, pair.words1))
    for name, pairs in channels.items():
        write_pairs(
            output / name,
            (
                Pair(
                    label=pair.label,
                    in0=[ids.get(word, 0) for word in pair.words0] or [0],
                    in1=[ids.get(word, 0) for word in pair.words1] or [0],
                )
                for pair in pairs
            ),
        )
    write_vocabulary(output / "auxiliary" / "words.json", ids)
    longest = max(max(len(pair.words0), len(pair.words1)) for pair in train)
    print(f"max_seq_len: {longest}")
