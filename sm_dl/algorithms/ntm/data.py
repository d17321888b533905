"""Channels to documents (spec section 3): protobuf records dense or sparse, and dense CSV."""

import logging
from collections.abc import Iterator

import numpy as np

from sm_dl.algorithms.ntm.documents import Documents, joined, none_of
from sm_dl.algorithms.ntm.entries import (
    TENSOR,
    Entries,
    checked,
    entries_of_matrix,
    entries_of_records,
)
from sm_dl.content_types import CSV, RECORDIO_PROTOBUF
from sm_dl.data.bad_records import BadRecords
from sm_dl.data.compression import explained, opened_plain
from sm_dl.data.csv_numbers import read_numbers
from sm_dl.data.csv_table import label_size_of
from sm_dl.data.protobuf.read import read_batches
from sm_dl.data.shard import tell_of_empty_share
from sm_dl.data.source import NamedBytes, byte_source
from sm_dl.data.width import Width
from sm_dl.errors import UserError
from sm_dl.job.job import ChannelSource, Hosts

logger = logging.getLogger(__name__)


def read_documents(
    source: ChannelSource, num_words: int, *, hosts: Hosts, bad: BadRecords | None = None
) -> Documents:
    """Return the documents of a channel that have words, in the order of its files.

    They are held in memory, 8 bytes for each different word of a document, and no dense row
    outlives the few thousand read together with it.

    Args:
        source: The channel.
        num_words: Size of the vocabulary.
        hosts: Of a `ShardedByS3Key` channel each reads its own share.
        bad: May leave out records that are no document; without it the first one is refused.
    Raises:
        UserError: A record is no document, or none has a word, and not only in this host's share.
    """
    bad = bad or BadRecords()
    label_size = label_size_of(source.content_type, default=0)
    width = Width(
        num_words, ", as feature_dim says", " Set feature_dim to the size of the vocabulary."
    )
    parts: list[Documents] = []
    num_read = 0
    host = (hosts.rank, len(hosts.names))
    for file in byte_source(source, (RECORDIO_PROTOBUF, CSV), host=host).next_epoch():
        read = entries_of_csv(file, width, label_size, bad)
        if file.media_type == RECORDIO_PROTOBUF:
            read = _records(file, width, bad)
        for entries in read:
            documents = checked(entries, num_words, bad)
            num_read += len(documents)
            parts.append(documents.take(np.flatnonzero(np.diff(documents.starts))))
    found = joined(parts) if parts else none_of(num_words)
    if not len(found) and source.distribution == "ShardedByS3Key" and host[1] > 1:
        tell_of_empty_share(source.name, hosts.current, host[1])
        return found
    if not len(found):
        raise UserError(
            f"channel {source.name}: expected at least one document with words; "
            f"got {num_read} documents without any."
        )
    if len(found) < num_read:
        logger.warning(
            "channel %s: %d of %d documents have no words, and are left out.",
            source.name, num_read - len(found), num_read,
        )  # fmt: skip
    logger.info(
        "%s data: %d documents of %s words, %d of them different in each on average",
        source.name, len(found), f"{found.lengths().sum(dtype=np.float64):.15g}",
        round(len(found.words) / len(found)),
    )  # fmt: skip
    return found


def _records(file: NamedBytes, width: Width, bad: BadRecords) -> Iterator[Entries]:
    with explained(file, lambda: "some records"), opened_plain(file) as stream:
        for batch in read_batches(stream, file.name, bad, wanted={TENSOR: width}):
            yield entries_of_records(batch)


def entries_of_csv(
    file: NamedBytes, width: Width, label_size: int, bad: BadRecords | None = None
) -> Iterator[Entries]:
    """Yield the counts of a CSV file: dense rows, behind `label_size` columns that are dropped."""
    if label_size:
        counts = width.reason.removeprefix(",")
        width = Width(
            label_size + width.size,
            f", {label_size} of them as label_size says, the others{counts}",
            width.advice,
        )
    for rows in read_numbers(file, width, bad):
        yield entries_of_matrix(rows.values[:, label_size:], rows.place)
