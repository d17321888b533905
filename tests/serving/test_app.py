"""The routes, asked in process."""

import asyncio
import os
import sys
import threading
from pathlib import Path

import pytest

from sm_dl.content_types import JSON, JSON_LINES
from sm_dl.errors import UserError
from sm_dl.serving.app import build_app
from sm_dl.serving.metrics import Metrics
from sm_dl.serving.models import THE_MODEL, Models
from sm_dl.serving.settings import Settings

MIB = 1024 * 1024
AS_JSON = {"content-type": JSON}


def test_ping_is_200_and_empty(make_app, send):
    response = send(make_app(), "GET", "/ping")
    assert (response.status_code, response.content) == (200, b"")


def test_execution_parameters_are_those_of_the_service(make_app, send):
    assert send(make_app(), "GET", "/execution-parameters").json() == {
        "MaxConcurrentTransforms": min(os.cpu_count(), 16),
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": 6,
    }


def test_an_invocation_is_answered(make_app, send):
    response = send(make_app(), "POST", "/invocations", content=b"[1,2]", headers=AS_JSON)
    assert (response.status_code, response.content, response.headers["content-type"]) == (
        200,
        b"[2,4]",
        JSON,
    )


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", AS_JSON, 204),
        (b"{", AS_JSON, 400),
        (b"[1]", AS_JSON | {"accept": "text/csv"}, 406),
        (b"[1]", {}, 415),
        (b"[1]", {"content-type": "text/csv"}, 415),
        (b"[1]", [("content-type", JSON), ("content-type", JSON_LINES)], 415),
        (b"[13]", AS_JSON, 500),
    ],
)
def test_each_fault_has_its_status(make_app, send, body, headers, status):
    assert (
        send(make_app(), "POST", "/invocations", content=body, headers=headers).status_code
        == status
    )


def test_an_error_is_plain_text(make_app, send):
    response = send(make_app(), "POST", "/invocations", content=b"{", headers=AS_JSON)
    assert response.headers["content-type"] == "text/plain; charset=utf-8"


def test_every_answer_carries_a_request_id_of_its_own(make_app, send):
    app = make_app()
    ids = [send(app, "POST", "/invocations").headers["x-amzn-requestid"] for _ in range(2)]
    assert ids[0] != ids[1]


def test_a_500_names_the_id_of_its_header(make_app, send):
    response = send(make_app(), "POST", "/invocations", content=b"[13]", headers=AS_JSON)
    assert response.headers["x-amzn-requestid"] in response.text


@pytest.mark.parametrize("accept", ["", "*/*"])
def test_the_default_accept_stands_in_for_none_and_any(make_app, send, accept):
    app = make_app(default_accept=JSON_LINES)
    response = send(
        app, "POST", "/invocations", content=b"[1,2]", headers=AS_JSON | {"accept": accept}
    )
    assert response.content == b"2\n4"


def test_a_given_accept_beats_the_default(make_app, send):
    app = make_app(default_accept=JSON_LINES)
    response = send(app, "POST", "/invocations", content=b"[1]", headers=AS_JSON | {"accept": JSON})
    assert response.content == b"[2]"


def test_a_default_accept_the_model_cannot_write_stops_the_start(make_app):
    with pytest.raises(UserError, match="SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT: expected one of"):
        make_app(default_accept="text/csv")


def _json_of_size(size_bytes):
    return b"[1" + b" " * (size_bytes - 3) + b"]"


def test_a_body_of_exactly_the_limit_is_read(make_app, send):
    body = _json_of_size(MIB)
    app = make_app(max_payload_mb=1)
    assert send(app, "POST", "/invocations", content=body, headers=AS_JSON).status_code == 200


def test_a_body_above_the_limit_is_413_with_a_sentence(make_app, send):
    body = _json_of_size(MIB + 1)
    response = send(
        make_app(max_payload_mb=1), "POST", "/invocations", content=body, headers=AS_JSON
    )
    assert (response.status_code, response.text) == (
        413,
        "Body: expected at most 1048576 bytes; got more. Send fewer records per request.",
    )


def test_an_endless_body_is_not_read_to_the_end(make_app, send):
    chunks_taken = 0

    async def endless():
        nonlocal chunks_taken
        while True:
            chunks_taken += 1
            yield bytes(MIB)

    send(make_app(max_payload_mb=1), "POST", "/invocations", content=endless(), headers=AS_JSON)
    assert chunks_taken <= 3


def test_the_wrong_method_is_405_and_names_the_right_one(make_app, send):
    response = send(make_app(), "GET", "/invocations")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "path", ["/", "/nothing", "/models", "/models/a/invoke", "/ping/", "/%2e%2e/ping"]
)
def test_an_unknown_path_is_404_with_a_sentence(make_app, send, path):
    response = send(make_app(), "GET", path)
    assert (response.status_code, response.headers["content-type"], response.text) == (
        404,
        "text/plain; charset=utf-8",
        "There is nothing at this path. GET /openapi.json lists what there is.",
    )


@pytest.mark.parametrize("encoding", ["gzip", "deflate, gzip", "br"])
def test_an_encoded_body_is_415(make_app, send, encoding):
    headers = AS_JSON | {"content-encoding": encoding}
    response = send(make_app(), "POST", "/invocations", content=b"[1]", headers=headers)
    assert (response.status_code, "Send the body as it is." in response.text) == (415, True)


def test_a_body_encoded_as_it_is_is_read(make_app, send):
    headers = AS_JSON | {"content-encoding": "identity"}
    assert send(make_app(), "POST", "/invocations", content=b"[1]", headers=headers).is_success


def test_accept_is_refused_before_the_content_type_and_both_before_the_body(make_app, send):
    async def never_sent():
        raise AssertionError("the body was read")
        yield b""

    headers = {"content-type": "image/png", "accept": "text/csv"}
    app = make_app()
    statuses = [
        send(app, "POST", "/invocations", content=never_sent(), headers=some).status_code
        for some in (headers, {"content-type": "image/png"})
    ]
    assert statuses == [406, 415]


def test_bodies_that_together_are_too_much_are_503(make_app, make_doubler, client):
    gate = Gate()
    app = make_app(make_doubler(gate.pass_through), max_payload_mb=1, max_bodies_mb=1)
    large = _json_of_size(MIB)

    async def exchange():
        async with client(app) as http:
            held = asyncio.create_task(http.post("/invocations", content=large, headers=AS_JSON))
            await asyncio.to_thread(gate.wait_until_reached)
            refused = await http.post("/invocations", content=large, headers=AS_JSON)
            gate.open()
            answered = await held
            return refused.status_code, answered.status_code, refused.headers["retry-after"]

    assert asyncio.run(exchange()) == (503, 200, "1")
    assert send_large(app, client, large) == 200


def send_large(app, client, large):
    async def exchange():
        async with client(app) as http:
            return (await http.post("/invocations", content=large, headers=AS_JSON)).status_code

    return asyncio.run(exchange())


def test_the_clients_own_id_is_for_the_log_only(make_app, send, log):
    headers = AS_JSON | {"x-amzn-sagemaker-inference-id": "mine\x1b[31m"}
    response = send(make_app(), "POST", "/invocations", content=b"[13]", headers=headers)
    answer = response.text + str(response.headers)
    assert ("mine" in answer, r"('mine\x1b[31m' to its client)" in log.text) == (False, True)


@pytest.mark.parametrize("body", [b"[13]", b"{", b"[1"])
def test_an_error_tells_nothing_of_the_machine(make_app, send, monkeypatch, body):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-value")
    response = send(make_app(), "POST", "/invocations", content=body, headers=AS_JSON)
    told = response.text + str(response.headers)
    assert not any(
        word in told for word in ("Traceback", "/secret/path", "a-secret", ".py", "/usr")
    )


def test_metrics_count_answers_by_status_batches_and_what_is_in_flight(make_app, send):
    app = make_app()
    for body in (b"[1]", b"[2]", b"{"):
        send(app, "POST", "/invocations", content=body, headers=AS_JSON)
    lines = send(app, "GET", "/metrics").text.splitlines()
    assert {
        'sm_dl_requests_total{status="200"} 2.0',
        'sm_dl_requests_total{status="400"} 1.0',
        "sm_dl_request_seconds_count 3.0",
        "sm_dl_batch_requests_count 2.0",
        "sm_dl_requests_in_flight 0.0",
        "sm_dl_queue_requests 0.0",
        "sm_dl_stuck_threads_total 0.0",
    } <= set(lines)


def test_ping_is_503_while_a_stuck_model_is_replaced_and_200_again_afterwards(make_doubler, send):
    gate, may_load = Gate(), threading.Event()
    predictors = [make_doubler(gate.pass_through)]

    def load(_folder):
        if not predictors:
            assert may_load.wait(5)
        return predictors.pop() if predictors else make_doubler()

    settings, metrics = Settings(predict_s=0.5), Metrics()
    models = Models(load, settings, metrics)
    app = build_app(models, settings, metrics)
    statuses = [send(app, "GET", "/ping").status_code]  # nothing is loaded yet
    models.add(THE_MODEL, Path())
    statuses.append(send(app, "GET", "/ping").status_code)
    statuses.append(send(app, "POST", "/invocations", content=b"[1]", headers=AS_JSON).status_code)
    statuses.append(send(app, "GET", "/ping").status_code)
    may_load.set()
    statuses.append(send(app, "POST", "/invocations", content=b"[1]", headers=AS_JSON).status_code)
    statuses.append(send(app, "GET", "/ping").status_code)
    gate.open()
    assert statuses == [503, 200, 500, 503, 200, 200]
    assert models.close(5)


def test_before_the_model_is_loaded_invocations_are_503(send):
    settings, metrics = Settings(), Metrics()
    app = build_app(Models(lambda _: None, settings, metrics), settings, metrics)
    response = send(app, "POST", "/invocations", content=b"[1]", headers=AS_JSON)
    assert (response.status_code, response.text) == (
        503,
        "The model is being loaded. Send the request again later.",
    )


class Gate:
    """Holds the model in `predict` until it is opened."""

    def __init__(self):
        self._is_reached = threading.Event()
        self._is_open = threading.Event()

    def pass_through(self):
        self._is_reached.set()
        assert self._is_open.wait(5)

    def wait_until_reached(self):
        assert self._is_reached.wait(5)

    def open(self):
        self._is_open.set()


def _while_busy(app, gate, client, path):
    """Return the answer to one more request while the model is held, and the answer held up."""

    async def exchange():
        async with client(app) as http:
            held = asyncio.create_task(http.post("/invocations", content=b"[1]", headers=AS_JSON))
            await asyncio.to_thread(gate.wait_until_reached)
            method = "GET" if path == "/ping" else "POST"
            answer = await asyncio.wait_for(
                http.request(method, path, content=b"[2]", headers=AS_JSON), 2
            )
            gate.open()
            return answer, await held

    return asyncio.run(exchange())


def test_ping_does_not_wait_for_a_busy_model(make_app, make_doubler, client):
    gate = Gate()
    answer, _ = _while_busy(make_app(make_doubler(gate.pass_through)), gate, client, "/ping")
    assert answer.status_code == 200


def test_a_full_server_answers_503_and_when_to_retry(make_app, make_doubler, client):
    gate = Gate()
    app = make_app(make_doubler(gate.pass_through), max_waiting=1)
    answer, _ = _while_busy(app, gate, client, "/invocations")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


def test_a_refusal_does_not_disturb_the_request_in_flight(make_app, make_doubler, client):
    gate = Gate()
    app = make_app(make_doubler(gate.pass_through), max_waiting=1)
    _, held = _while_busy(app, gate, client, "/invocations")
    assert held.content == b"[2]"


def test_a_seat_is_free_again_after_a_failure(make_app, send):
    app = make_app(max_waiting=1)
    bodies = [b"[13]", b"{", b"", b"[1]"]
    statuses = [
        send(app, "POST", "/invocations", content=b, headers=AS_JSON).status_code for b in bodies
    ]
    assert statuses == [500, 400, 204, 200]


def test_a_model_that_wants_to_exit_is_a_500(make_app, make_doubler, send):
    app = make_app(make_doubler(sys.exit))
    response = send(app, "POST", "/invocations", content=b"[1]", headers=AS_JSON)
    assert response.status_code == 500
