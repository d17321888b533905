"""Documents from every format and way in, and every refusal with file and record (spec 3.3)."""

import gzip
import logging
import time
from dataclasses import replace

import numpy as np
import pytest

from sm_dl.algorithms.ntm.data import read_documents
from sm_dl.content_types import CSV, RECORDIO_PROTOBUF
from sm_dl.data.protobuf.columns import Column, Csr
from sm_dl.data.protobuf.write import Blob, Tensor, dense_records, record_bytes, sparse_records
from sm_dl.data.recordio import framed
from sm_dl.errors import UserError
from sm_dl.job.job import ChannelSource, Hosts
from tests.algorithms.ntm.small_job import NUM_WORDS, counts_of, csr_of, recordio
from tests.fifo import feeding

COUNTS = counts_of(5, 9)
SPARSE, DENSE = recordio(sparse_records(csr_of(COUNTS))), recordio(dense_records(COUNTS))
LINES = "".join(",".join(f"{one:g}" for one in row) + "\n" for row in COUNTS)


def sparse(keys, values, shape=(NUM_WORDS,), kind=np.float32):
    """Return one framed record of a document."""
    tensor = Tensor(np.array(values, dtype=kind), np.array(keys, dtype=np.uint64), shape)
    return framed(record_bytes({"values": tensor}), cuts=False)


def dense(*row):
    """Return one framed record of dense counts."""
    return recordio(dense_records(np.array([row], dtype=np.float32)))


GOOD = sparse([1, 3], [2, 1])
OTHER = recordio([record_bytes({"other": Tensor(np.ones(NUM_WORDS, np.float32))})])
ZEROS = ",0" * (NUM_WORDS - 1)
WRONG_LENGTH = "expected 12 values, as feature_dim says; got"


@pytest.mark.parametrize(
    "files",
    [
        {"a_pbr": SPARSE},
        {"a_pbr": DENSE},
        {"a_csv": LINES},
        {"a_pbr": gzip.compress(SPARSE)},
        {"a_csv_gz": gzip.compress(LINES.encode())},
        {"a_csv": "\ufeff" + LINES.replace("\n", "\r\n")},
        {"a_csv": LINES.rstrip("\n")},
        {
            "a_pbr": recordio(sparse_records(csr_of(COUNTS[:4]))),
            "b_csv": LINES.partition("\n")[0],
            "c_pbr": recordio(dense_records(COUNTS[5:])),
        },
    ],
    ids=["sparse", "dense", "csv", "packed", "packed-csv", "windows", "no-end", "mixed"],
)
def test_the_same_documents_come_out_of_every_format(channel, read, files):
    found = read(channel(**files))
    mixed = np.concatenate([COUNTS[:4], COUNTS[:1], COUNTS[5:]])
    expected = mixed if "b_csv" in files else COUNTS
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("kind", [np.float64, np.int32, np.float32])
def test_counts_of_every_type_are_taken(channel, read, kind):
    assert read(channel(a_pbr=sparse([1, 3], [2, 1], kind=kind)))[0, [1, 3]].tolist() == [2, 1]


def test_labels_of_the_clients_writers_are_ignored(channel, read):
    labels = np.arange(len(COUNTS), dtype=np.float32)
    records = recordio(sparse_records(csr_of(COUNTS), labels))
    assert np.array_equal(read(channel(a_pbr=records)), COUNTS)


def _labelled(*labels):
    """Return a record of a document beside labels."""
    tensors = {name: Tensor(np.ones(count, np.float32)) for name, count in labels}
    counts = Tensor(np.array([2, 1], np.float32), np.array([1, 3], np.uint64), (NUM_WORDS,))
    return framed(record_bytes({"values": counts}, tensors), cuts=False)


def test_labels_decide_nothing_wherever_they_are(channel, read):
    records = [GOOD, _labelled(("values", 1)), _labelled(("values", 3), ("other", 2)), GOOD, GOOD]
    for order in (records, records[::-1]):
        found = read(channel(a_pbr=b"".join(order)))
        assert found[:, [1, 3]].tolist() == [[2, 1]] * 5
        assert found.sum() == 15


MIXED = [
    GOOD,
    dense(*range(NUM_WORDS)),
    sparse([], []),
    sparse([2], [4], kind=np.int32),
    dense(*[0] * 11, 1),
    sparse([11, 0], [0.5, 3], kind=np.float64),
    _labelled(("values", 1)),
]
MIXED_ROWS = np.zeros((6, NUM_WORDS))
MIXED_ROWS[[0, 0, 2, 3, 4, 4, 5, 5], [1, 3, 2, 11, 0, 11, 1, 3]] = [2, 1, 4, 1, 3, 0.5, 2, 1]
MIXED_ROWS[1] = range(NUM_WORDS)


def test_each_record_is_dense_or_sparse_and_of_its_own_type(channel, read):
    assert np.array_equal(read(channel(a_pbr=b"".join(MIXED))), MIXED_ROWS)
    assert np.array_equal(read(channel(a_pbr=b"".join(MIXED[::-1]))), MIXED_ROWS[::-1])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (sparse([1], [1], (13,)), r"expected the shape \[12\], as feature_dim says; got \[13\]"),
        (sparse([1], [1], (3, 4)), r"expected the shape \[12\], as feature_dim says; got \[3, 4\]"),
        (dense(*13 * [1]), f"{WRONG_LENGTH} 13"),
        (dense(), f"{WRONG_LENGTH} 0"),
        (sparse([1], [1], None), "a sparse row needs a shape"),
        (sparse([12], [1]), "expected keys below 12"),
        (OTHER, r"expected numbers under this name; got only \['other'\]"),
        (framed(record_bytes({"values": Blob(b"x")}), cuts=False), "expected numbers.*got bytes"),
    ],
)
@pytest.mark.parametrize("position", [0, 3, 7])
def test_the_record_that_is_wrong_is_the_one_that_is_named(channel, read, wrong, words, position):
    records = [*MIXED[:position], wrong, *MIXED[position:]]
    source = channel(a_pbr=b"".join(records))
    with pytest.raises(UserError, match=rf"a\.pbr record {position + 1} at byte \d+: .*{words}"):
        read(source)
    assert np.array_equal(read(source, most_bad=1), MIXED_ROWS)


def test_many_wrong_records_are_left_out_at_once(channel, read):
    num_pairs = 20_000
    source = channel(a_pbr=(sparse([1], [1], (13,)) + GOOD) * num_pairs)
    begin = time.process_time()
    found = read(source, most_bad=num_pairs)
    assert (found.shape, found.sum()) == ((num_pairs, NUM_WORDS), 3 * num_pairs)
    assert time.process_time() - begin < 20  # one by one: minutes


def test_leading_labels_of_csv_are_dropped(channel, read):
    lines = "".join(f"7,{line}\n" for line in LINES.splitlines())
    assert np.array_equal(read(channel("text/csv; label_size=1", a_csv=lines)), COUNTS)


def test_a_word_given_twice_is_added_up(channel, read):
    assert read(channel(a_pbr=sparse([3, 1, 3], [1, 1, 2])))[0, [1, 3]].tolist() == [1, 3]


def test_fractions_are_weights(channel, read):
    assert read(channel(a_csv="0.25," + ",".join("0" * 11) + "\n"))[0, 0] == 0.25


def test_documents_without_words_are_left_out_and_counted(channel, read, caplog):
    empty = sparse([], [])
    with caplog.at_level(logging.INFO):
        found = read(channel(a_pbr=empty + GOOD + sparse([2], [0]) + GOOD))
    assert len(found) == 2
    assert "channel train: 2 of 4 documents have no words, and are left out." in caplog.text


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"a_pbr": GOOD + sparse([1], [-1])}, r"train/a\.pbr record 2 at byte \d+: .* got -1\.0 for word 1"),
        ({"a_pbr": GOOD + sparse([1], [np.nan])}, r"train/a\.pbr record 2 .* got nan for word 1"),
        ({"a_pbr": GOOD + sparse([1], [np.inf])}, r"train/a\.pbr record 2 .* got inf for word 1"),
        ({"a_pbr": sparse([1], [1e300], kind=np.float64)}, r"record 1 .* got 1e\+300 for word 1"),
        ({"a_pbr": sparse([1, 2], [3e38, 3e38])}, r"record 1 .*whose sum is a number"),
        ({"a_pbr": GOOD + sparse([12], [1])}, r"record 2 .*expected keys below 12, as shape says"),
        ({"a_pbr": sparse([1], [1], (13,))}, r"record 1 .*expected the shape \[12\], as feature_dim says; got \[13\]"),
        ({"a_pbr": sparse([1], [1], (3, 4))}, r"record 1 .*expected the shape \[12\].*got \[3, 4\]"),
        ({"a_pbr": GOOD + sparse([1], [1], (13,))}, r"record 2 .*expected the shape \[12\]"),
        ({"a_pbr": sparse([1], [1], None)}, r"record 1 .*a sparse row needs a shape"),
        ({"a_pbr": sparse([1, 2], [1])}, r"record 1 .*expected a key for each value"),
        ({"a_pbr": dense(*13 * [1])}, f"record 1 .*{WRONG_LENGTH} 13"),
        ({"a_pbr": DENSE + dense(*5 * [1])}, f"record 10 .*{WRONG_LENGTH} 5"),
        ({"a_pbr": OTHER}, r"record 1 .*features\['values'\]: expected numbers.*got only \['other'\]"),
        ({"a_pbr": recordio([b""])}, r"record 1 .*features\['values'\]: expected numbers.*got no features"),
        ({"a_pbr": SPARSE[:-3]}, r"record 9 at byte \d+: the record is cut short"),
        ({"a_pbr": b"{}\n"}, r"train/a\.pbr record 1 .*expected a RecordIO record"),
        ({"a_csv": LINES + "1,2\n"}, r"train/a\.csv line 10: expected 12 columns, as feature_dim says; got 2"),
        ({"a_csv": f"{LINES}1{12 * ',1'}"}, r"train/a\.csv line 10: expected 12 columns, as feature_dim says; got 13"),
        ({"a_csv": LINES.replace("0", "zero", 1)}, r"train/a\.csv line 1: expected a number in column"),
        ({"a_csv": "1,\n"}, r"train/a\.csv line 1: expected 12 columns, as feature_dim says; got 2"),
        ({"a_csv": "-1" + ZEROS}, r"a\.csv line 1: expected counts of 0 or more; got -1\.0 for word 0"),
        ({"a_csv": "nan" + ZEROS}, r"train/a\.csv line 1: .* got nan for word 0"),
        ({"a_csv": ""}, r"channel train: expected at least one document with words; got 0"),
        ({"a_pbr": sparse([], [])}, r"channel train: expected at least one document with words; got 1"),
        ({"a_txt": LINES}, r"train/a\.txt: the format cannot be told from the extension"),
    ],
)  # fmt: skip
def test_what_is_no_document_is_refused_with_file_and_record(channel, read, files, words):
    with pytest.raises(UserError, match=words) as refusal:
        read(channel(**files))
    assert len(str(refusal.value)) < 400


def test_a_line_of_another_width_is_told_what_is_counted(channel, read):
    sentence = (
        r"^train/a\.csv line 1: expected 13 columns, 1 of them as label_size says, the others as "
        r"feature_dim says; got 12\. Set feature_dim to the size of the vocabulary\.$"
    )
    with pytest.raises(UserError, match=sentence):
        read(channel("text/csv; label_size=1", a_csv=LINES))


def test_a_vocabulary_of_a_million_words_comes_in_csv_as_fast_as_its_bytes(channel):
    num_words = 1_000_000
    line = "2," + "0," * (num_words - 2) + "3\n"
    begin = time.process_time()
    found = read_documents(channel(a_csv=line * 2), num_words, hosts=Hosts())
    assert time.process_time() - begin < 4  # a table of as many columns takes 20 s
    assert (found.words.tolist(), found.counts.tolist()) == ([0, num_words - 1] * 2, [2, 3] * 2)


def test_records_that_are_none_may_be_left_out_and_are_named(channel, read, caplog):
    bad = sparse([1], [-1]) + sparse([2], [np.nan])
    with caplog.at_level(logging.WARNING):
        assert len(read(channel(a_pbr=GOOD + bad + GOOD), most_bad=2)) == 2
    assert [line[:30] for line in caplog.messages] == [
        "left out: train/a.pbr record 2", "left out: train/a.pbr record 3",
    ]  # fmt: skip


def test_a_damaged_record_and_a_bad_line_are_left_out_up_to_the_limit(channel, read):
    damaged = framed(b"\xff", cuts=False)
    zeros = "0" + ZEROS
    files = {"a_pbr": GOOD + damaged + GOOD, "b_csv": f"1{ZEROS}\n1,2\nx{ZEROS}\n{zeros}\n"}
    assert len(read(channel(**files), most_bad=3)) == 3


def test_one_bad_record_too_many_ends_the_job(channel, read):
    with pytest.raises(UserError, match="after the 1 that hyperparameter max_bad_records lets"):
        read(channel(a_pbr=GOOD + sparse([1], [-1]) + sparse([2], [-2])), most_bad=1)


def test_dense_rows_of_a_wrong_length_may_be_left_out(channel, read):
    wrong = dense(*5 * [1])
    assert np.array_equal(
        read(channel(a_pbr=DENSE + wrong + DENSE), most_bad=1), np.tile(COUNTS, (2, 1))
    )


@pytest.mark.parametrize(
    ("content", "kind"),
    [(SPARSE, RECORDIO_PROTOBUF), (LINES.encode(), CSV)],
    ids=["records", "csv"],
)
def test_a_pipe_brings_the_same_documents(tmp_path, read, content, kind):
    source = ChannelSource("train", tmp_path / "train", kind, "Pipe")
    pieces = [content[begin : begin + 7] for begin in range(0, len(content), 7)]
    with feeding(source.path, [pieces]):
        assert np.array_equal(read(source), COUNTS)


@pytest.mark.parametrize("is_shared_out", [True, False])
def test_a_share_without_a_file_is_told_of_and_empty(channel, log, is_shared_out):
    source = channel(**{} if is_shared_out else {"a_pbr": GOOD})
    sharded = replace(source, distribution="ShardedByS3Key", is_shared_out=is_shared_out)
    hosts = Hosts("algo-2", ("algo-1", "algo-2"))
    assert len(read_documents(sharded, NUM_WORDS, hosts=hosts)) == 0
    assert "channel train: the share of host algo-2 holds no records" in log.text


def test_no_dense_matrix_is_made_of_sparse_records(channel, monkeypatch):
    monkeypatch.setattr(Column, "dense", None)  # to call it would raise
    num_words = 1_000_000
    rows = Csr(np.ones(3000, np.float32), np.arange(3000) * 300, np.arange(0, 3001, 3), num_words)
    source = channel(a_pbr=recordio(sparse_records(rows)))
    found = read_documents(source, num_words, hosts=Hosts())
    assert (len(found), found.words.nbytes + found.counts.nbytes) == (1000, 3000 * 8)
