"""Requests and responses byte by byte, as the guide documents them, and what else may arrive."""

import json

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_dl.algorithms.ntm.codec import decode, encode
from sm_dl.algorithms.ntm.documents import Documents
from sm_dl.content_types import CSV, JSON, JSON_LINES, RECORDIO_PROTOBUF, MediaType, parse
from sm_dl.data.protobuf.read import read_batches
from sm_dl.data.protobuf.write import Tensor, dense_records, record_bytes, sparse_records
from sm_dl.errors import UserError
from tests.algorithms.ntm.small_job import csr_of, recordio

NUM_WORDS = 4
ROWS = np.array([[1.5, 16, 14, 23], [1, 4, 0, 1], [0, 0, 0, 0]], dtype=np.float32)
SPARSE_ROW = {"data": {"features": {"keys": [0, 1, 3], "shape": [4], "values": [1, 4, 1]}}}
INSTANCES = [
    {"features": [1.5, 16.0, 14.0, 23.0]},
    SPARSE_ROW,
    {"data": {"features": {"values": [0, 0.0, 0, 0]}}},
]
BODIES = {
    "json": (JSON, json.dumps({"instances": INSTANCES}).encode()),
    "lines": (JSON_LINES, b"\n".join(json.dumps(one).encode() for one in INSTANCES)),
    "csv": (CSV, b"1.5,16,14,23\n1,4,0,1\n0,0,0,0\n"),
    "labelled": ("text/csv; label_size=2", b"9,9,1.5,16,14,23\n9,9,1,4,0,1\n9,9,0,0,0,0\n"),
    "dense": (RECORDIO_PROTOBUF, recordio(dense_records(ROWS))),
    "sparse": (RECORDIO_PROTOBUF, recordio(sparse_records(csr_of(ROWS)))),
}
steady = settings(derandomize=True, deadline=None, max_examples=150)


def dense(documents: Documents):
    matrix = np.zeros((len(documents), documents.num_words))
    matrix[np.repeat(np.arange(len(documents)), np.diff(documents.starts)), documents.words] = (
        documents.counts
    )
    return matrix


@pytest.mark.parametrize("name", BODIES)
def test_the_same_documents_come_out_of_every_type(name):
    header, body = BODIES[name]
    assert np.array_equal(dense(decode(body, parse(header), NUM_WORDS)), ROWS)


def test_dense_and_sparse_instances_may_be_mixed_and_keys_repeated():
    body = b'{"instances": [{"data": {"features": {"keys": [3, 0, 3], "shape": [4], "values": [1, 2, 1]}}}]}'
    assert dense(decode(body, MediaType(JSON), NUM_WORDS)).tolist() == [[2, 0, 0, 2]]


def _one(instance: str) -> bytes:
    """Return a JSON request of one instance."""
    return b'{"instances": [%s]}' % instance.encode()


def _sparse(keys, values, shape) -> bytes:
    """Return a JSON request of one sparse instance."""
    features = {"keys": keys, "shape": shape, "values": values}
    return _one(json.dumps({"data": {"features": features}}))


NOT_NUMBERS = "values: expected a list of numbers"
FIVE = recordio(dense_records(np.ones((1, 5), np.float32)))
BEYOND = recordio(
    [record_bytes({"values": Tensor(np.ones(1, np.float32), np.array([9]), (NUM_WORDS,))})]
)


@pytest.mark.parametrize(
    ("header", "body", "words"),
    [
        (JSON, b"{", "request body: expected a JSON object"),
        (JSON, b"[]", "request body: expected a JSON object"),
        (JSON, b"{}", "instances: expected a list of documents; got None"),
        (JSON, b'{"instances": []}', r"instances: expected a list of documents; got \[\]"),
        (JSON, _one("3"), r"instances\[0\]: expected features as a list of counts"),
        (JSON, _one('{"features": [1, 2]}'), r"instances\[0\]: expected 4 values.*got 2"),
        (JSON, _one('{"features": [1, 2, 3, "a"]}'), rf"instances\[0\]: {NOT_NUMBERS}"),
        (JSON, _one('{"features": [1, 2, 3, true]}'), NOT_NUMBERS),
        (JSON, _one('{"features": [1, 2, 3, null]}'), NOT_NUMBERS),
        (JSON, _one('{"features": [[1], [2, 3]]}'), NOT_NUMBERS),
        (
            JSON,
            _one('{"features": [1, 2, 3, -4]}'),
            r"\[0\]: expected counts of 0 or more; got -4\.0",
        ),
        (JSON, _one('{"features": [1, 2, 3, 1e999]}'), "request body: expected a JSON object"),
        (JSON, _sparse([4], [1], [4]), "keys: expected whole numbers from 0 to 3; got 4"),
        (JSON, _sparse([-1], [1], [4]), "keys: expected whole numbers from 0 to 3; got -1"),
        (JSON, _sparse([0.5], [1], [4]), "keys: expected whole numbers"),
        (JSON, _sparse([1, 2], [1], [4]), "a key for each value; got 2 keys and 1 values"),
        (JSON, _sparse([1], [1], [5]), r"instances\[0\]: shape: expected \[4\]"),
        (
            JSON,
            _one('{"data": {"features": {"keys": [1], "values": [1]}}}'),
            "expected features as",
        ),
        (
            JSON_LINES,
            b'{"features": [1, 2, 3, 4]}\n\n{"features": [1]}',
            "line 3: expected 4 values",
        ),
        (JSON_LINES, b"\n\n", "request body: expected at least one document"),
        (
            CSV,
            b"1,2,3\n",
            "request body line 1: expected 4 columns, one for each word of the model's vocabulary; got 3",
        ),
        (CSV, b"1,2,3,4\n1,2,3,x\n", "request body line 2: expected a number in column 4"),
        (CSV, b"\n", "request body: expected at least one document"),
        ("text/csv; label_size=x", b"1,2,3,4\n", "label_size: expected a whole number"),
        (RECORDIO_PROTOBUF, b"1,2,3,4\n", "request body record 1 .*expected a RecordIO record"),
        (
            RECORDIO_PROTOBUF,
            FIVE,
            "request body record 1 .*expected 4 values, one for each word of the model's voc",
        ),
        (RECORDIO_PROTOBUF, BEYOND, "expected keys below 4"),
    ],
)
def test_what_is_no_request_is_refused_in_a_sentence(header, body, words):
    with pytest.raises(UserError, match=words):
        decode(body, parse(header), NUM_WORDS)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["features", "data", "values", "keys", "shape"]), inner)
    ),
    max_leaves=8,
)


@steady
@given(instances=st.lists(json_values, max_size=3))
def test_any_json_is_answered_or_refused(instances):
    try:
        body = orjson.dumps({"instances": instances})
    except TypeError:  # integers that JSON readers do not share
        return
    try:
        assert len(decode(body, MediaType(JSON), NUM_WORDS)) == len(instances)
    except UserError as refusal:
        assert len(str(refusal)) < 400  # noqa: PT017 - both ends are right


@steady
@given(
    body=st.binary(max_size=60)
    | st.builds(lambda cut: BODIES["sparse"][1][:cut], st.integers(0, 200)),
    header=st.sampled_from([JSON, JSON_LINES, CSV, RECORDIO_PROTOBUF]),
)
def test_any_bytes_are_answered_or_refused(body, header):
    try:
        decode(body, MediaType(header), NUM_WORDS)
    except UserError as refusal:
        assert len(str(refusal)) < 500  # noqa: PT017 - both ends are right


WEIGHTS = np.float32([[0.02, 0.1, 0.88], [0.25, 0.067, 0.683]])


def test_answers_are_the_documented_bytes():
    assert encode(WEIGHTS, JSON) == (
        b'{"predictions":[{"topic_weights":[0.02,0.1,0.88]},{"topic_weights":[0.25,0.067,0.683]}]}'
    )
    assert encode(WEIGHTS, JSON_LINES) == (
        b'{"topic_weights":[0.02,0.1,0.88]}\n{"topic_weights":[0.25,0.067,0.683]}\n'
    )


def test_records_of_an_answer_have_a_label_and_no_features(tmp_path):
    (tmp_path / "answer").write_bytes(encode(WEIGHTS, RECORDIO_PROTOBUF))
    with (tmp_path / "answer").open("rb") as stream:
        (batch,) = read_batches(stream, "answer")
    assert (batch.features, list(batch.label)) == ({}, ["topic_weights"])
    column = batch.label["topic_weights"]
    assert (column.is_sparse, column.keys.tolist()) == (False, [])
    assert np.array_equal(column.dense(), WEIGHTS)
