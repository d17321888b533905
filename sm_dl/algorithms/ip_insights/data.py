"""Channels to columns of pairs: which row of the table an entity has, and an address as a number.

Eight bytes a pair are held in memory, whatever the names are like: 10 million rows take 80 MB. No
Python runs for a row that is right; the files are read some megabytes at a time.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sm_dl.algorithms.ip_insights.addresses import Addresses, Mask, complaint, parse_addresses
from sm_dl.algorithms.ip_insights.hashing import Bytes, Words, hash_strings
from sm_dl.content_types import CSV
from sm_dl.data.bad_records import BadRecords
from sm_dl.data.columns import Columns, arrow
from sm_dl.data.csv_table import read_csv
from sm_dl.data.shard import tell_of_empty_share
from sm_dl.data.source import NamedBytes, byte_source
from sm_dl.errors import UserError, shown
from sm_dl.job.job import ChannelSource, Hosts

logger = logging.getLogger(__name__)

NUM_COLUMNS = 2
BLANKS = " \t"
Rows = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Pairs:
    """Some pairs of a file, in the order of its lines."""

    hash_N: Words
    """Of the entity's name."""
    address_N: Addresses
    columns: Columns
    """The rows they were read from."""
    kept_N: npt.NDArray[np.int64] | None = None
    """Which of those rows they are; None: all."""

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.address_N)

    def place_and_texts(self, index: int) -> tuple[str, str, str]:
        """Return where a pair stands, its entity and its address, as they were written."""
        row = index if self.kept_N is None else int(self.kept_N[index])
        entity, address = (self.columns.batch.column(column)[row] for column in (0, 1))
        return self.columns.place(row), entity.as_py().strip(BLANKS), address.as_py().strip(BLANKS)


@dataclass(frozen=True)
class Table:
    """The pairs of a channel, small: what a job keeps of them."""

    row_N: Rows
    """Of the entity, in the table of vectors."""
    address_N: Addresses
    entities: Words
    """Hashes of the distinct entities, sorted."""

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.address_N)


class PairReader:
    """Turns the rows of CSV files into pairs."""

    def __init__(self, bad: BadRecords | None = None) -> None:
        """Begin; `bad` may leave out rows that are no pair, else the first one is refused."""
        self._bad = bad or BadRecords()
        self.has_blanks = False
        """Whether there were any around an entity or an address so far."""

    def read(self, file: NamedBytes) -> Iterator[Pairs]:
        """Yield the pairs of a CSV file, some thousands at a time.

        Raises:
            UserError: A row is no pair of an entity and an IPv4 address; file and line are named.
        """
        for columns in read_csv(file, "text", NUM_COLUMNS, self._bad):
            yield self._pairs(columns)

    def _pairs(self, columns: Columns) -> Pairs:
        entities, addresses = (columns.batch.column(index) for index in range(NUM_COLUMNS))
        numbers = numbers_of(entities, addresses)
        self.has_blanks |= numbers.has_blanks
        if numbers.is_good_N.all():
            return Pairs(numbers.hash_N, numbers.address_N, columns)
        for row in np.flatnonzero(~numbers.is_good_N).tolist():
            texts = (column[row].as_py().strip(BLANKS) for column in (entities, addresses))
            self._bad.leave_out(refusal(columns.place(row), *texts))
        kept_N = np.flatnonzero(numbers.is_good_N)
        return Pairs(numbers.hash_N[kept_N], numbers.address_N[kept_N], columns, kept_N)


class Numbers(NamedTuple):
    """Two columns of text as numbers."""

    hash_N: Words
    """Of the entity's name."""
    address_N: Addresses
    is_good_N: Mask
    """Whether there is an entity, and the address is one."""
    has_blanks: bool
    """Whether there were blanks around any of them."""


def numbers_of(entities: Any, addresses: Any) -> Numbers:  # noqa: ANN401 - pyarrow ships no types
    """Return what two Arrow columns of text come to; blanks around a text do not count."""
    stripped = [_without_blanks(column) for column in (entities, addresses)]
    (names, name_offsets), (texts, offsets) = (strings_of(column) for column, _ in stripped)
    address_N, is_good_N = parse_addresses(texts, offsets)
    is_good_N &= name_offsets[1:] > name_offsets[:-1]
    has_blanks = any(is_changed for _, is_changed in stripped)
    return Numbers(hash_strings(names, name_offsets), address_N, is_good_N, has_blanks)


def _without_blanks(column: Any) -> tuple[Any, bool]:  # noqa: ANN401 - pyarrow ships no types
    """Return a column of text without blanks around it, and whether there were any."""
    text, _ = strings_of(column)
    if not any((text == ord(blank)).any() for blank in BLANKS):
        return column, False
    stripped = arrow("compute", "reading pairs").utf8_trim(column, characters=BLANKS)
    return stripped, len(strings_of(stripped)[0]) < len(text)


def refusal(place: str, entity: str, address: str) -> UserError:
    """Return what is wrong with the texts of a pair that is none."""
    if entity:
        return UserError(
            f"{place}: expected an IPv4 address such as 192.0.2.1 after the entity; "
            f"got {shown(address)}: {complaint(address)}."
        )
    return UserError(
        f"{place}: expected the name of an entity before {shown(address)}; got nothing. "
        "Name it, or leave the row out."
    )


def strings_of(column: Any) -> tuple[Bytes, Rows]:  # noqa: ANN401 - pyarrow ships no types
    """Return the bytes of an Arrow column of strings, end to end, and where each begins."""
    _, offset_bytes, text_bytes = column.buffers()
    if not len(column) or text_bytes is None:
        return np.zeros(0, np.uint8), np.zeros(len(column) + 1, np.int32)
    offsets = np.frombuffer(offset_bytes, np.int32)[column.offset : column.offset + len(column) + 1]
    text = np.frombuffer(text_bytes, np.uint8)[offsets[0] : offsets[-1]]
    return text, offsets - offsets[0]


def rows_of(hash_N: Words, num_entity_vectors: int) -> Rows:
    """Return which row of a table each entity has, by its hash; two entities may share one."""
    return (hash_N % np.uint64(num_entity_vectors)).astype(np.int32)


def read_table(
    source: ChannelSource, num_entity_vectors: int, *, hosts: Hosts, bad: BadRecords | None = None
) -> Table:
    """Return the pairs of a channel.

    Args:
        source: The channel.
        num_entity_vectors: Rows that entities are hashed into.
        hosts: Of a `ShardedByS3Key` channel each reads its own share.
        bad: May leave out rows that are no pair; without it the first one is refused.
    Raises:
        UserError: A row is no pair, or there is none at all, and not only in this host's share.
    """
    host = (hosts.rank, len(hosts.names))
    reader = PairReader(bad)
    rows, addresses, entities = [], [], _Distinct()
    for file in byte_source(source, accepted=(CSV,), host=host).next_epoch():
        for pairs in reader.read(file):
            rows.append(rows_of(pairs.hash_N, num_entity_vectors))
            addresses.append(pairs.address_N)
            entities.add(pairs.hash_N)
    table = Table(_joined(rows, np.int32), _joined(addresses, np.uint32), entities.all())
    if not len(table) and source.distribution == "ShardedByS3Key" and host[1] > 1:
        tell_of_empty_share(source.name, hosts.current, host[1])
        return table
    if not len(table):
        raise UserError(
            f"channel {source.name}: expected at least one pair of an entity and an address; got none. "
            "Bring CSV files with a line such as user_1,192.0.2.1 for each event."
        )
    if reader.has_blanks:
        logger.info("channel %s: blanks around entities and addresses are left out.", source.name)
    logger.info("%s data: %d pairs of %d entities", source.name, len(table), len(table.entities))
    return table


def _joined(parts: list[Any], kind: type) -> Any:  # noqa: ANN401 - arrays of either kind
    """Return one array, and free its parts on the way."""
    whole: Any = np.empty(sum(map(len, parts)), kind)
    end = len(whole)
    while parts:
        part = parts.pop()
        whole[end - len(part) : end] = part
        end -= len(part)
    return whole


def distinct(words: Words) -> Words:
    """Return the distinct words, sorted. NumPy's own `unique` hashes them, which takes ten times as long."""
    ranked = np.sort(words)
    is_first = np.ones(len(ranked), np.bool_)
    is_first[1:] = ranked[1:] != ranked[:-1]
    return ranked[is_first]


class _Distinct:
    """Collects distinct hashes in memory that is proportional to their number, not to the rows."""

    LEAST = 1 << 20

    def __init__(self) -> None:
        self._parts: list[Words] = []
        self._num_held = 0
        self._num_distinct = 0

    def add(self, hashes: Words) -> None:
        part = distinct(hashes)
        self._parts.append(part)
        self._num_held += len(part)
        if self._num_held > 2 * self._num_distinct + self.LEAST:
            self.all()

    def all(self) -> Words:
        whole = distinct(np.concatenate([np.zeros(0, np.uint64), *self._parts]))
        self._parts, self._num_held = [whole], len(whole)
        self._num_distinct = len(whole)
        return whole


def is_known(hash_N: Words, entities: Words) -> Mask:
    """Return whether each entity is among the sorted hashes of those seen in training."""
    if not len(entities):
        return np.zeros(len(hash_N), np.bool_)
    place = np.minimum(np.searchsorted(entities, hash_N), len(entities) - 1)
    answer: Mask = entities[place] == hash_N
    return answer
