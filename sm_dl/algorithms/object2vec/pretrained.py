"""Pretrained token vectors: a text file with a word and its numbers a line (spec section 2).

Shape letters in this file: V = vocabulary, E = width of a token vector.
"""

import logging

import numpy as np
import torch
from torch import Tensor

from sm_dl.algorithms.object2vec.sides import Side
from sm_dl.algorithms.object2vec.words import Words
from sm_dl.data.compression import explained, opened_plain
from sm_dl.data.source import DataFile
from sm_dl.errors import UserError

logger = logging.getLogger(__name__)

MAX_LINE_BYTES = 1 << 16


@torch.no_grad()
def fill_table(table_VE: Tensor, file: DataFile, words: Words, side: Side) -> int:
    """Put the vectors of the vocabulary's words into a token table, and return how many there were.

    A word without a vector keeps its small random one.

    Raises:
        UserError: The file holds vectors of another width, or something else.
    """
    found = 0
    number = 0
    with explained(file, lambda: f"line {number}"), opened_plain(file) as stream:
        while line := stream.readline(MAX_LINE_BYTES + 1):
            number += 1
            place = f"{file.name} line {number}"
            if len(line) > MAX_LINE_BYTES:
                raise UserError(f"{place}: expected at most {MAX_LINE_BYTES} bytes; got more.")
            # from the right, since some words of GloVe hold blanks
            word, *numbers = line.rstrip().rsplit(b" ", side.token_dim)
            if number == 1:
                if _is_header(line):
                    continue
                _check_width(line, place, side)
            if not line.strip():
                continue
            if len(numbers) < side.token_dim:
                raise _another_width(place, len(numbers), side)
            token = words.ids.get(word.decode(errors="replace"))
            if token is not None:
                table_VE[token] = torch.from_numpy(_vector(numbers, place)).to(table_VE.device)
                found += 1
    if found == 0:
        raise UserError(
            f"{file.name}: expected vectors of words of {side.vocab_file!r}; got none of its {len(words.ids)} words."
        )
    if found < len(words.ids):
        logger.warning(
            "%s: %d of %d words of the vocabulary have no vector and keep a small random one.",
            file.name, len(words.ids) - found, len(words.ids),
        )  # fmt: skip
    return found


def _is_header(line: bytes) -> bool:
    """Return whether a line is word2vec's `number of words, width`."""
    parts = line.split()
    return len(parts) == 2 and all(part.isdigit() for part in parts)


def _check_width(line: bytes, place: str, side: Side) -> None:
    """Refuse a file whose first line has more numbers than asked for; a first word is no number."""
    parts = line.rstrip().split(b" ")
    numbers = 0
    while numbers < len(parts) - 1 and _is_number(parts[-1 - numbers]):
        numbers += 1
    if numbers != side.token_dim:
        raise _another_width(place, numbers, side)


def _another_width(place: str, got: int, side: Side) -> UserError:
    name = f"enc{side.field[-1]}_token_embedding_dim"
    return UserError(
        f"{place}: expected a word and {side.token_dim} numbers, as {name} says; got {got}. "
        f"Set {name} to the width of these vectors, or bring others."
    )


def _is_number(part: bytes) -> bool:
    try:
        float(part)
    except ValueError:
        return False
    return True


def _vector(numbers: list[bytes], place: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    try:
        vector = np.array(list(map(float, numbers)), np.float32)
    except ValueError:
        raise UserError(f"{place}: expected numbers behind the word; got other text.") from None
    if not np.isfinite(vector).all():
        raise UserError(f"{place}: expected finite numbers; got another one.")
    return vector
