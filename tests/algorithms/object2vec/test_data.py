"""Channels: what is read, what is cut, and what is refused with file and line."""

import gzip
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_dl.algorithms.object2vec import data
from sm_dl.algorithms.object2vec.data import read_channel
from sm_dl.algorithms.object2vec.records import check_record
from sm_dl.data.bad_records import BadRecords
from sm_dl.errors import UserError
from tests.algorithms.object2vec.conftest import LENGTH, VOCABULARY, rules_of

GOOD = {"label": 1, "in0": [6, 17, 0], "in1": [16]}
SCORE = {"output_layer": "mean_squared_error"}


def test_pairs_come_in_the_order_of_the_lines(channel):
    other = {"label": 0, "in0": [1], "in1": [2, 3]}
    pairs = read_channel(channel(GOOD, other), rules_of())
    assert (pairs.in0[0].tolist(), pairs.in1[1].tolist()) == ([6, 17, 0], [2, 3])
    assert pairs.labels.tolist() == [1.0, 0.0]


def test_pairs_are_the_same_however_the_file_falls_into_blocks(channel, monkeypatch):
    random = np.random.default_rng(0)
    records = [{**GOOD, "in0": random.integers(0, 50, 5).tolist()} for _ in range(40)]
    whole = read_channel(channel(*records), rules_of())
    monkeypatch.setattr(data, "BLOCK_BYTES", 100)
    parts = read_channel(channel(*records), rules_of())
    assert whole.in0.tokens_N.tolist() == parts.in0.tokens_N.tolist()
    assert len(parts) == 40


def test_gzip_blank_lines_a_byte_order_mark_and_a_missing_last_line_end_change_nothing(
    channel,
):
    source = channel(GOOD, GOOD)
    text = "\ufeff" + json.dumps(GOOD) + "\r\n\n  \n" + json.dumps(GOOD)
    (source.path / "pairs.jsonl").unlink()
    (source.path / "pairs.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    assert read_channel(source, rules_of()).labels.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("name", ["part-00000", "pairs.txt", "pairs.jsonlines"])
def test_files_may_have_any_name(channel, name):
    assert len(read_channel(channel(GOOD, file=name), rules_of())) == 1


def test_other_fields_are_ignored(channel):
    assert len(read_channel(channel({**GOOD, "id": {"a": [1]}}), rules_of())) == 1


def test_long_sequences_are_cut_and_counted(channel, log):
    long = {**GOOD, "in0": list(range(LENGTH + 3))}
    pairs = read_channel(channel(GOOD, long), rules_of())
    assert pairs.in0[1].tolist() == list(range(LENGTH))
    assert (
        f"channel train: 1 of 2 in0 sequences are longer than {LENGTH} tokens and were truncated."
        in log.text
    )


BAD_FIELDS = [
    ({"in0": None}, "in0: expected a list of at least one token id; got nothing"),
    ({"in1": []}, "in1: expected a list of at least one token id; got []"),
    ({"in0": 7}, "got 7; write a single token as [10]"),
    ({"in0": "6 17"}, "in0: expected a list of at least one token id; got '6 17'"),
    ({"in0": [1, 2.5]}, "in0[1]: expected a token id, an integer from 0 to 49; got 2.5"),
    ({"in0": [1, True]}, "in0[1]: expected a token id, an integer from 0 to 49; got True"),
    ({"in1": [-1]}, "in1[0]: expected a token id, an integer from 0 to 49; got -1"),
    ({"in1": ["a"]}, "in1[0]: expected a token id, an integer from 0 to 49; got 'a'"),
    ({"in1": [[1]]}, "in1[0]: expected a token id"),
    (
        {"in1": [3, VOCABULARY]},
        'Inconsistent vocab for in1 found. Vocab id "50" is not less than vocab_size=50. Raise enc1_vocab_size',
    ),
    ({"in1": [10**12]}, 'Vocab id "1000000000000" is not less than vocab_size=50'),
    ({"label": None}, "label: expected a whole number from 0 to 1; got nothing"),
    ({"label": 2}, "label: expected a whole number from 0 to 1; got 2. Set num_classes"),
    ({"label": -1}, "label: expected a whole number from 0 to 1; got -1"),
    ({"label": 0.5}, "label: expected a whole number from 0 to 1; got 0.5"),
    ({"label": "1"}, "label: expected a whole number from 0 to 1; got '1'"),
    ({"label": True}, "label: expected a whole number from 0 to 1; got True"),
]


@pytest.mark.parametrize(("change", "reason"), BAD_FIELDS)
def test_a_wrong_record_is_refused_with_file_and_line(channel, change, reason):
    record = {key: value for key, value in {**GOOD, **change}.items() if value is not None}
    with pytest.raises(UserError) as refusal:
        read_channel(channel(GOOD, GOOD, record), rules_of())
    assert str(refusal.value).startswith("train/pairs.jsonl line 3: ")
    assert reason in str(refusal.value)


@pytest.mark.parametrize(
    "line",
    ['{"label": 1, "in0": [1]', "[1]", "7", '{"label": NaN, "in0": [1], "in1": [1]}', "{} {}"],
)
def test_a_line_that_is_no_json_object_is_refused_with_its_number(channel, line):
    with pytest.raises(UserError, match=r"^train/pairs\.jsonl line 2: expected a JSON object"):
        read_channel(channel(GOOD, line), rules_of())


@pytest.mark.parametrize("label", ["1e400", "-1e31", "1e25", "1.1e16", "1" + "0" * 60])
def test_a_score_that_is_too_large_is_refused(channel, label):
    line = f'{{"label": {label}, "in0": [1], "in1": [1]}}'
    with pytest.raises(UserError, match=r"line 2: "):
        read_channel(channel(GOOD, line), rules_of(**SCORE))


def test_scores_may_be_fractions_and_negative(channel):
    records = [{**GOOD, "label": label} for label in (-1.5, 0, 3, 4.25)]
    assert read_channel(channel(*records), rules_of(**SCORE)).labels.tolist() == [-1.5, 0, 3, 4.25]


def test_a_channel_without_pairs_is_refused(channel):
    with pytest.raises(UserError, match="channel train: expected at least one pair"):
        read_channel(channel("", " "), rules_of())


def test_wrong_records_are_left_out_where_that_is_allowed(channel):
    bad = BadRecords(2)
    records = [GOOD, {**GOOD, "label": 7}, "{", {**GOOD, "in0": [4]}]
    pairs = read_channel(channel(*records), rules_of(), bad)
    assert (len(pairs), bad.count, pairs.in0[1].tolist()) == (2, 2, [4])


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 60)
    | st.floats(-2, 2, allow_nan=False)
    | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(
    record=st.fixed_dictionaries(
        {}, optional={"label": values, "in0": st.lists(values, max_size=3) | values, "in1": values}
    )
)
def test_the_fast_way_takes_what_the_careful_one_takes(record):
    rules = rules_of()
    try:
        check_record(record, "line 1", rules)
        is_good = True
    except UserError:
        is_good = False
    try:
        data._arrays([record], rules)
        is_taken = True
    except (TypeError, KeyError, ValueError, OverflowError):
        is_taken = False
    assert is_taken == is_good
