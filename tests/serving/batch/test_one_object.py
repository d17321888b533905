"""One object in, one object out."""

import io
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import pytest

from sm_dl.content_types import JSON, JSON_LINES
from sm_dl.errors import AlgorithmError, UserError
from sm_dl.serving.batch import one_object
from sm_dl.serving.batch.one_object import StuckError
from sm_dl.serving.batch.rules import Rules
from sm_dl.serving.invoke import Response, invoke
from tests.serving.batch.calls import submit_to, transformed

LINES = b"1\n2\n3\n"
ONE_BY_ONE = {"split_type": "Line", "assemble_with": "Line", "batch_strategy": "SingleRecord"}


@pytest.mark.parametrize("strategy", ["SingleRecord", "MultiRecord"])
def test_one_record_a_line_gives_one_answer_a_line(doubler, strategy):
    answer = transformed(
        doubler, LINES, split_type="Line", assemble_with="Line", batch_strategy=strategy
    )
    assert answer == b"2\n4\n6\n"


def test_the_last_line_needs_no_newline(doubler):
    assert transformed(doubler, b"1\n2", split_type="Line", assemble_with="Line") == b"2\n4\n"


def test_without_assembly_answers_are_run_together(doubler):
    assert transformed(doubler, LINES, split_type="Line", batch_strategy="SingleRecord") == b"246"


@pytest.mark.parametrize("assembly", ["None", "Line"])
@pytest.mark.parametrize("split", ["None", "Line", "RecordIO", "TFRecord"])
def test_an_empty_object_gives_an_empty_object(doubler, split, assembly):
    assert transformed(doubler, b"", split_type=split, assemble_with=assembly) == b""


def test_accept_chooses_the_type_of_the_output(doubler):
    assert transformed(doubler, b"[1,2]", content_type=JSON, accept=JSON_LINES) == b"2\n4"


def test_a_given_content_type_beats_the_extension(doubler):
    assert transformed(doubler, b"[1]", name="a.jsonl", content_type=JSON) == b"[2]"


@pytest.mark.parametrize(
    ("strategy", "place"),
    [("SingleRecord", "part.jsonl: line 3: "), ("MultiRecord", "part.jsonl: lines 1 to 4: ")],
)
def test_a_bad_record_is_named_by_its_lines(doubler, strategy, place):
    with pytest.raises(UserError, match=f"^{place}body: expected JSON"):
        transformed(doubler, b"1\n\n{\n4\n", split_type="Line", batch_strategy=strategy)


def test_the_line_of_a_single_record_is_said_once(doubler, monkeypatch):
    def refuse(*_):
        raise UserError("line 1: expected a JSON object.")

    monkeypatch.setattr(doubler, "decode", refuse)
    with pytest.raises(UserError, match=r"^part\.jsonl: line 2: expected a JSON object\.$"):
        transformed(doubler, b"\n{\n", **ONE_BY_ONE)


def test_a_failure_of_the_model_is_not_the_users(doubler):
    with pytest.raises(AlgorithmError, match=r"^part\.jsonl: The model failed"):
        transformed(doubler, b"13\n")


@pytest.mark.parametrize("rules", [Rules(content_type="text/csv"), Rules(accept="text/csv")])
def test_types_no_object_can_have_are_refused_at_once(doubler, rules):
    with pytest.raises(UserError, match="got 'text/csv'"):
        one_object.check(doubler, rules)


# --- several payloads under way ----------------------------------------------------------------


def run(submit, content, **rules):
    sink = io.BytesIO()
    settled = Rules(**ONE_BY_ONE, **rules)
    one_object.transform(submit, io.BytesIO(content), sink, name="part.jsonl", rules=settled)
    return sink.getvalue()


def test_answers_are_written_in_the_order_of_the_records(doubler):
    def slowest_first(call):
        time.sleep(0.05 / int(call.body))
        return invoke(doubler, call)

    with ThreadPoolExecutor(4) as pool:
        answer = run(
            partial(pool.submit, slowest_first),
            b"1\n2\n3\n4\n5\n6\n7\n",
            max_concurrent_transforms=4,
        )
    assert answer == b"2\n4\n6\n8\n10\n12\n14\n"


@pytest.mark.parametrize("concurrency", [1, 2, 3])
def test_no_more_payloads_than_allowed_are_under_way(doubler, concurrency):
    lock, under_way, most = threading.Lock(), set(), 0

    def submit(call):
        nonlocal most
        with lock:
            under_way.add(call.request_id)
            most = max(most, len(under_way))
        return pool.submit(answer, call)

    def answer(call):
        time.sleep(0.01)
        response = invoke(doubler, call)
        with lock:
            under_way.discard(call.request_id)
        return response

    with ThreadPoolExecutor(8) as pool:
        run(submit, b"1\n" * 9, max_concurrent_transforms=concurrency)
    assert most == concurrency


def test_the_next_record_is_read_only_when_there_is_room(doubler):
    class Source(io.BytesIO):
        def readline(self, size=-1, /):
            begun.append(len(waiting))
            return super().readline(size)

    def submit(call):
        future = Future()
        waiting.append((future, call))
        if len(waiting) == 3:
            for one, its_call in waiting:
                one.set_result(invoke(doubler, its_call))
            waiting.clear()
        return future

    begun, waiting = [], []
    rules = Rules(**ONE_BY_ONE, max_concurrent_transforms=3)
    one_object.transform(submit, Source(b"1\n" * 6), io.BytesIO(), name="a.jsonl", rules=rules)
    assert max(begun) < 3


def test_a_bad_record_leaves_nothing_waiting():
    begun = []

    def submit(_call):
        begun.append(Future())
        if len(begun) == 3:
            begun[0].set_result(Response(400, b"bad"))
        return begun[-1]

    with pytest.raises(UserError, match="line 1: bad"):
        run(submit, b"1\n2\n3\n4\n", max_concurrent_transforms=3)
    assert [one.cancelled() for one in begun] == [False, True, True]


# --- faults of the model -----------------------------------------------------------------------


def failing(statuses, answer=b"7"):
    """Return a `Submit` that answers with these statuses, one after the other, and its calls."""
    calls, left = [], list(statuses)

    def submit(call):
        calls.append(call)
        future = Future()
        future.set_result(Response(left.pop(0) if left else 200, answer))
        return future

    return submit, calls


@pytest.mark.parametrize("status", [500, 503])
def test_a_fault_of_the_server_is_tried_again(status):
    submit, calls = failing([status, status])
    assert (run(submit, b"1\n"), len(calls)) == (b"7\n", 3)


def test_no_more_often_than_allowed():
    submit, calls = failing([500] * 9, b"broken")
    with pytest.raises(AlgorithmError, match=r"^part\.jsonl: line 1: broken$"):
        run(submit, b"1\n", invocations_max_retries=2)
    assert len(calls) == 3


@pytest.mark.parametrize("status", [400, 406, 413, 415])
def test_what_the_user_must_change_is_not_tried_again(status):
    submit, calls = failing([status] * 9, b"no")
    with pytest.raises(UserError, match=r"^part\.jsonl: line 1: no$"):
        run(submit, b"1\n")
    assert len(calls) == 1


def test_a_model_that_breaks_out_has_failed():
    def submit(_call):
        future = Future()
        future.set_exception(TimeoutError("its own"))
        return future

    with pytest.raises(AlgorithmError, match="line 1: The model failed on this request") as failed:
        run(submit, b"1\n", invocations_max_retries=0)
    assert not isinstance(failed.value, StuckError)


def test_a_model_that_never_answers_is_stuck():
    with pytest.raises(StuckError, match=r"line 1: no answer within 1 s\. Send less"):
        run(lambda _call: Future(), b"1\n", invocations_timeout_s=1)


# --- memory ------------------------------------------------------------------------------------

STREAM = """
import io, resource, sys
from concurrent.futures import Future
from sm_dl.serving.batch import one_object
from sm_dl.serving.invoke import Response
from sm_dl.serving.batch.rules import Rules

LINE = b'{"a":"' + b"x" * 9_000 + b'"}\\n'

class Source(io.RawIOBase):
    left = 200 * 2**20 // len(LINE)
    def readline(self, size=-1, /):
        self.left -= 1
        return LINE if self.left >= 0 else b""

def submit(call):
    future = Future()
    future.set_result(Response(200, call.body, "application/jsonlines"))
    return future

class Sink:
    size = 0
    def write(self, piece):
        self.size += len(piece)

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

filters = {"join_source": "Input"} if sys.argv[1] == "join" else {}
rules = Rules(split_type="Line", assemble_with="Line", max_payload_mb=1,
              max_concurrent_transforms=4, **filters)
sink, before = Sink(), peak()
one_object.transform(submit, Source(), sink, name="a.jsonl", rules=rules)
print(sink.size, peak() - before)
"""


@pytest.mark.parametrize("processing", ["plain", "join"])
def test_a_stream_of_200_mb_is_transformed_in_the_memory_of_its_payloads(processing):
    done = subprocess.run(
        [sys.executable, "-c", STREAM, processing], capture_output=True, text=True, check=True
    )
    written_bytes, grown_bytes = map(int, done.stdout.split())
    assert written_bytes > 190 * 2**20
    assert grown_bytes < 48 * 2**20


def test_a_line_without_end_is_read_no_further_than_the_limit(doubler):
    source = io.BytesIO(b"1" * (4 * 2**20))
    rules = Rules(split_type="Line", max_payload_mb=1)
    with pytest.raises(UserError):
        one_object.transform(submit_to(doubler), source, io.BytesIO(), name="a.jsonl", rules=rules)
    assert source.tell() == 2**20 + 1
