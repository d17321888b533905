"""One object in, one object out."""

import gzip
import io

import pytest

from sm_dl.content_types import JSON, JSON_LINES
from sm_dl.errors import AlgorithmError, UserError
from sm_dl.serving import batch
from sm_dl.serving.batch import Rules

LINES = b"1\n2\n3\n"
MIB = 1024 * 1024


def transformed(predictor, content, name="part.jsonl", **rules):
    sink = io.BytesIO()
    batch.transform(predictor, io.BytesIO(content), sink, name=name, rules=Rules(**rules))
    return sink.getvalue()


def payloads_seen(make_doubler, content, **rules):
    """Return the bodies the model was sent."""
    bodies = []

    class Recorder(make_doubler):
        def decode(self, body, media):
            bodies.append(body)
            return super().decode(body, media)

    transformed(Recorder(), content, **rules)
    return bodies


def test_no_split_sends_the_whole_object_at_once(make_doubler):
    assert payloads_seen(make_doubler, LINES) == [LINES]


def test_single_record_sends_one_line_at_a_time(make_doubler):
    bodies = payloads_seen(make_doubler, LINES, split_type="Line", batch_strategy="SingleRecord")
    assert bodies == [b"1\n", b"2\n", b"3\n"]


def test_multi_record_fills_each_payload_up_to_the_limit(make_doubler):
    lines = [b"%d" % number + b" " * 400_000 + b"\n" for number in range(5)]
    bodies = payloads_seen(make_doubler, b"".join(lines), split_type="Line", max_payload_mb=1)
    assert bodies == [lines[0] + lines[1], lines[2] + lines[3], lines[4]]


@pytest.mark.parametrize("strategy", ["SingleRecord", "MultiRecord"])
def test_one_record_a_line_gives_one_answer_a_line(doubler, strategy):
    answer = transformed(
        doubler, LINES, split_type="Line", assemble_with="Line", batch_strategy=strategy
    )
    assert answer == b"2\n4\n6\n"


def test_the_last_line_needs_no_newline(doubler):
    assert transformed(doubler, b"1\n2", split_type="Line", assemble_with="Line") == b"2\n4\n"


def test_empty_lines_hold_no_record(make_doubler):
    bodies = payloads_seen(
        make_doubler, b"\n1\n\r\n\n2\n\n", split_type="Line", batch_strategy="SingleRecord"
    )
    assert bodies == [b"1\n", b"2\n"]


def test_without_assembly_answers_are_run_together(doubler):
    assert transformed(doubler, LINES, split_type="Line", batch_strategy="SingleRecord") == b"246"


@pytest.mark.parametrize("assembly", ["None", "Line"])
@pytest.mark.parametrize("split", ["None", "Line"])
def test_an_empty_object_gives_an_empty_object(doubler, split, assembly):
    assert transformed(doubler, b"", split_type=split, assemble_with=assembly) == b""


def test_accept_chooses_the_type_of_the_output(doubler):
    assert transformed(doubler, b"[1,2]", content_type=JSON, accept=JSON_LINES) == b"2\n4"


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "A.JSONL.GZ", "b.json.gz", "c.d/a.json"])
def test_the_extension_gives_the_content_type(doubler, name):
    assert transformed(doubler, b"1\n2", name=name) == b"2\n4"


@pytest.mark.parametrize("name", ["a", "json", "a.txt", "a.gz", ".json.d/a"])
def test_an_extension_that_tells_nothing_is_a_user_error(doubler, name):
    with pytest.raises(UserError, match="Set --content-type"):
        transformed(doubler, b"1", name=name)


def test_a_given_content_type_beats_the_extension(doubler):
    assert transformed(doubler, b"[1]", name="a.jsonl", content_type=JSON) == b"[2]"


@pytest.mark.parametrize(
    ("strategy", "place"),
    [("SingleRecord", "part.jsonl: line 3: "), ("MultiRecord", "part.jsonl: lines 1 to 4: ")],
)
def test_a_bad_record_is_named_by_its_lines(doubler, strategy, place):
    with pytest.raises(UserError, match=f"^{place}body: expected JSON"):
        transformed(doubler, b"1\n\n{\n4\n", split_type="Line", batch_strategy=strategy)


def test_a_failure_of_the_model_is_not_the_users(doubler):
    with pytest.raises(AlgorithmError, match=r"^part\.jsonl: The model failed"):
        transformed(doubler, b"13\n")


def test_an_object_above_the_limit_is_refused_without_a_split(doubler):
    with pytest.raises(UserError, match=r"part\.jsonl: expected at most 1048576 bytes"):
        transformed(doubler, b"1" + b" " * MIB, max_payload_mb=1)


def test_a_line_above_the_limit_is_refused(doubler):
    content = b"1\n2" + b" " * MIB + b"\n"
    with pytest.raises(UserError, match=r"part\.jsonl: line 2: expected at most 1048576 bytes"):
        transformed(doubler, content, split_type="Line", max_payload_mb=1)


def test_a_line_without_end_is_read_no_further_than_the_limit(doubler):
    source = io.BytesIO(b"1" * (4 * MIB))
    rules = Rules(split_type="Line", max_payload_mb=1)
    with pytest.raises(UserError):
        batch.transform(doubler, source, io.BytesIO(), name="part.jsonl", rules=rules)
    assert source.tell() == MIB + 1


@pytest.mark.parametrize(
    "content", [gzip.compress(LINES)[:-9], b"no gzip at all", b"\x1f\x8b\x08" + b"\xff" * 40]
)
def test_damaged_gzip_is_a_user_error(doubler, content):
    damaged = pytest.raises(UserError, match=r"part\.jsonl: cannot be read to its end")
    with gzip.open(io.BytesIO(content)) as source, damaged:
        batch.transform(doubler, source, io.BytesIO(), name="part.jsonl", rules=Rules())


@pytest.mark.parametrize("split_type", ["RecordIO", "TFRecord"])
def test_a_split_that_is_not_supported_is_refused(split_type):
    with pytest.raises(UserError, match=f"expected one of None, Line; got '{split_type}'"):
        Rules(split_type=split_type)


@pytest.mark.parametrize("max_payload_mb", [0, -1, 101])
def test_a_payload_limit_out_of_range_is_refused(max_payload_mb):
    with pytest.raises(UserError, match="expected an integer >= 1 and <= 100"):
        Rules(max_payload_mb=max_payload_mb)


@pytest.mark.parametrize("rules", [Rules(content_type="text/csv"), Rules(accept="text/csv")])
def test_types_no_object_can_have_are_refused_at_once(doubler, rules):
    with pytest.raises(UserError, match="got 'text/csv'"):
        batch.check(doubler, rules)
