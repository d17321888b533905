"""Contract, section 5: what `serve` answers, with which status and type."""

import time
from collections.abc import Iterator

import httpx
import pytest

from sm_dl import registry
from sm_dl.contract.codec import Predictor
from tests.conformance.container import Container
from tests.conformance.tree import Finished
from tests.small_job import SmallJob

pytestmark = pytest.mark.system

CUSTOM = {"X-Amzn-SageMaker-Custom-Attributes": "a=b", "X-Unheard-Of": "1"}


@pytest.fixture(scope="module")
def client(container: Container, finished: Finished) -> Iterator[httpx.Client]:
    """Return a client of a server of the finished job's model."""
    with container.serving(finished.root) as one:
        yield one


@pytest.fixture(scope="module")
def predictor(finished: Finished) -> Predictor:
    """Return what the model says of itself: its types of requests and answers."""
    return registry.load(finished.root / "model")


def _post(client: httpx.Client, body: bytes, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post("/invocations", content=body, headers=named)


def _bare(kind: str) -> str:
    """Return a type without its parameters, which ask for something and do not come back."""
    return kind.partition(";")[0]


def test_ping_answers_200_with_an_empty_body_within_two_seconds(client: httpx.Client) -> None:
    started = time.monotonic()
    answer = client.get("/ping")
    assert (answer.status_code, answer.content, time.monotonic() - started < 2) == (200, b"", True)


def test_every_content_type_is_answered_200(client: httpx.Client, job: SmallJob) -> None:
    statuses = {
        kind: _post(client, body, content_type=kind).status_code for kind, body in job.requests
    }
    assert set(statuses.values()) == {200}, statuses


def test_every_content_type_has_a_request_to_test(predictor: Predictor, job: SmallJob) -> None:
    assert {_bare(kind) for kind, _ in job.requests} == set(predictor.request_types)


def test_every_accept_gets_the_type_it_asked_for(
    client: httpx.Client, job: SmallJob, predictor: Predictor
) -> None:
    for kind, body in job.requests:
        for accept in predictor.answer_types:
            answer = _post(client, body, content_type=kind, accept=accept)
            assert (answer.status_code, answer.headers["content-type"]) == (200, _bare(accept))


@pytest.mark.parametrize("spelling", ["{}; charset=utf-8", "{} ;unheard=of", "upper"])
def test_a_content_type_is_read_without_regard_to_case_blanks_and_parameters(
    client: httpx.Client, job: SmallJob, spelling: str
) -> None:
    kind, body = job.requests[0]
    written = kind.upper() if spelling == "upper" else spelling.format(kind)
    assert _post(client, body, content_type=written).status_code == 200


@pytest.mark.parametrize("accept", ["*/*", "{}", "text/x-unheard, {}", "image/x;q=0.9, */*;q=0.1"])
def test_an_accept_may_be_a_list_with_qualities(
    client: httpx.Client, job: SmallJob, predictor: Predictor, accept: str
) -> None:
    kind, body = job.requests[0]
    asked = accept.format(predictor.answer_types[0])
    assert _post(client, body, content_type=kind, accept=asked).status_code == 200


def test_unknown_headers_are_ignored(client: httpx.Client, job: SmallJob) -> None:
    kind, body = job.requests[0]
    answer = client.post("/invocations", content=body, headers={"content-type": kind, **CUSTOM})
    assert answer.status_code == 200


def test_an_empty_body_is_answered_204(client: httpx.Client, job: SmallJob) -> None:
    answer = _post(client, b"", content_type=job.requests[0][0])
    assert (answer.status_code, answer.content) == (204, b"")


def test_bad_data_are_answered_400_with_a_sentence_and_no_trace(
    client: httpx.Client, job: SmallJob
) -> None:
    answer = _post(client, b"\xff\x00 no such data", content_type=job.requests[0][0])
    assert (answer.status_code, bool(answer.text), "Traceback" in answer.text) == (400, True, False)


def test_an_accept_nobody_can_write_is_answered_406(client: httpx.Client, job: SmallJob) -> None:
    kind, body = job.requests[0]
    assert _post(client, body, content_type=kind, accept="image/x-unheard").status_code == 406


def test_a_content_type_nobody_can_read_is_answered_415(
    client: httpx.Client, job: SmallJob
) -> None:
    assert _post(client, job.requests[0][1], content_type="image/x-unheard").status_code == 415


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b"{}" * 1000, b'{"a": 1}'])
@pytest.mark.parametrize("accept", ["*/*", "image/x-unheard"])
def test_no_answer_tells_a_trace_or_a_path(
    client: httpx.Client, job: SmallJob, finished: Finished, body: bytes, accept: str
) -> None:
    text = _post(client, body, content_type=job.requests[0][0], accept=accept).text
    assert [one for one in ("Traceback", ".py", str(finished.root), "/opt/ml") if one in text] == []


def test_an_accept_is_checked_before_the_body(client: httpx.Client, job: SmallJob) -> None:
    answer = _post(client, b"bad", content_type=job.requests[0][0], accept="image/x-unheard")
    assert answer.status_code == 406


def test_a_body_beyond_the_limit_is_answered_413(client: httpx.Client, job: SmallJob) -> None:
    body = bytes(7 * 1024 * 1024)
    assert _post(client, body, content_type=job.requests[0][0]).status_code == 413


def test_execution_parameters_are_the_three_of_the_contract(client: httpx.Client) -> None:
    answer = client.get("/execution-parameters")
    assert answer.status_code == 200
    found = answer.json()
    assert (found["BatchStrategy"], found["MaxPayloadInMB"] > 0) == ("MULTI_RECORD", True)
    assert found["MaxConcurrentTransforms"] >= 1


@pytest.mark.parametrize(("method", "path"), [("GET", "/invocations"), ("POST", "/unheard")])
def test_another_method_or_path_is_the_client_s_fault(
    client: httpx.Client, method: str, path: str
) -> None:
    assert client.request(method, path).status_code in (404, 405)


def test_the_default_accept_stands_in_for_a_missing_one(
    container: Container, finished: Finished, job: SmallJob, predictor: Predictor
) -> None:
    kind, body = job.requests[0]
    wanted = predictor.answer_types[-1]
    with container.serving(finished.root, SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT=wanted) as client:
        types = [
            _post(client, body, content_type=kind, **accept).headers["content-type"]
            for accept in ({}, {"accept": "*/*"})
        ]
    assert types == [_bare(wanted)] * 2
