"""Requests and answers, byte for byte, and what is wrong with bad ones."""

import numpy as np
import orjson
import pytest

from sm_dl.algorithms.object2vec.codec import ObjectAnswer, Reader, encode
from sm_dl.algorithms.object2vec.words import Words
from sm_dl.content_types import parse
from sm_dl.errors import UserError
from tests.algorithms.object2vec.conftest import LENGTH, VOCABULARY, side_of

SIDES = (side_of(), side_of(field="in1", vocab_size=20))
READER = Reader(SIDES, (None, None))
WORDS = Words({"<unk>": 0, "a": 1, "man": 2, "New York": 3})
WITH_WORDS = Reader(SIDES, (WORDS, Words({"b": 4})))
JSON, LINES = "application/json", "application/jsonlines"


def decoded(body: str | bytes, content_type: str = JSON, reader: Reader = READER):
    content = body.encode() if isinstance(body, str) else body
    return reader.decode(content, parse(content_type))


def rows(request, number=0):
    sequences = request.sequences[number]
    return [sequences[row].tolist() for row in range(len(sequences))]


PAIR = '{"in0": [6, 17], "in1": [16, 2, 13]}'


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (f'{{"instances": [{PAIR}, {PAIR}]}}', JSON),
        (f"{PAIR}\n\n{PAIR}", LINES),
        (f"{PAIR}\r\n{PAIR}\n", LINES),
    ],
)
def test_both_fields_ask_for_scores(body, content_type):
    request = decoded(body, content_type)
    assert (request.fields, rows(request, 0), rows(request, 1)) == (
        ("in0", "in1"),
        [[6, 17]] * 2,
        [[16, 2, 13]] * 2,
    )


@pytest.mark.parametrize("field", ["in0", "in1"])
def test_one_field_asks_for_its_embedding_whatever_else_is_there(field):
    request = decoded(f'{{"instances": [{{"{field}": [3], "label": 1, "id": "x"}}]}}')
    assert (request.fields, rows(request)) == ((field,), [[3]])


def test_a_long_sequence_is_cut_to_the_trained_length():
    long = list(range(LENGTH + 5))
    assert rows(decoded(orjson.dumps({"instances": [{"in0": long}]}))) == [long[:LENGTH]]


@pytest.mark.parametrize("separator", ["; ", ";"])
def test_a_request_may_bring_its_own_lengths(separator):
    request = decoded(PAIR, f"{LINES}{separator}infer_max_seqlens=1,20")
    assert (rows(request, 0), rows(request, 1)) == ([[6]], [[16, 2, 13]])


@pytest.mark.parametrize("lengths", ["1", "0,1", "1,5001", "a,b", "1,2,3", "-1,2", "1.5,2", ""])
def test_other_lengths_are_refused(lengths):
    with pytest.raises(UserError, match="infer_max_seqlens: expected two integers from 1 to 5000"):
        decoded(PAIR, f"{LINES}; infer_max_seqlens={lengths}")


REFUSED = [
    ('{"in0": [1]}', JSON, 'request body: expected {"instances": [{"in0"'),
    ("[[1]]", JSON, 'request body: expected {"instances"'),
    ('{"instances": []}', JSON, 'request body: expected {"instances"'),
    ('{"instances": {"in0": [1]}}', JSON, 'request body: expected {"instances"'),
    ("{", JSON, "request body: expected JSON, "),
    (
        '{"instances": [[1]]}',
        JSON,
        "instances[0]: expected an object with in0, in1 or both; got [1]",
    ),
    (
        '{"instances": [{"label": 1}]}',
        JSON,
        "instances[0]: expected an object with in0, in1 or both",
    ),
    (
        '{"instances": [{"in0": [1]}, {"in1": [1]}]}',
        JSON,
        "instances[1]: expected in0 as in instances[0]",
    ),
    ('{"instances": [{"in0": [1]}, 7]}', JSON, "instances[1]: expected an object"),
    (f'{PAIR}\n{{"in0": [1]}}', LINES, "line 2: expected in0 and in1 as in line 1"),
    (f"{PAIR}\n[1]", LINES, "line 2: expected a JSON object"),
    ("\n \n", LINES, "request body: expected one instance a line"),
    ('{"in0": []}', LINES, "line 1: in0: expected a list of at least one token id; got []"),
    ('{"in0": 4}', LINES, "line 1: in0: expected a list of at least one token id; got 4; write"),
    (
        '{"in0": "a man"}',
        LINES,
        "line 1: in0: expected a list of at least one token id; got 'a man'",
    ),
    ('{"in0": [1.5]}', LINES, "line 1: in0[0]: expected a token id"),
    (
        '{"in1": [20]}',
        LINES,
        'line 1: Inconsistent vocab for in1 found. Vocab id "20" is not less than vocab_size=20',
    ),
]


@pytest.mark.parametrize(("body", "content_type", "reason"), REFUSED)
def test_a_wrong_request_is_refused_with_its_place(body, content_type, reason):
    with pytest.raises(UserError) as refusal:
        decoded(body, content_type)
    assert str(refusal.value).startswith(reason)


@pytest.mark.parametrize(
    ("value", "tokens"),
    [
        ('"a  man "', [1, 2]),
        ('["a", "New York", "zebra"]', [1, 3, 0]),
        ('["a", 7]', [1, 7]),
        ("[7, 8]", [7, 8]),
    ],
)
def test_a_model_with_a_vocabulary_takes_words_too(value, tokens):
    assert rows(decoded(f'{{"in0": {value}}}', LINES, WITH_WORDS)) == [tokens]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            '{"in1": "b zebra"}',
            "line 1: in1[1]: expected a word of the model's vocabulary; got 'zebra'",
        ),
        ('{"in1": " "}', "line 1: in1: expected token ids, words, or a text; got ' '"),
        ('{"in1": [null]}', "line 1: in1[0]: expected a word of the model's vocabulary; got None"),
        ('{"in0": [50]}', 'line 1: Inconsistent vocab for in0 found. Vocab id "50"'),
    ],
)
def test_words_that_are_unknown_are_named(body, reason):
    with pytest.raises(UserError) as refusal:
        decoded(body, LINES, WITH_WORDS)
    assert str(refusal.value).startswith(reason)


ROWS = np.array([[0.25, 0.75], [0.1, 0.9]], np.float32)


def test_scores_are_written_as_the_service_writes_them():
    answer = ObjectAnswer("scores", ROWS)
    assert encode(answer, JSON) == b'{"predictions":[{"scores":[0.25,0.75]},{"scores":[0.1,0.9]}]}'
    assert encode(answer, LINES) == b'{"scores":[0.25,0.75]}\n{"scores":[0.1,0.9]}\n'


def test_embeddings_have_a_key_in_the_plural():
    answer = ObjectAnswer("embeddings", ROWS[:1])
    assert encode(answer, LINES) == b'{"embeddings":[0.25,0.75]}\n'


def test_a_token_of_the_last_id_is_taken():
    assert rows(decoded(f'{{"in0": [{VOCABULARY - 1}]}}', LINES)) == [[VOCABULARY - 1]]
