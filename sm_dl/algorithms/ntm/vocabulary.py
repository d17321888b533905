"""The `auxiliary` channel: the words behind the ids (spec section 2), and perhaps their vectors.

`vocab.txt` has a word a line, line i (from 0) for id i. `vectors.txt`, ours, has a word and its
numbers a line, as GloVe publishes them; with it the topics' coherence WETC is told.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sm_dl.content_types import PLAIN_TEXT
from sm_dl.data.compression import explained, opened_plain
from sm_dl.data.source import NamedBytes, channel_files
from sm_dl.errors import UserError, shown
from sm_dl.job.job import ChannelSource

logger = logging.getLogger(__name__)

VOCABULARY_FILE, VECTORS_FILE = "vocab.txt", "vectors.txt"
PLACE_ON_PLATFORM = "/opt/ml/input/data/auxiliary"
MAX_LINE_BYTES = 1 << 20
MAX_NUMBERS = 4096


@dataclass(frozen=True)
class Vocabulary:
    """Words by id, and their vectors where they are known."""

    words: Sequence[str]
    vectors: npt.NDArray[np.float32] | None = None
    """A row for each word."""


def read_vocabulary(source: ChannelSource | None, num_words: int) -> Vocabulary | None:
    """Return what the channel holds; None, and a line in the log, when there is no vocabulary.

    Raises:
        UserError: A file is no UTF-8 text or does not fit `num_words`.
    """
    files = {}
    if source is not None:
        found = channel_files(replace(source, content_type=source.content_type or PLAIN_TEXT))
        files = {file.name.rpartition("/")[2].removesuffix(".gz"): file for file in found}
    if VOCABULARY_FILE not in files:
        logger.info("Vocab file is not provided")
        if source is not None:
            logger.info("Vocab file %s is expected at %s", VOCABULARY_FILE, PLACE_ON_PLATFORM)
        return None
    words = _lines(files[VOCABULARY_FILE])
    while len(words) > num_words and not words[-1]:
        words.pop()
    if len(words) != num_words:
        raise UserError(
            f"{files[VOCABULARY_FILE].name}: expected {num_words} lines, one for each word as feature_dim "
            f"says; got {len(words)}. The word of id i stands on line i, counted from 0."
        )
    logger.info(
        "The words of ids 0, 1 and 2 are %s; check that the order is that of the ids.",
        ", ".join(map(repr, words[:3])),
    )
    vectors = _vectors(files[VECTORS_FILE], words) if VECTORS_FILE in files else None
    return Vocabulary(words, vectors)


def _lines(file: NamedBytes) -> list[str]:
    words: list[str] = []
    with explained(file, lambda: f"line {len(words)}"), opened_plain(file) as stream:
        while line := stream.readline(MAX_LINE_BYTES + 1):
            words.append(_text(line, f"{file.name} line {len(words) + 1}").strip("\ufeff \t\r\n"))
    return words


def _vectors(file: NamedBytes, words: Sequence[str]) -> npt.NDArray[np.float32]:
    """Return a vector for each word; one that the file lacks gets the mean of the others."""
    wanted = {word: index for index, word in enumerate(words)}
    found: dict[int, npt.NDArray[np.float32]] = {}
    number = size = 0
    with explained(file, lambda: f"line {number}"), opened_plain(file) as stream:
        while line := stream.readline(MAX_LINE_BYTES + 1):
            number += 1
            place = f"{file.name} line {number}"
            word, *cells = _text(line, place).rstrip().split(" ")
            if word not in wanted:
                continue
            vector = _numbers(cells, place)
            size = size or len(vector)
            if len(vector) != size:
                raise UserError(
                    f"{place}: expected {size} numbers, as on the lines before; got {len(vector)}."
                )
            found[wanted[word]] = vector
    if not found:
        raise UserError(
            f"{file.name}: expected a vector for at least one word of {VOCABULARY_FILE}; got none. "
            "A line has a word and its numbers, with blanks between them."
        )
    vectors = np.tile(np.mean(list(found.values()), axis=0, dtype=np.float32), (len(words), 1))
    vectors[list(found)] = list(found.values())
    num_unknown = len(words) - len(found)
    if num_unknown:
        logger.warning(
            "%d out of %d in vocabulary do not have embeddings! Default vector used for unknown embedding!",
            num_unknown, len(words),
        )  # fmt: skip
    return vectors


def _numbers(cells: Sequence[str], place: str) -> npt.NDArray[np.float32]:
    try:
        vector = np.array(cells, dtype=np.float32)
    except ValueError:
        vector = np.empty(0, dtype=np.float32)
    if not 0 < len(vector) <= MAX_NUMBERS or not np.isfinite(vector).all():
        raise UserError(
            f"{place}: expected a word and 1 to {MAX_NUMBERS} finite numbers; got {shown(cells)}."
        )
    return vector


def _text(line: bytes, place: str) -> str:
    if len(line) > MAX_LINE_BYTES:
        raise UserError(f"{place}: expected at most {MAX_LINE_BYTES} bytes; got more.")
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise UserError(
            f"{place}: expected UTF-8 text; got {shown(line)}. Save the file as UTF-8."
        ) from None
