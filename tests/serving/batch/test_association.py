"""What a model is sent and what is written, when a job filters and joins."""

import contextlib
import csv
import io
import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_dl.content_types import CSV, JSON, JSON_LINES
from sm_dl.errors import UserError
from sm_dl.serving.batch import one_object
from sm_dl.serving.batch.association import Association
from sm_dl.serving.batch.rules import Rules
from tests.serving.batch.calls import submit_to, transformed

steady = settings(derandomize=True, deadline=None)
LINES = {"split_type": "Line", "assemble_with": "Line"}
JOIN = {**LINES, "join_source": "Input"}
STRATEGIES = pytest.mark.parametrize("batch_strategy", ["SingleRecord", "MultiRecord"])


class Summer:
    """Answers each row of numbers with its sum and its length."""

    request_types = (CSV,)
    answer_types = (CSV,)

    def answer_type_for(self, request_type):
        return CSV

    def decode(self, body, media):
        return [[float(cell) for cell in row] for row in csv.reader(io.StringIO(body.decode()))]

    def predict(self, requests):
        return [[(sum(row), len(row)) for row in request] for request in requests]

    def encode(self, answer, media_type):
        return b"".join(b"%g,%d\n" % pair for pair in answer)


class Echo:
    """Answers each JSON value with what it was."""

    request_types = (JSON, JSON_LINES)
    answer_types = (JSON, JSON_LINES)

    def answer_type_for(self, request_type):
        return request_type

    def decode(self, body, media):
        return [
            orjson.loads(line) for line in ([body] if media.name == JSON else body.splitlines())
        ]

    def predict(self, requests):
        return [[{"got": value} for value in request] for request in requests]

    def encode(self, answer, media_type):
        return b"\n".join(map(orjson.dumps, answer))


# --- CSV ---------------------------------------------------------------------------------------

ROWS = b"id1,1,2,3\nid2,4,5,6\r\n\nid3,7,8,9"


@STRATEGIES
def test_an_id_column_is_kept_from_the_model_and_given_back(batch_strategy):
    answer = transformed(
        Summer(),
        ROWS,
        "a.csv",
        **JOIN,
        input_filter="$[1:]",
        output_filter="$[0,-2]",
        batch_strategy=batch_strategy,
    )
    assert answer == b"id1,6\nid2,15\nid3,24\n"


@STRATEGIES
def test_a_join_of_csv_appends_the_columns_of_the_answer(batch_strategy):
    answer = transformed(
        Summer(), ROWS, "a.csv", **JOIN, input_filter="$[1:]", batch_strategy=batch_strategy
    )
    assert answer == b"id1,1,2,3,6,3\nid2,4,5,6,15,3\nid3,7,8,9,24,3\n"


def test_cells_are_text_and_keep_their_spelling():
    content = b'"a,b",007,1e2\n" x ",2.50,1\n'
    answer = transformed(Summer(), content, "a.csv", **JOIN, input_filter="$[1,2]")
    assert answer == b'"a,b",007,1e2,107,2\n x ,2.50,1,3.5,2\n'


def test_one_column_may_be_written():
    assert transformed(Summer(), b"1,2\n", "a.csv", **LINES, output_filter="$[0]") == b"3\n"


def test_a_name_chooses_nothing_from_a_row():
    with pytest.raises(UserError, match=r"^filter \$\.id: expected 'id' in an object; got \['id1'"):
        transformed(Summer(), ROWS, "a.csv", **LINES, input_filter="$.id")


def test_a_quote_without_its_end_is_a_bad_record():
    with pytest.raises(UserError, match=r"a\.csv: line 1: expected text/csv, to filter or join it"):
        transformed(
            Summer(),
            b'"1,2\n3,4\n',
            "a.csv",
            **LINES,
            input_filter="$[0:]",
            batch_strategy="SingleRecord",
        )


def test_csv_is_joined_by_lines_only():
    with pytest.raises(UserError, match="expected split type and assemble with Line for CSV"):
        transformed(Summer(), ROWS, "a.csv", join_source="Input")


def test_a_long_cell_is_read():
    content = b"x" * 200_000 + b",1\n"
    assert transformed(Summer(), content, "a.csv", **JOIN, input_filter="$[1:]").endswith(
        b",1,1,1\n"
    )


# --- JSON Lines and JSON -----------------------------------------------------------------------


@STRATEGIES
def test_the_example_of_the_services_guide(batch_strategy):
    content = b'{"id":1,"features":[5,6]}\n{"id":2,"features":[7]}\n'
    answer = transformed(
        Echo(),
        content,
        **JOIN,
        input_filter="$.features",
        output_filter="$['id','SageMakerOutput']",
        batch_strategy=batch_strategy,
    )
    assert answer == (
        b'{"id":1,"SageMakerOutput":{"got":[5,6]}}\n{"id":2,"SageMakerOutput":{"got":[7]}}\n'
    )


@STRATEGIES
def test_an_object_gets_the_answer_as_an_attribute(batch_strategy):
    answer = transformed(Echo(), b'{"key": 1}\n' * 2, **JOIN, batch_strategy=batch_strategy)
    assert answer == b'{"key":1,"SageMakerOutput":{"got":{"key":1}}}\n' * 2


@pytest.mark.parametrize("value", [b"[1,2]", b'"x"', b"3", b"null", b"true"])
def test_what_is_no_object_gets_one_around_it(value):
    answer = transformed(Echo(), value + b"\n", **JOIN)
    assert answer == b'{"SageMakerInput":%b,"SageMakerOutput":{"got":%b}}\n' % (value, value)


def test_an_attribute_of_the_reserved_name_is_overwritten():
    answer = transformed(Echo(), b'{"SageMakerOutput":0}', **JOIN)
    assert answer == b'{"SageMakerOutput":{"got":{"SageMakerOutput":0}}}\n'


def test_a_whole_json_document_is_joined_whole():
    content = b'{\n  "id": 1,\n  "features": [5]\n}\n'
    answer = transformed(
        Echo(), content, "a.x", content_type=JSON, join_source="Input", input_filter="$.features"
    )
    assert answer == b'{"id":1,"features":[5],"SageMakerOutput":{"got":[5]}}'


def test_an_answer_of_json_may_be_printed_over_several_lines():
    association = Association(Rules(**LINES, output_filter="$.a"), JSON_LINES)
    assert association.answer(b"1\n", b'{\n "a": [\n1]\n}\n', JSON, "a.jsonl: line 1") == b"[1]"


@STRATEGIES
def test_json_may_be_split_by_lines(batch_strategy):
    association = Association(Rules(**JOIN, batch_strategy=batch_strategy), JSON)
    answer = association.answer(b"[1]\n[2]\n", b"3\n4", JSON, "a.json: lines 1 to 2")
    assert answer == (
        b'{"SageMakerInput":[1],"SageMakerOutput":3}\n{"SageMakerInput":[2],"SageMakerOutput":4}'
    )


def test_an_output_filter_works_without_a_join():
    assert transformed(Echo(), b"1\n2\n", **LINES, output_filter="$.got") == b"1\n2\n"


def test_integers_keep_their_digits():
    content = b'{"id":12345678901234567890123,"x":0.1}\n'
    answer = transformed(Echo(), content, **JOIN, input_filter="$.x", output_filter="$.id")
    assert answer == b"12345678901234567890123\n"


def test_text_of_every_alphabet_is_written_as_it_is():
    answer = transformed(
        Echo(),
        '{"id":"žluťoučký 🐎","x":1}\n'.encode(),
        **JOIN,
        input_filter="$.x",
        output_filter="$.id",
    )
    assert answer == '"žluťoučký 🐎"\n'.encode()


def test_half_of_a_pair_of_surrogates_is_escaped():
    content = b'{"id":"\\ud800","x":1}\n'
    answer = transformed(Echo(), content, **JOIN, input_filter="$.x", output_filter="$.id")
    assert answer == b'"\\ud800"\n'


def test_a_byte_order_mark_is_no_part_of_the_record():
    assert transformed(Echo(), b"\xef\xbb\xbf[1]\n", **LINES, input_filter="$[0]") == b'{"got":1}\n'


@pytest.mark.parametrize(
    "record", [b"{", b"NaN", b"[Infinity]", b"\xff", b"[" * 100_000, b"1" * 5000]
)
def test_a_record_that_is_no_json_is_bad(record):
    with pytest.raises(UserError, match=r"^part\.jsonl: line 1: expected application/jsonlines"):
        transformed(Echo(), record + b"\n", **JOIN, input_filter="$[0:]")


@pytest.mark.parametrize("split", ["None", "Line"])
def test_a_document_that_is_nested_without_end_is_bad(split):
    rules = Rules(split_type=split, assemble_with=split, join_source="Input")
    association = Association(rules, JSON)
    with pytest.raises(UserError, match="expected application/json, to filter or join it"):
        association.answer(b"1\n", b"[" * 100_000, JSON, "a.json: line 1")


def test_a_number_that_json_cannot_say_is_bad():
    with pytest.raises(UserError, match=r"'1e999' is too large a number"):
        transformed(Echo(), b"[1e999]\n", **JOIN, input_filter="$[0:]")


@pytest.mark.parametrize("value", [b"[" * 300 + b"]" * 300, b"[" * 700 + b"]" * 700])
def test_deep_records_survive_or_are_bad(value):
    association = Association(Rules(**LINES, input_filter="$.a"), JSON_LINES)
    try:
        assert association.request(b'{"a":%b}' % value, "a.jsonl: line 1") == value
    except UserError as error:
        assert "deeply nested" in str(error)  # noqa: PT017 - either is right


@steady
@given(st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_survives(number):
    association = Association(Rules(**LINES, input_filter="$.a"), JSON_LINES)
    record = json.dumps({"a": number}).encode()
    assert json.loads(association.request(record, "a.jsonl: line 1")) == number


def test_a_record_without_what_the_filter_names_is_bad():
    with pytest.raises(UserError, match=r"expected 'features' in an object; got \{'id': 2\}"):
        transformed(Echo(), b'{"id":2}\n', **LINES, input_filter="$.features")


def test_a_filter_that_multiplies_is_bounded():
    content = b'["' + b"x" * 200_000 + b'"]\n'
    with pytest.raises(UserError, match="expected at most 1048576 bytes after the input filter"):
        transformed(Echo(), content, **LINES, input_filter="$[0,0,0,0,0,0,0]", max_payload_mb=1)


def joined_with(body, content_type=JSON_LINES, content=b"1\n2\n", **rules):
    association = Association(Rules(**JOIN, **rules), JSON_LINES)
    return association.answer(content, body, content_type, "a.jsonl: lines 1 to 2")


@pytest.mark.parametrize("answers", [b"", b"1\n", b"1\n2\n3\n"])
def test_a_join_needs_an_answer_for_each_record(answers):
    with pytest.raises(
        UserError, match=r"expected one answer for each record; got (fewer|more)"
    ) as refused:
        joined_with(answers)
    assert "Set batch strategy SingleRecord" in str(refused.value)


def test_a_join_needs_an_answer_of_the_same_type():
    with pytest.raises(UserError, match="expected the same content type and accept"):
        joined_with(b"1\n2\n", CSV)


def test_an_answer_that_is_not_what_it_says_is_refused():
    with pytest.raises(
        UserError, match=r"^a\.jsonl: lines 1 to 2: answer: expected application/js"
    ):
        joined_with(b"<html>\n</html>\n")


@pytest.mark.parametrize("rules", [{"input_filter": "$[1:]"}, JOIN, {"output_filter": "$.a"}])
def test_other_types_are_not_opened(rules):
    with pytest.raises(UserError, match="expected one of application/json, application/jsonlines"):
        Association(Rules(**rules), "image/png")


def test_a_join_asks_for_the_type_of_the_object():
    assert Association(Rules(**JOIN), JSON_LINES).accept == JSON_LINES


def test_without_filters_nothing_is_opened(make_doubler):
    bodies = []

    def submit(call):
        bodies.append(call.body)
        return submit_to(make_doubler())(call)

    content = b" 1\r\n\t2 \n"
    rules = Rules(**LINES)
    one_object.transform(submit, io.BytesIO(content), io.BytesIO(), name="a.jsonl", rules=rules)
    assert bodies == [content]


@steady
@given(
    st.sampled_from([CSV, JSON, JSON_LINES]),
    st.sampled_from(["$", "$[0]", "$.a", "$[1:]", "$.*"]),
    st.binary(max_size=40),
    st.binary(max_size=40),
)
def test_no_bytes_break_a_join(media_type, path, record, answer):
    association = Association(Rules(**JOIN, input_filter=path, output_filter=path), media_type)
    with contextlib.suppress(UserError):
        assert isinstance(association.request(record, "a: line 1"), bytes)
    with contextlib.suppress(UserError):
        assert isinstance(association.answer(record, answer, media_type, "a: line 1"), bytes)


cells = st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), max_size=5)


@steady
@given(st.lists(st.lists(cells, min_size=2, max_size=4), min_size=1, max_size=4))
def test_rows_survive_a_filter_that_keeps_all(rows):
    sink = io.StringIO()
    csv.writer(sink, lineterminator="\n").writerows(rows)
    rules = Rules(**LINES, input_filter="$[0:]")
    request = Association(rules, CSV).request(sink.getvalue().encode(), "a.csv")
    assert list(csv.reader(io.StringIO(request.decode(), newline=""))) == rows
