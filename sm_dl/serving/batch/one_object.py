"""Batch transform of one object: split, invoke, assemble (contract, section 6).

Words of the service: an *object* is one input file, a *record* one piece of it, a *payload* the
body of one request. Streams go in and out; which files they are is the caller's business.
"""

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, BinaryIO

from sm_dl.contract.codec import Predictor
from sm_dl.errors import AlgorithmError, UserError
from sm_dl.serving.batch.association import Association
from sm_dl.serving.batch.rules import Rules
from sm_dl.serving.batch.source import Source, type_from_extension
from sm_dl.serving.batch.splitting import Payload, payloads
from sm_dl.serving.invoke import Call, RefusedError, Response, agree, failed

Submit = Callable[[Call], Future[Response]]
"""Begins one call; its answer comes later. Calls may be answered together and out of order."""

RETRIED = {
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}
"""What a second try may change; the last is our own word for a silent endpoint."""
FIRST_PAUSE_S = 0.1
"""Before the first retry of a busy server; doubled for each further one."""


class StuckError(AlgorithmError):
    """The model has not answered in time: no other object will be answered either."""


@dataclass(frozen=True)
class _Asked:
    payload: Payload
    call: Call
    future: Future[Response]


def check(predictor: Predictor[Any, Any], rules: Rules) -> None:
    """Refuse rules that no object can satisfy, once instead of once per object.

    Raises:
        UserError: The model does not read, or does not write, the type that is asked for.
    """
    content_type = rules.content_type or predictor.request_types[0]
    try:
        agree(predictor, Call(body=b"", content_type=content_type, accept=rules.accept))
    except RefusedError as refused:
        raise UserError(str(refused)) from None


def transform(submit: Submit, source: Source, sink: BinaryIO, *, name: str, rules: Rules) -> None:
    """Write the answers for all records of `source` to `sink`, in order.

    At most `max_concurrent_transforms` payloads are under way: the next is read when the oldest
    has been answered and written. Memory holds these, their answers, and the one record that did
    not fit into the last of them.

    Args:
        submit: Begins a call of the model.
        source: The object, already decompressed.
        sink: What it wrote is of no use when an error is raised.
        name: The key of the object: it gives the type, and the place in an error.
        rules: The job's settings.
    Raises:
        UserError: A record is bad, or the object cannot be read.
        AlgorithmError: The model failed on a record it had accepted, each time.
        StuckError: The model did not answer in time.
    """
    content_type = rules.content_type or type_from_extension(name)
    association = Association(rules, content_type) if rules.has_filters else None
    asked: deque[_Asked] = deque()

    def write_oldest() -> None:
        oldest = asked[0]
        answer = _answer(submit, oldest, rules)
        asked.popleft()
        _write(sink, _assembled(answer, oldest.payload, association), rules)

    try:
        for payload in payloads(source, name, rules):
            body, accept = payload.body, rules.accept
            if association is not None:
                body, accept = association.request(body, payload.place), association.accept
            call = Call(body=body, content_type=content_type, accept=accept)
            asked.append(_Asked(payload, call, submit(call)))
            if len(asked) == rules.max_concurrent_transforms:
                write_oldest()
        while asked:
            write_oldest()
    finally:
        for left in asked:  # of an object that failed: what has not begun need not
            left.future.cancel()


def _answer(submit: Submit, asked: _Asked, rules: Rules) -> Response:
    """Return a good answer, asking again after a fault of the server."""
    response = _awaited(asked.future, asked, rules)
    for retry in range(rules.invocations_max_retries):
        if response.status not in RETRIED:
            break
        if response.status != HTTPStatus.INTERNAL_SERVER_ERROR:  # busy, not broken
            time.sleep(FIRST_PAUSE_S * 2**retry)
        response = _awaited(submit(asked.call), asked, rules)
    if response.status < HTTPStatus.BAD_REQUEST:
        return response
    said = response.body.decode(errors="replace")
    if asked.payload.is_line:  # the body's only line: which of the object it was is said already
        said = said.removeprefix("line 1: ")
    text = f"{asked.payload.place}: {said}"
    if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise AlgorithmError(text)
    raise UserError(text)


def _awaited(future: Future[Response], asked: _Asked, rules: Rules) -> Response:
    try:
        return future.result(rules.invocations_timeout_s)
    except TimeoutError as error:
        if future.done():  # the model's own
            return failed(asked.call, error)
        raise StuckError(
            f"{asked.payload.place}: no answer within {rules.invocations_timeout_s} s. Send less "
            "at once with --max-payload-mb, or allow more with --invocations-timeout-s."
        ) from None
    except Exception as error:  # noqa: BLE001 - the model broke out, e.g. with SystemExit
        return failed(asked.call, error)


def _assembled(response: Response, payload: Payload, association: Association | None) -> bytes:
    if association is None or response.status == HTTPStatus.NO_CONTENT:
        return response.body
    return association.answer(payload.body, response.body, response.content_type, payload.place)


def _write(sink: BinaryIO, answer: bytes, rules: Rules) -> None:
    sink.write(answer)
    # Differs from the service: its local mode adds a newline even where the answer ends in one
    if rules.assemble_with == "Line" and answer and not answer.endswith(b"\n"):
        sink.write(b"\n")
