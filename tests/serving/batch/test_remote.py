"""Batch transform against a container that runs already."""

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sm_dl import transform
from sm_dl.errors import PlatformError, UserError
from sm_dl.serving.batch.remote import Remote
from sm_dl.serving.invoke import Call

LOOPBACK = "127.0.0.1"


class Container(ThreadingHTTPServer):
    """Doubles numbers, one a line, and remembers what it was asked."""

    daemon_threads = True

    def __init__(self, parameters=None, answers=()):
        super().__init__((LOOPBACK, 0), Handler)
        self.parameters, self.answers = parameters, list(answers)
        self.lock = threading.Lock()
        self.headers, self.bodies = [], []
        self.under_way = self.most = self.missing_bytes = 0

    @property
    def address(self):
        return f"http://{LOOPBACK}:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_arguments):
        pass

    def do_GET(self):
        is_known = self.path == "/execution-parameters" and self.server.parameters is not None
        self.answer(200 if is_known else 404, self.server.parameters or b"")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        with self.server.lock:
            self.server.headers.append(self.headers)
            self.server.bodies.append(body)
            self.server.under_way += 1
            self.server.most = max(self.server.most, self.server.under_way)
            status = self.server.answers.pop(0) if self.server.answers else 200
        time.sleep(0.02)
        with self.server.lock:
            self.server.under_way -= 1
        doubled = b"".join(b"%d\n" % (2 * int(line)) for line in body.splitlines())
        self.answer(status, doubled if status == 200 else b"no")

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-type", "application/jsonlines")
        self.send_header("content-length", str(len(body) + self.server.missing_bytes))
        if 300 <= status < 400:
            self.send_header("location", "/elsewhere")
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def running(**settings):
    container = Container(**settings)
    thread = threading.Thread(target=container.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield container
    finally:
        container.shutdown()
        thread.join()
        container.server_close()


@pytest.fixture
def folders(tmp_path):
    (tmp_path / "in").mkdir()
    lines = b"".join(b"%d\n" % number for number in range(9))
    (tmp_path / "in" / "a.jsonl").write_bytes(lines)
    return tmp_path / "in", tmp_path / "out"


def door(address, folders, *more):
    source, output = folders
    return transform.main(
        [
            *("--endpoint", address, "--input", str(source), "--output", str(output)),
            *("--split-type", "Line", "--assemble-with", "Line", *more),
        ]
    )


def parameters(**values):
    return json.dumps(values).encode()


DOUBLED = b"".join(b"%d\n" % (2 * number) for number in range(9))


def test_answers_are_written_as_with_a_model_in_this_process(folders):
    with running() as container:
        code = door(container.address, folders)
    assert (code, (folders[1] / "a.jsonl.out").read_bytes()) == (0, DOUBLED)


def test_types_are_sent_as_they_were_given(folders):
    with running() as container:
        door(container.address, folders, "--content-type", "text/x", "--accept", "text/y")
    sent = [(one["content-type"], one["accept"]) for one in container.headers]
    assert sent == [("text/x", "text/y")]


def test_the_container_is_asked_for_its_parameters(folders):
    offered = parameters(MaxConcurrentTransforms=3, BatchStrategy="SINGLE_RECORD", MaxPayloadInMB=1)
    with running(parameters=offered) as container:
        door(container.address, folders)
    assert (sorted(container.bodies), container.most) == ([b"%d\n" % n for n in range(9)], 3)


def test_the_user_knows_better_than_the_container(folders):
    offered = parameters(MaxConcurrentTransforms=3, BatchStrategy="SINGLE_RECORD")
    with running(parameters=offered) as container:
        door(
            container.address,
            folders,
            *("--batch-strategy", "SingleRecord", "--max-concurrent-transforms", "1"),
        )
    assert container.most == 1


@pytest.mark.parametrize("offered", [None, b"", b"no json", b"[1]", b'{"MaxPayloadInMB": "x"}'])
def test_a_container_that_offers_nothing_gets_the_defaults(folders, offered):
    with running(parameters=offered) as container:
        code = door(container.address, folders)
    assert (code, len(container.bodies), container.most) == (0, 1, 1)


def test_order_survives_concurrency(folders):
    offered = parameters(MaxConcurrentTransforms=4, BatchStrategy="SINGLE_RECORD")
    with running(parameters=offered) as container:
        door(container.address, folders)
    assert (folders[1] / "a.jsonl.out").read_bytes() == DOUBLED


@pytest.mark.parametrize(("status", "code"), [(400, 2), (413, 2), (500, 1), (307, 1)])
def test_a_refusal_costs_the_object(folders, status, code):
    with running(answers=[status] * 9) as container:
        assert door(container.address, folders, "--invocations-max-retries", "0") == code
    assert not (folders[1] / "a.jsonl.out").exists()


def test_a_fault_is_tried_again(folders):
    with running(answers=[503, 500]) as container:
        assert door(container.address, folders) == 0
    assert len(container.bodies) == 3


def test_an_endpoint_that_nobody_serves_is_the_machines_fault(folders, capsys):
    with running() as container:
        address = container.address
    code = door(address, folders)
    said = f"Platform Error: {address}: cannot be reached ("
    assert (code, said in capsys.readouterr().out) == (3, True)


def test_an_endpoint_that_goes_away_answers_503():
    with running() as container:
        remote = Remote(container.address)
    response = remote.post(Call(body=b"1"), timeout_s=5)
    assert (response.status, b"cannot be reached" in response.body) == (503, True)


@pytest.mark.parametrize("accept", ["text/x\r\nHost: elsewhere", "text/\u017e"])
def test_a_header_that_cannot_be_sent_is_the_users(accept):
    with running() as container:
        response = Remote(container.address).post(Call(body=b"1", accept=accept), timeout_s=5)
    assert (response.status, b"cannot be sent" in response.body) == (400, True)
    assert container.bodies == []


def test_an_answer_that_is_cut_short_is_none():
    with running() as container:
        container.missing_bytes = 1
        response = Remote(container.address).post(Call(body=b"1"), timeout_s=5)
    assert (response.status, b"the answer is cut short" in response.body) == (503, True)


def test_an_endpoint_that_is_silent_answers_504():
    with running() as container:
        response = Remote(container.address).post(Call(body=b"1"), timeout_s=0.001)
    assert (response.status, b"no answer within 0.001 s" in response.body) == (504, True)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1:8080",
        "ftp://a",
        "http://",
        "http://a:x",
        "http://a:99999",
        "http://a?b",
        "http://me:secret@a",
        "",
        "[",
        "http://[",
    ],
)
def test_what_is_no_address_is_refused(address):
    with pytest.raises(UserError, match="--endpoint: expected an address such as"):
        Remote(address)


def test_a_path_is_kept():
    with running(parameters=b'{"a": 1}') as container, pytest.raises(PlatformError):
        Remote("http://127.0.0.1:1/prefix/").execution_parameters()
    assert Remote(f"{container.address}/prefix/")._path == "/prefix"


def test_model_and_endpoint_exclude_each_other(folders, capsys):
    with pytest.raises(SystemExit):
        door("http://127.0.0.1:1", folders, "--model", "x")
    assert "not allowed with argument" in capsys.readouterr().err
