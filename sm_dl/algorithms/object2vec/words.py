"""Words and their ids: vocabulary files, in channel `auxiliary` and in an artifact (spec section 2)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import orjson

from sm_dl.algorithms.object2vec.sides import Side
from sm_dl.content_types import JSON
from sm_dl.data.compression import explained, opened_plain
from sm_dl.data.source import DataFile
from sm_dl.errors import UserError, shown
from sm_dl.job.job import ChannelSource

MAX_BYTES = 1 << 29
UNKNOWN = ("<unk>", "<UNK>", "[UNK]", "<oov>", "<OOV>")
"""Spellings of the token that stands for all other words; the first one found is used."""
BLANKS = re.compile(r"\s+")


@dataclass(frozen=True)
class Words:
    """The vocabulary of one side."""

    ids: Mapping[str, int]

    @cached_property
    def by_id(self) -> dict[int, str]:
        """Return the words by their ids, for people to read."""
        return {number: word for word, number in self.ids.items()}

    @cached_property
    def unknown(self) -> int | None:
        """Return the id that stands for words that are not in the vocabulary, None without one."""
        return next((self.ids[word] for word in UNKNOWN if word in self.ids), None)

    def tokens(self, value: object, place: str) -> list[int]:
        """Return the ids of a text, which is split at blanks, or of a list of words.

        Raises:
            UserError: It is neither, or a word is unknown and there is no token for such words.
        """
        words = BLANKS.split(value.strip()) if isinstance(value, str) else value
        if not isinstance(words, list) or not words or words == [""]:
            raise UserError(f"{place}: expected token ids, words, or a text; got {shown(value)}.")
        return [self._token(word, f"{place}[{index}]") for index, word in enumerate(words)]

    def _token(self, word: object, place: str) -> int:
        if type(word) is int:
            return word
        number = self.ids.get(word, self.unknown) if isinstance(word, str) else None
        if number is None:
            raise UserError(
                f"{place}: expected a word of the model's vocabulary; got {shown(word)}. Leave it out, or train "
                f"with a vocabulary that has {UNKNOWN[0]}."
            )
        return number


def auxiliary_file(source: ChannelSource | None, file_name: str, hyperparameter: str) -> DataFile:
    """Return a file of the auxiliary channel.

    Raises:
        UserError: There is no such channel or no such file.
    """
    if source is None:
        raise UserError(
            f"hyperparameter {hyperparameter}: expected channel auxiliary with the file {file_name!r}; "
            "got no such channel. Bring it, or leave the hyperparameter empty."
        )
    path = source.path / file_name
    if not path.is_file():
        present = sorted(one.name for one in source.path.iterdir()) if source.path.is_dir() else []
        raise UserError(
            f"hyperparameter {hyperparameter}: expected {file_name!r} in channel auxiliary; "
            f"got {', '.join(present) or 'an empty channel'}."
        )
    return DataFile(path, f"auxiliary/{file_name}", JSON)


def read_words(file: DataFile, side: Side) -> Words:
    """Return the vocabulary that a file holds.

    Raises:
        UserError: It is no JSON object of words and ids of that side.
    """
    with explained(file, lambda: "its beginning"), opened_plain(file) as stream:
        content = stream.read(MAX_BYTES + 1)
    return words_from_json(content, file.name, side)


def words_from_json(content: bytes, name: str, side: Side) -> Words:
    """Return the vocabulary in a JSON text.

    Raises:
        UserError: It is no JSON object of words and ids of that side.
    """
    if len(content) > MAX_BYTES:
        raise UserError(f"{name}: expected at most {MAX_BYTES} bytes; got more.")
    try:
        ids = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise UserError(
            f"{name}: expected one JSON object of words and ids; {error.msg} (character {error.pos})."
        ) from None
    if not isinstance(ids, dict) or not ids:
        raise UserError(f"{name}: expected a JSON object of words and ids; got {shown(ids)}.")
    for word, number in ids.items():
        if type(number) is not int or not 0 <= number < side.vocab_size:
            raise UserError(
                f"{name}: word {shown(word)}: expected an id from 0 to {side.vocab_size - 1}, below "
                f"enc{side.field[-1]}_vocab_size; got {shown(number)}."
            )
    return Words(ids)


def write_words(path: Path, words: Words) -> None:
    """Write a vocabulary as one JSON object."""
    path.write_bytes(orjson.dumps(dict(words.ids)))


def shown_tokens(tokens: Iterable[int], words: Words | None, most: int = 12) -> str:
    """Return a sequence for people to read: its words where they are known, else its ids."""
    names = words.by_id if words else {}
    texts = [names.get(int(token), str(int(token))) for token in tokens]
    return " ".join(texts[:most]) + (" …" if len(texts) > most else "")
