"""Channels of CSV files become columns of pairs; what is no pair is refused with file and line."""

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sm_dl.algorithms.ip_insights.data import Table, distinct, is_known, read_table
from sm_dl.algorithms.ip_insights.scoring import _suspects
from sm_dl.data.bad_records import BadRecords
from sm_dl.errors import UserError
from sm_dl.job.job import ChannelSource, Hosts

ROWS = 1 << 20


@pytest.fixture
def channel(tmp_path):
    """Return a maker of a channel from the contents of its files."""

    def make(*contents: str | bytes) -> ChannelSource:
        for number, content in enumerate(contents):
            raw = content if isinstance(content, bytes) else content.encode()
            (tmp_path / f"{number}.csv").write_bytes(raw)
        return ChannelSource("train", tmp_path)

    return make


def read(source: ChannelSource, bad: BadRecords | None = None) -> Table:
    return read_table(source, ROWS, hosts=Hosts(), bad=bad)


def refusal(source: ChannelSource) -> str:
    with pytest.raises(UserError) as caught:
        read(source)
    return str(caught.value)


def test_the_pairs_come_in_the_order_of_files_and_lines(channel):
    table = read(channel("a,1.2.3.4\nb,0.0.0.0\n", "a,255.255.255.255\n"))
    assert table.address_N.tolist() == [0x01020304, 0, 0xFFFFFFFF]
    assert table.row_N[0] == table.row_N[2] != table.row_N[1]


def test_repeated_rows_are_kept(channel):
    assert len(read(channel("a,1.2.3.4\n" * 3))) == 3


@pytest.mark.parametrize(
    "line",
    ["a, 1.2.3.4", " a,1.2.3.4", "a\t,\t1.2.3.4 ", '"a",1.2.3.4', 'a,"1.2.3.4"', "a,1.2.3.4\r"],
)
def test_blanks_quotes_and_line_ends_do_not_change_a_pair(channel, line):
    table = read(channel(f"{line}\na,1.2.3.4\n"))
    assert table.row_N[0] == table.row_N[1]
    assert table.address_N.tolist() == [0x01020304] * 2


def test_blanks_are_told_of_once(channel, log):
    read(channel("a, 1.2.3.4\nb, 1.2.3.4\n", "c, 1.2.3.4\n"))
    assert log.text.count("blanks around") == 1
    assert "channel train: blanks around entities and addresses are left out." in log.text


def test_blanks_within_a_name_are_part_of_it(channel, log):
    table = read(channel("Ada Lovelace,1.2.3.4\nAda  Lovelace,1.2.3.4\n"))
    assert len(table.entities) == 2
    assert "blanks" not in log.text


@pytest.mark.parametrize(
    "name", ["Zoë", "用户", "a,b", 'say "hi"', "🦉", "NULL", "nan", "1", "007"]
)
def test_any_name_is_a_name_of_its_own(channel, name):
    quoted = '"' + name.replace('"', '""') + '"'
    table = read(channel(f"{quoted},1.2.3.4\n{quoted}x,1.2.3.4\n"))
    assert len(table.entities) == 2


def test_upper_and_lower_case_are_two_entities(channel):
    assert len(read(channel("Bob,1.2.3.4\nbob,1.2.3.4\n")).entities) == 2


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("b,2001:db8::1", "an IPv6 address"),
        ("b,host.example.com", "a host name"),
        ("b,999.1.1.1", "a number above 255"),
        ("b,010.0.0.1", "a leading zero"),
        ("b,1.2.3", "3 numbers"),
        ("b,", "got ''"),
        ("b", "expected 2 columns; got 1"),
        ("b,1.2.3.4,x", "expected 2 columns; got 3"),
        (",1.2.3.4", "expected the name of an entity"),
        ('"  ",1.2.3.4', "expected the name of an entity"),
        ('b,"1.2.3.4', "quotes that close"),
    ],
)
def test_a_bad_line_is_refused_with_its_file_and_number(channel, line, words):
    sentence = refusal(channel("a,1.2.3.4\n", f"a,1.2.3.4\n\n{line}\na,1.2.3.4\n"))
    assert sentence.startswith("train/1.csv line 3: expected")
    assert words in sentence


def test_a_header_line_is_refused_and_named_as_one(channel):
    sentence = refusal(channel("entity,ip\na,1.2.3.4\n"))
    assert "train/0.csv line 1" in sentence
    assert "header line" in sentence


def test_bytes_that_are_no_text_are_refused(channel):
    assert "train/0.csv line 2: expected UTF-8" in refusal(channel(b"a,1.2.3.4\n\xff,1.2.3.4\n"))


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_an_empty_channel_is_refused(channel, content):
    assert "channel train: expected at least one pair" in refusal(channel(content))


def test_a_gzipped_file_is_read(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"a,1.2.3.4\n"))
    assert len(read(ChannelSource("train", tmp_path))) == 1


@pytest.mark.parametrize("name", ["part-00000", "log.txt"])
def test_files_may_have_any_name(tmp_path, name):
    (tmp_path / name).write_text("a,1.2.3.4\n")
    assert len(read(ChannelSource("train", tmp_path))) == 1


def test_lines_of_another_width_are_left_out_when_allowed(channel):
    bad = BadRecords(2)
    table = read(channel("a,1.2.3.4\nb\nc,5.6.7.8,x\nd,9.9.9.9\n"), bad)
    assert (table.address_N.tolist(), bad.count) == ([0x01020304, 0x09090909], 2)


def test_bad_rows_are_left_out_and_named_when_allowed(channel):
    bad = BadRecords(2)
    table = read(channel("a,1.2.3.4\nb,::1\n,1.2.3.4\nc,5.6.7.8\n"), bad)
    assert table.address_N.tolist() == [0x01020304, 0x05060708]
    assert [reason.split(":")[0] for reason in bad.reasons] == [
        "train/0.csv line 2",
        "train/0.csv line 3",
    ]


def test_a_pair_in_eight_bytes_is_all_that_is_kept_of_a_row(channel):
    table = read(channel("a,1.2.3.4\n" * 1000))
    assert table.row_N.nbytes + table.address_N.nbytes == 8 * 1000


def test_the_texts_of_chosen_pairs_are_found_again(channel):
    source = channel("a,1.2.3.4\nb,::1\n\n c ,5.6.7.8\n", "d,9.9.9.9\n")
    scores = np.array([0.5, -1.5, -2.0], np.float32)
    suspects = _suspects(source, np.array([2, 1]), scores, BadRecords(1))
    assert [(one.place, one.entity, one.address, one.score) for one in suspects] == [
        ("train/1.csv line 1", "d", "9.9.9.9", -2.0),
        ("train/0.csv line 4", "c", "5.6.7.8", -1.5),
    ]


@pytest.mark.parametrize(("is_shared_out", "num_pairs"), [(True, 3), (False, 1)])
def test_of_a_sharded_channel_in_a_folder_a_host_reads_its_share(channel, is_shared_out, num_pairs):
    source = channel("a,1.2.3.4\n", "b,1.2.3.4\n", "c,1.2.3.4\n")
    sharded = replace(source, distribution="ShardedByS3Key", is_shared_out=is_shared_out)
    hosts = Hosts("algo-2", ("algo-1", "algo-2"))
    assert len(read_table(sharded, ROWS, hosts=hosts)) == num_pairs


@pytest.mark.parametrize("is_shared_out", [True, False])
def test_a_share_without_a_pair_is_told_of_and_empty(channel, log, is_shared_out):
    source = channel("" if is_shared_out else "a,1.2.3.4\n")
    sharded = replace(source, distribution="ShardedByS3Key", is_shared_out=is_shared_out)
    table = read_table(sharded, ROWS, hosts=Hosts("algo-2", ("algo-1", "algo-2")))
    assert (len(table), table.entities.tolist()) == (0, [])
    assert is_known(np.ones(2, np.uint64), table.entities).tolist() == [False, False]
    assert "channel train: the share of host algo-2 holds no records" in log.text


def test_known_entities_are_told_from_others(channel, tmp_path: Path):
    table = read(channel("a,1.2.3.4\nb,1.2.3.4\na,1.2.3.4\n"))
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "0.csv").write_text("b,1.2.3.4\nc,1.2.3.4\n")
    others = read(ChannelSource("more", tmp_path / "more")).entities
    assert sorted(is_known(others, table.entities).tolist()) == [False, True]


def test_distinct_words_are_those_of_numpy():
    words = np.random.default_rng(0).integers(0, 50, 200).astype(np.uint64)
    assert distinct(words).tolist() == np.unique(words).tolist()
    assert distinct(words[:0]).tolist() == []
