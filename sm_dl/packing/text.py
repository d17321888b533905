"""Lines of two languages to the vocabularies and records of sequence to sequence.

The rules are those of the service's example script: words are what blanks separate, vocabularies
hold the most frequent ones, a pair with a blank side is dropped. Differs from the service: that
script encodes in several processes and mixes the lines; here records keep the order of the lines.
"""

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import orjson

from sm_dl.data.protobuf.write import Tensor, record_bytes
from sm_dl.data.recordio import framed
from sm_dl.errors import UserError, shown
from sm_dl.files import renamed_when_done, write_atomically

SPECIALS = {"<pad>": 0, "<unk>": 1, "<s>": 2, "</s>": 3}
UNKNOWN = SPECIALS["<unk>"]
SOURCE, TARGET = "source", "target"
MAX_LINE_CHARACTERS = 1 << 20

Vocabulary = Mapping[str, int]


def count_words(*paths: Path) -> Counter[str]:
    """Return how often each word occurs in some files, the special ones left out."""
    counts: Counter[str] = Counter()
    for path in paths:
        for line in _lines(path):
            counts.update(line.split())
    for special in SPECIALS:
        counts.pop(special, None)
    return counts


def vocabulary_from(counts: Mapping[str, int], *, max_words: int, min_count: int) -> Vocabulary:
    """Return ids of the most frequent words, behind those of the special ones.

    Of words that are equally frequent, the later one in the alphabet comes first.
    """
    ranked = sorted(((count, word) for word, count in counts.items()), reverse=True)
    words = [word for count, word in ranked if count >= min_count][:max_words]
    return SPECIALS | {word: number for number, word in enumerate(words, start=len(SPECIALS))}


def read_vocabulary(path: Path) -> Vocabulary:
    """Return a vocabulary from its JSON file.

    Raises:
        UserError: It is no object of word to id, or its ids repeat, leave gaps, or move the specials.
    """
    try:
        content = orjson.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).") from None
    except orjson.JSONDecodeError as error:
        raise UserError(f"{path}: expected a vocabulary as JSON; {error.msg}.") from None
    if not isinstance(content, dict) or any(
        not isinstance(number, int) or isinstance(number, bool) for number in content.values()
    ):
        raise UserError(f"{path}: expected an object of word to id; got {shown(content)}.")
    if sorted(content.values()) != list(range(len(content))):
        raise UserError(
            f"{path}: expected each id from 0 to {len(content) - 1} once; some repeat or are left out."
        )
    moved = {
        word: content.get(word) for word, number in SPECIALS.items() if content.get(word) != number
    }
    if moved:
        raise UserError(f"{path}: expected {SPECIALS} in the vocabulary; got {shown(moved)}.")
    return content


def write_vocabulary(vocabulary: Vocabulary, target: Path) -> None:
    """Write a vocabulary as the service's example does."""
    write_atomically(target, json.dumps(vocabulary, indent=4, ensure_ascii=False).encode())


def write_pairs(
    source: Path, target: Path, vocabularies: tuple[Vocabulary, Vocabulary], records: Path
) -> tuple[int, int]:
    """Write the pairs of two files; return how many were written and how many had a blank side.

    Raises:
        UserError: The files differ in their number of lines.
    """
    num_written = num_blank = 0
    with renamed_when_done(records) as aside, aside.open("wb") as stream:
        for one, other in _pairs(source, target):
            if not one.strip() or not other.strip():
                num_blank += 1
                continue
            tensors = {
                SOURCE: Tensor(_ids(one, vocabularies[0])),
                TARGET: Tensor(_ids(other, vocabularies[1])),
            }
            stream.write(framed(record_bytes(tensors), cuts=False))
            num_written += 1
    return num_written, num_blank


def _pairs(source: Path, target: Path) -> Iterator[tuple[str, str]]:
    ones, others = _lines(source), _lines(target)
    number = 0
    for number, one in enumerate(ones, start=1):
        other = next(others, None)
        if other is None:
            raise UserError(
                f"{target}: expected as many lines as in {source}; it ends before line {number}."
            )
        yield one, other
    if next(others, None) is not None:
        raise UserError(
            f"{source}: expected as many lines as in {target}; it ends after line {number}."
        )


def _ids(line: str, vocabulary: Vocabulary) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    return np.array([vocabulary.get(word, UNKNOWN) for word in line.split()], dtype=np.int32)


def _lines(path: Path) -> Iterator[str]:
    """Yield the lines of a plain or gzipped file; what is no UTF-8 is replaced."""
    opened = gzip.open if path.suffix == ".gz" else open
    number = 0
    try:
        with opened(path, "rt", encoding="utf-8", errors="replace", newline="\n") as stream:
            while line := stream.readline(MAX_LINE_CHARACTERS + 1):
                number += 1
                if len(line) > MAX_LINE_CHARACTERS:
                    raise UserError(
                        f"{path} line {number}: expected at most {MAX_LINE_CHARACTERS} characters."
                    )
                yield line
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{path}: after line {number}: damaged gzip data ({error}).") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).") from None
