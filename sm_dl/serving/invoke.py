"""One path for every caller: Accept, Content-Type, decode, predict, encode (contract, section 5).

The steps are separate functions, so that the requests of several clients may share one `predict`
and be answered as if each had come alone.
"""

import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from sm_dl.content_types import CSV, JSON, JSON_LINES, MediaType, negotiate, parse
from sm_dl.contract.codec import Answer, Predictor, Request
from sm_dl.data.jsonlines import BYTE_ORDER_MARK
from sm_dl.errors import UserError, shown

logger = logging.getLogger(__name__)

TEXT = "text/plain; charset=utf-8"
MARKED_TYPES = (CSV, JSON, JSON_LINES)
"""Types of a body that may begin with a byte order mark, as files of training may."""


def new_request_id() -> str:
    """Return a name under which one request is found again in the log."""
    return str(uuid.uuid4())


@dataclass(frozen=True, kw_only=True)
class Call:
    """What a client sent. Header values are as they came; None means the header is missing."""

    body: bytes
    content_type: str | None = None
    accept: str | None = None
    request_id: str = field(default_factory=new_request_id)
    client_id: str | None = None
    """The client's own name for the request: for the log, never for a decision or an answer."""


@dataclass(frozen=True)
class Response:
    """What the client gets. An error's body is one short text."""

    status: int
    body: bytes = b""
    content_type: str | None = None


@dataclass(frozen=True)
class Terms:
    """The media types one exchange settled on, before anybody looks at the body."""

    request: MediaType
    answer_type: str


class RefusedError(Exception):
    """The client must change the request: the status says what, the text says how."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        """Keep what the client is told."""
        super().__init__(sentence)
        self.response = text_response(status, sentence)


def invoke(predictor: Predictor[Any, Any], call: Call) -> Response:
    """Return the answer to one call; nothing a client sends makes it raise."""
    try:
        terms = agree(predictor, call)
        if not call.body:
            return Response(HTTPStatus.NO_CONTENT)
        request = decode(predictor, call, terms)
        (answer,) = predictor.predict([request])
        return encode(predictor, answer, terms)
    except RefusedError as refused:
        return refused.response
    except Exception as error:  # noqa: BLE001 - an id for the client, the trace for the log
        return failed(call, error)


def agree(predictor: Predictor[Any, Any], call: Call, *, has_body: bool | None = None) -> Terms:
    """Return the media types of one exchange.

    Args:
        predictor: The model.
        call: Its headers are read, its body is not.
        has_body: Whether there is one; None: as the call says.
    Raises:
        RefusedError: 406 for Accept, which is checked first, else 415 for Content-Type.
    """
    media = parse(call.content_type or "")
    is_readable = media.name in predictor.request_types
    usual = predictor.answer_type_for(media.name) if is_readable else predictor.answer_types[0]
    answer_type = negotiate(call.accept, predictor.answer_types, usual)
    if answer_type is None:
        raise RefusedError(
            HTTPStatus.NOT_ACCEPTABLE,
            f"Accept: expected {_one_of(predictor.answer_types)}; got {shown(call.accept)}. "
            "Ask for a type the model writes, or leave the header out.",
        )
    has_nothing_to_read = not call.content_type and not (call.body or has_body)
    if not is_readable and not has_nothing_to_read:
        raise RefusedError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"Content-Type: expected {_one_of(predictor.request_types)}; "
            f"got {shown(call.content_type) if call.content_type else 'nothing'}. "
            "Name the type the body really has.",
        )
    return Terms(media, answer_type)


def decode(predictor: Predictor[Request, Any], call: Call, terms: Terms) -> Request:
    """Return what the body asks for.

    Raises:
        RefusedError: 400 with the sentence of the codec.
    """
    is_text = terms.request.name in MARKED_TYPES
    body = call.body.removeprefix(BYTE_ORDER_MARK) if is_text else call.body
    try:
        return predictor.decode(body, terms.request)
    except UserError as error:
        raise RefusedError(HTTPStatus.BAD_REQUEST, str(error)) from error


def encode(predictor: Predictor[Any, Answer], answer: Answer, terms: Terms) -> Response:
    """Return one answer in the type that was agreed on."""
    body = predictor.encode(answer, terms.answer_type)
    return Response(HTTPStatus.OK, body, parse(terms.answer_type).name)


def failed(call: Call, error: BaseException) -> Response:
    """Return the answer to a fault of ours and log its cause.

    The client learns an id and nothing else: a trace or a path is the log's business.
    """
    named = f" ({shown(call.client_id)} to its client)" if call.client_id else ""
    logger.error("request %s%s: the model failed", call.request_id, named, exc_info=error)
    return text_response(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "The model failed on this request; the log has the cause "
        f"under request id {call.request_id}.",
    )


def text_response(status: HTTPStatus, sentence: str) -> Response:
    """Return an answer for people."""
    return Response(status, sentence.encode(errors="backslashreplace"), TEXT)


def _one_of(types: Sequence[str]) -> str:
    return types[0] if len(types) == 1 else "one of " + ", ".join(types)
