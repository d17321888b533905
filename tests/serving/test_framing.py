"""Bytes on a socket: what is one request, what is none, and how long a client may take."""

import socket
import threading
import time
from contextlib import closing, suppress

import pytest

HOST = b"Host: a\r\n"
POST = b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
PING = b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n"
ANSWER = b"[2]"

REFUSED = {
    "Transfer-Encoding and Content-Length": POST
    + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1]\r\n0\r\n\r\n",
    "Content-Length and Transfer-Encoding": POST
    + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3\r\n[1]\r\n0\r\n\r\n",
    "two equal lengths": POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\n[1]",
    "two different lengths": POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n[1] ",
    "a list of lengths": POST + b"Content-Length: 3, 3\r\n\r\n[1]",
    "a length with a sign": POST + b"Content-Length: +3\r\n\r\n[1]",
    "a negative length": POST + b"Content-Length: -3\r\n\r\n[1]",
    "a hexadecimal length": POST + b"Content-Length: 0x3\r\n\r\n[1]",
    "an empty length": POST + b"Content-Length: \r\n\r\n[1]",
    "a length beyond 64 bits": POST + b"Content-Length: 99999999999999999999\r\n\r\n[1]",
    "a length with a blank": POST + b"Content-Length: 3 3\r\n\r\n[1]",
    "chunked twice": POST + b"Transfer-Encoding: chunked\r\n" + CHUNKED[len(POST) :] + b"0\r\n\r\n",
    "identity coding": POST + b"Transfer-Encoding: identity\r\n\r\n[1]",
    "gzip before chunked": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "gzip after chunked": POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "an unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a quoted coding": POST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "a vertical tab before the coding": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "a blank before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a folded coding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a folded header": POST + b"X: b\r\n c\r\nContent-Length: 3\r\n\r\n[1]",
    "line feeds alone": (POST + b"Content-Length: 3\r\n\r\n[1]").replace(b"\r\n", b"\n"),
    "one line feed alone": POST + b"X: y\nContent-Length: 3\r\n\r\n[1]",
    "a line feed alone at the end": POST + b"Content-Length: 3\r\n\n[1]",
    "a carriage return alone": POST + b"X: y\rZ: q\r\nContent-Length: 3\r\n\r\n[1]",
    "chunks with line feeds alone": CHUNKED + b"3\n[1]\n0\n\n",
    "a chunk size that is no number": CHUNKED + b"z\r\n[1]\r\n0\r\n\r\n",
    "a chunk size with 0x": CHUNKED + b"0x3\r\n[1]\r\n0\r\n\r\n",
    "a negative chunk size": CHUNKED + b"-3\r\n[1]\r\n0\r\n\r\n",
    "a chunk size with a sign": CHUNKED + b"+3\r\n[1]\r\n0\r\n\r\n",
    "a chunk size with a blank after": CHUNKED + b"3 \r\n[1]\r\n0\r\n\r\n",
    "a chunk size with a blank before": CHUNKED + b" 3\r\n[1]\r\n0\r\n\r\n",
    "a chunk size beyond 64 bits": CHUNKED + b"fffffffffffffffff\r\n[1]\r\n0\r\n\r\n",
    "a chunk longer than it says": CHUNKED + b"3\r\n[1]]\r\n0\r\n\r\n",
    "a line feed in a chunk extension": CHUNKED + b"3;a\nb\r\n[1]\r\n0\r\n\r\n",
    "a chunk extension without end": CHUNKED + b"3;" + b"a" * 1_000_000 + b"\r\n[1]\r\n0\r\n\r\n",
    "a trailer": CHUNKED + b"3\r\n[1]\r\n0\r\nAccept: text/csv\r\n\r\n",
    "a trailer that is a length": CHUNKED + b"3\r\n[1]\r\n0\r\nContent-Length: 50\r\n\r\n",
    "a trailer without end": CHUNKED + b"3\r\n[1]\r\n0\r\nX: " + b"y" * 1_000_000,
    "no host": b"GET /ping HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /ping HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "chunks in HTTP/1.0": b"POST /invocations HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "HTTP/0.9": b"GET /ping\r\n\r\n",
    "HTTP/0.9 by name": b"GET /ping HTTP/0.9\r\nHost: a\r\n\r\n",
    "HTTP/2.0 by name": b"GET /ping HTTP/2.0\r\nHost: a\r\n\r\n",
    "HTTP/1.2": b"GET /ping HTTP/1.2\r\nHost: a\r\n\r\n",
    "the preface of h2c": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    "an upgrade with a body": POST
    + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\n[1]",
    "an upgrade with chunks": POST
    + b"Connection: Upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "CONNECT": b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n" + PING,
    "a path that is no path": b"GET ping HTTP/1.1\r\nHost: a\r\n\r\n",
    "a path with a NUL": b"GET /p\x00ing HTTP/1.1\r\nHost: a\r\n\r\n",
    "a path with other bytes": b"GET /p\xffing HTTP/1.1\r\nHost: a\r\n\r\n",
    "a header with a NUL": POST + b"X: a\x00b\r\nContent-Length: 3\r\n\r\n[1]",
    "a header name with a blank": POST + b"X Y: b\r\nContent-Length: 3\r\n\r\n[1]",
    "a header without a name": POST + b": b\r\nContent-Length: 3\r\n\r\n[1]",
    "a method in lower case": b"get /ping HTTP/1.1\r\nHost: a\r\n\r\n",
    "tabs in the request line": b"GET\t/ping\tHTTP/1.1\r\nHost: a\r\n\r\n",
    "the start of TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
}
TOO_LARGE = {
    "one header": POST + b"X: " + b"y" * 70_000 + b"\r\nContent-Length: 3\r\n\r\n[1]",
    "a header that never ends": POST + b"X: " + b"y" * 1_000_000,
    "many headers": POST + b"X: y\r\n" * 100_000,
}
TAKEN = {
    "a length": POST + b"Content-Length: 3\r\n\r\n[1]",
    "a length with zeros before": POST + b"Content-Length: 003\r\n\r\n[1]",
    "chunks": CHUNKED + b"1\r\n[\r\n2\r\n1]\r\n0\r\n\r\n",
    "one chunk for each byte": CHUNKED + b"1\r\n[\r\n1\r\n1\r\n1\r\n]\r\n0\r\n\r\n",
    "a chunk extension": CHUNKED + b"3;a=b\r\n[1]\r\n0\r\n\r\n",
    "capitals": POST + b"Transfer-Encoding: Chunked\r\n\r\n3\r\n[1]\r\n0\r\n\r\n",
    "an empty header": POST + b"X-Empty:\r\nContent-Length: 3\r\n\r\n[1]",
    "HTTP/1.0": POST.replace(b"1.1", b"1.0") + b"Content-Length: 3\r\n\r\n[1]",
    "an absolute target": POST.replace(b" /", b" http://a/") + b"Content-Length: 3\r\n\r\n[1]",
    "empty lines before it": b"\r\n\r\n" + POST + b"Content-Length: 3\r\n\r\n[1]",
    "an expectation nobody waits for": POST
    + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n[1]",
}


@pytest.fixture(scope="module")
def port(make_shared_app, live):
    with live(make_shared_app(), head_s=0.3, body_s=0.3) as one:
        yield one


def connect(port):
    connection = socket.create_connection(("127.0.0.1", port))
    connection.settimeout(5)
    return connection


def read(connection, until=None):
    """Return what comes until the other side closes, or until some bytes have come."""
    received = b""
    try:
        while (until is None or until not in received) and (more := connection.recv(65536)):
            received += more
    except ConnectionResetError:
        received += b"<reset>"
    return received


def ask(port, raw, until=None):
    with closing(connect(port)) as connection:
        with suppress(OSError):  # refused before the end
            connection.sendall(raw)
        return read(connection, until)


def test_there_are_cases():
    assert min(len(REFUSED), len(TOO_LARGE), len(TAKEN)) > 0


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED)
def test_what_could_be_read_in_two_ways_is_400_and_the_end_of_the_connection(port, raw):
    answer = ask(port, raw)
    assert (answer[:13], answer.count(b"content-length: ")) == (b"HTTP/1.1 400 ", 1)


@pytest.mark.parametrize("raw", TOO_LARGE.values(), ids=TOO_LARGE)
def test_headers_without_end_are_431(port, raw):
    assert ask(port, raw).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("raw", TAKEN.values(), ids=TAKEN)
def test_what_can_be_read_in_one_way_is_answered(port, raw):
    answer = ask(port, raw, until=ANSWER)
    assert (b"HTTP/1.1 200 OK" in answer, answer.endswith(ANSWER)) == (True, True)


def test_a_refusal_is_one_short_sentence(port):
    head, _, text = ask(port, REFUSED["no host"]).partition(b"\r\n\r\n")
    assert (b"content-type: text/plain" in head, text) == (
        True,
        b"Expected exactly one Host header.",
    )


def test_pipelined_requests_are_answered_in_order(port):
    bodies = [b"[1]", b"[22]", b"[333]"]
    raw = b"".join(POST + b"Content-Length: %d\r\n\r\n%b" % (len(b), b) for b in bodies)
    answer = ask(port, raw, until=b"[666]")
    assert answer.index(b"[2]") < answer.index(b"[44]") < answer.index(b"[666]")


def test_too_many_pipelined_requests_end_the_connection(port):
    answer = ask(port, PING * 1000)
    assert answer.count(b"HTTP/1.1 ") < 1000


def test_a_body_that_looks_like_a_request_is_none(port):
    inner = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    raw = POST + b"Content-Length: %d\r\n\r\n%b" % (len(inner), inner) + PING
    answer = ask(port, raw, until=b"200 OK")
    assert (answer.count(b"HTTP/1.1 "), b" 400 " in answer, b" 404 " in answer) == (2, True, False)


def test_what_follows_a_request_in_bad_form_does_not_cost_its_answer(port):
    answer = ask(port, POST + b"Content-Length: 3\r\n\r\n[1]garbage\r\n\r\n")
    assert (answer.startswith(b"HTTP/1.1 200"), answer.endswith(ANSWER)) == (True, True)


def test_an_offer_to_upgrade_is_not_taken(port):
    raw = b"GET /ping HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    answer = ask(port, raw + TAKEN["a length"], until=ANSWER)
    assert (answer.count(b"200 OK"), answer.endswith(ANSWER)) == (2, True)


def test_a_body_is_asked_for_where_the_client_waits(port):
    with closing(connect(port)) as connection:
        connection.sendall(POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        asked = read(connection, until=b"\r\n\r\n")
        connection.sendall(b"[1]")
        assert (asked, read(connection, until=ANSWER)[-3:]) == (
            b"HTTP/1.1 100 Continue\r\n\r\n",
            ANSWER,
        )


def test_a_body_that_will_be_refused_is_not_asked_for(port):
    raw = POST.replace(b"json", b"x-npy") + b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n"
    answer = ask(port, raw)  # reads until the server closes
    assert (answer.startswith(b"HTTP/1.1 415 "), answer.count(b"HTTP/1.1 ")) == (True, 1)


@pytest.mark.parametrize(
    "length", [b"Content-Length: 99999999\r\n", b"Transfer-Encoding: chunked\r\n"]
)
def test_headers_that_are_refused_are_answered_before_the_body_comes(port, length):
    raw = POST.replace(b"json", b"x-npy") + length + b"\r\n"
    assert ask(port, raw, until=b"\r\n\r\n").startswith(b"HTTP/1.1 415 ")


def test_a_length_above_the_limit_is_413_before_the_body_comes(port):
    raw = POST + b"Content-Length: 6291457\r\n\r\n"
    assert ask(port, raw, until=b"\r\n\r\n").startswith(b"HTTP/1.1 413 ")


def test_chunks_above_the_limit_are_413(make_app, live):
    app = make_app(max_payload_mb=1)
    with live(app) as port:
        raw = CHUNKED + b"200000\r\n" + bytes(2 * 1024 * 1024) + b"\r\n0\r\n\r\n"
        assert ask(port, raw, until=b"\r\n\r\n").startswith(b"HTTP/1.1 413 ")


def test_the_connection_goes_on_after_a_body_that_was_refused(port):
    refused = POST.replace(b"json", b"x-npy") + b"Content-Length: 100000\r\n\r\n" + bytes(100_000)
    answer = ask(port, refused + TAKEN["a length"], until=ANSWER)
    assert (answer.startswith(b"HTTP/1.1 415"), answer.endswith(ANSWER)) == (True, True)


@pytest.mark.parametrize(
    ("start", "drop"),
    [(b"GET /ping HTTP/1.1\r\nHost: a", b"a"), (POST + b"Content-Length: 99\r\n\r\n[", b"1")],
    ids=["headers", "body"],
)
def test_a_client_that_sends_drop_by_drop_gets_408(port, start, drop):
    with closing(connect(port)) as connection:
        connection.sendall(start)
        connection.settimeout(0.05)
        deadline = time.monotonic() + 5
        answer = b""
        while not answer and time.monotonic() < deadline:
            connection.sendall(drop)
            try:
                answer = connection.recv(65536)
            except TimeoutError:
                continue
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_large_body_has_more_time(make_app, live):
    with live(make_app(), body_s=0.2, body_bytes_per_s=1) as port, closing(connect(port)) as slow:
        slow.sendall(POST + b"Content-Length: 13\r\n\r\n")
        for _ in range(5):
            slow.sendall(b"  ")
            time.sleep(0.1)
        slow.sendall(b"[1]")
        assert read(slow, until=ANSWER).endswith(ANSWER)


def test_a_connection_on_which_nothing_is_asked_is_closed(make_app, live):
    with live(make_app(), idle_s=0.2) as port, closing(connect(port)) as silent:
        assert read(silent) in (b"", b"<reset>")


def test_empty_lines_do_not_keep_a_connection_open(make_app, live):
    with live(make_app(), idle_s=0.2) as port, closing(connect(port)) as silent:
        silent.sendall(b"\r\n")
        assert read(silent) in (b"", b"<reset>")


def test_a_connection_too_many_is_503_and_told_when_to_come_again(make_app, make_doubler, live):
    is_open = threading.Event()
    app = make_app(make_doubler(lambda: is_open.wait(5)))
    with live(app, max_connections=2) as port:
        busy = [connect(port) for _ in range(2)]
        for one in busy:
            one.sendall(TAKEN["a length"])
        time.sleep(0.1)
        answer = ask(port, PING)
        is_open.set()
        answers = [read(one, until=ANSWER) for one in busy]
        for one in busy:
            one.close()
    assert (answer.startswith(b"HTTP/1.1 503 "), b"\r\nretry-after: 1\r\n" in answer) == (
        True,
        True,
    )
    assert all(one.endswith(ANSWER) for one in answers)


def test_an_idle_connection_gives_way_to_a_new_one(make_app, live):
    with live(make_app(), max_connections=3) as port:
        idle = [connect(port) for _ in range(20)]
        answer = ask(port, PING, until=b"\r\n\r\n")
        for one in idle:
            one.close()
    assert answer.startswith(b"HTTP/1.1 200")


def test_a_client_that_ends_in_mid_body_leaves_no_request_behind(port):
    with closing(connect(port)) as connection:
        connection.sendall(POST + b"Content-Length: 9\r\n\r\n[1")
        connection.shutdown(socket.SHUT_WR)
        assert read(connection) in (b"", b"<reset>")
    metrics = ask(port, b"GET /metrics HTTP/1.0\r\n\r\n")
    assert b"sm_dl_requests_in_flight 0.0" in metrics


@pytest.mark.parametrize("value", [b"\xff\xfe", b"a" * 5000, b"text/csv\tx", b"%0d%0aX: y"])
def test_what_a_header_holds_does_not_become_a_header_of_the_answer(port, value):
    head, _, _ = ask(
        port, POST + b"Accept: " + value + b"\r\nContent-Length: 3\r\n\r\n[1]", until=b"\r\n\r\n"
    ).partition(b"\r\n\r\n")
    names = {line.partition(b":")[0] for line in head.split(b"\r\n")[1:]}
    assert head.startswith(b"HTTP/1.1 406 ")
    assert names == {b"date", b"content-type", b"content-length", b"x-amzn-requestid"}
