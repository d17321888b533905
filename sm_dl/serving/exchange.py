"""One HTTP exchange around one call: its headers, its body within the limits, its answer."""

import asyncio
import time
from dataclasses import dataclass, field, replace
from http import HTTPStatus

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response as HTTPResponse

from sm_dl.errors import shown
from sm_dl.serving.batching import Batcher, unavailable
from sm_dl.serving.invoke import (
    Call,
    RefusedError,
    Response,
    agree,
    failed,
    new_request_id,
    text_response,
)
from sm_dl.serving.metrics import Metrics
from sm_dl.serving.settings import Settings

REQUEST_ID_HEADER = "x-amzn-requestid"
CLIENT_ID_HEADER = "x-amzn-sagemaker-inference-id"
RETRY_AFTER_S = 1


@dataclass
class _Body:
    """What has come of one body."""

    chunks: list[bytes] = field(default_factory=list)
    size_bytes: int = 0


class Exchange:
    """Answers invocations, and knows how many bytes all bodies together hold."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        """Begin with no body held."""
        self._settings = settings
        self._metrics = metrics
        self._held_bytes = 0

    async def answer(self, request: Request, batcher: Batcher | None) -> HTTPResponse:
        """Return the model's answer, or the status and sentence that say why there is none.

        Args:
            request: Its body has not been read.
            batcher: The model; None while it is being loaded.
        """
        began = time.perf_counter()
        self._metrics.begin()
        request_id = new_request_id()
        response = (
            unavailable("The model is being loaded.")
            if batcher is None
            else await self._respond(request, request_id, batcher)
        )
        self._metrics.end(response.status, time.perf_counter() - began)
        return http_response(response, request_id)

    async def _respond(self, request: Request, request_id: str, batcher: Batcher) -> Response:
        if refusal := batcher.refusal():
            return refusal
        call = self._call(request, request_id)
        body = _Body()
        try:
            self._check_head(request, batcher, call)
            async for chunk in request.stream():
                self._hold(chunk, body)
            call = replace(call, body=b"".join(body.chunks))
            return await asyncio.wrap_future(batcher.submit(call))
        except RefusedError as refused:
            return refused.response
        except ClientDisconnect:  # nobody will read it, but the framework wants an answer
            return text_response(HTTPStatus.BAD_REQUEST, "The client left before its body ended.")
        except asyncio.CancelledError:  # the time to drain is over, and this one is not done
            return unavailable("The server is stopping.")
        except Exception as error:  # noqa: BLE001 - an id for the client, the trace for the log
            return failed(call, error)
        finally:
            self._held_bytes -= body.size_bytes

    def _call(self, request: Request, request_id: str) -> Call:
        accept = (_header(request, "accept") or "").strip()
        return Call(
            body=b"",
            content_type=_header(request, "content-type"),
            accept=self._settings.default_accept if accept in ("", "*/*") else accept,
            request_id=request_id,
            client_id=_header(request, CLIENT_ID_HEADER),
        )

    def _check_head(self, request: Request, batcher: Batcher, call: Call) -> None:
        """Refuse what the headers show already, so that nobody need send the body.

        Raises:
            RefusedError: 406, 415 or 413.
        """
        length = request.headers.get("content-length", "0")
        has_body = length.strip("0") != "" or "transfer-encoding" in request.headers
        agree(batcher.predictor, call, has_body=has_body)
        encoding = _header(request, "content-encoding")
        if encoding and encoding.strip().lower() != "identity":
            raise RefusedError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                f"Content-Encoding: expected none; got {shown(encoding)}. Send the body as it is.",
            )
        if has_body and int(length) > self._settings.max_body_bytes:
            raise self._too_large()

    def _hold(self, chunk: bytes, body: _Body) -> None:
        """Keep one more piece of a body.

        Raises:
            RefusedError: 413: the body is too long; 503: all bodies together are.
        """
        self._held_bytes += len(chunk)
        body.size_bytes += len(chunk)
        body.chunks.append(chunk)
        if body.size_bytes > self._settings.max_body_bytes:
            raise self._too_large()
        if self._held_bytes > self._settings.max_held_bytes:
            raise RefusedError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "The server is busy: the bodies of other requests fill its memory. "
                "Send the request again later.",
            )

    def _too_large(self) -> RefusedError:
        return RefusedError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"Body: expected at most {self._settings.max_body_bytes} bytes; got more. "
            "Send fewer records per request.",
        )


def http_response(response: Response, request_id: str | None = None) -> HTTPResponse:
    """Return an answer with the headers that go with its status."""
    headers = {REQUEST_ID_HEADER: request_id} if request_id else {}
    if response.content_type:
        headers["content-type"] = response.content_type
    if response.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["retry-after"] = str(RETRY_AFTER_S)
    return HTTPResponse(response.body, response.status, headers)


def _header(request: Request, name: str) -> str | None:
    """Return all values of a header as one, so that two content types match none."""
    return ", ".join(request.headers.getlist(name)) or None
