"""The routes of the contract, section 5, over one predictor.

The event loop only frames bytes: `/ping` is answered while the model is busy.
"""

import asyncio
import os
from functools import partial
from http import HTTPStatus
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response as HTTPResponse
from starlette.routing import Route

from sm_dl.content_types import JSON, negotiate
from sm_dl.contract.codec import Predictor
from sm_dl.errors import UserError, shown
from sm_dl.serving.invoke import Call, Response, failed, invoke, new_request_id, text_response
from sm_dl.serving.settings import DEFAULT_ACCEPT_VARIABLE, Settings
from sm_dl.serving.worker import Worker

REQUEST_ID_HEADER = "x-amzn-requestid"
RETRY_AFTER_S = 1
LINGER_BYTES = 64 * 1024 * 1024
"""Read and dropped beyond the limit: a client still sending sees the answer, not a reset."""


def build_app(predictor: Predictor[Any, Any], worker: Worker, settings: Settings) -> Starlette:
    """Return the application of one model.

    Raises:
        UserError: The default Accept names nothing the model can write.
    """
    types = predictor.answer_types
    if negotiate(settings.default_accept, types, types[0]) is None:
        raise UserError(
            f"environment variable {DEFAULT_ACCEPT_VARIABLE}: expected one of {', '.join(types)}; "
            f"got {shown(settings.default_accept)}. Name a type the model writes, or unset it."
        )
    endpoint = Endpoint(predictor, worker, settings)
    return Starlette(
        routes=[
            Route("/ping", endpoint.ping, methods=["GET"]),
            Route("/invocations", endpoint.invocations, methods=["POST"]),
            Route("/execution-parameters", endpoint.execution_parameters, methods=["GET"]),
        ]
    )


class Endpoint:
    """The handlers of one model."""

    def __init__(self, predictor: Predictor[Any, Any], worker: Worker, settings: Settings) -> None:
        """Keep what the handlers need; the worker belongs to the caller, who stops it."""
        self._predictor = predictor
        self._worker = worker
        self._settings = settings
        self._free_seats = settings.max_waiting

    async def ping(self, _request: Request) -> HTTPResponse:
        """Return 200: a server exists only once its model is loaded."""
        return HTTPResponse()

    async def execution_parameters(self, _request: Request) -> HTTPResponse:
        """Return what batch transform should use when its user does not say."""
        parameters = {
            "MaxConcurrentTransforms": os.cpu_count() or 1,
            "BatchStrategy": "MULTI_RECORD",
            "MaxPayloadInMB": self._settings.max_payload_mb,
        }
        return HTTPResponse(orjson.dumps(parameters), media_type=JSON)

    async def invocations(self, request: Request) -> HTTPResponse:
        """Return the model's answer, or the status and sentence that say why there is none."""
        request_id = new_request_id()
        try:
            response = await self._respond(request, request_id)
        except ClientDisconnect:  # nobody will read it, but the framework wants an answer
            response = text_response(
                HTTPStatus.BAD_REQUEST, "The client left before its body ended."
            )
        except asyncio.CancelledError:  # the time to drain is over, and this one is not done
            response = text_response(
                HTTPStatus.SERVICE_UNAVAILABLE, "The server is stopping; send the request again."
            )
        headers = {REQUEST_ID_HEADER: request_id}
        if response.content_type:
            headers["content-type"] = response.content_type
        if response.status == HTTPStatus.SERVICE_UNAVAILABLE:
            headers["retry-after"] = str(RETRY_AFTER_S)
        return HTTPResponse(response.body, response.status, headers)

    async def _respond(self, request: Request, request_id: str) -> Response:
        if not self._free_seats:
            await _read_body(request, max_bytes=0)
            return text_response(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"The server is busy: {self._settings.max_waiting} requests wait already. "
                f"Retry in {RETRY_AFTER_S} s.",
            )
        self._free_seats -= 1  # taken before the body is read: seats bound the memory of bodies
        try:
            return await self._answer(request, request_id)
        finally:
            self._free_seats += 1

    async def _answer(self, request: Request, request_id: str) -> Response:
        max_bytes = self._settings.max_body_bytes
        body = await _read_body(request, max_bytes)
        if body is None:
            return text_response(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"Body: expected at most {max_bytes} bytes; got more. "
                "Send fewer records per request.",
            )
        accept = (_header(request, "accept") or "").strip()
        call = Call(
            body=body,
            content_type=_header(request, "content-type"),
            accept=self._settings.default_accept if accept in ("", "*/*") else accept,
            request_id=request_id,
        )
        try:
            return await asyncio.wrap_future(
                self._worker.submit(partial(invoke, self._predictor, call))
            )
        except Exception as error:  # noqa: BLE001 - the model broke out, e.g. with SystemExit
            return failed(call, error)


async def _read_body(request: Request, max_bytes: int) -> bytes | None:
    """Return the body, or None when it is longer; no more than `max_bytes` are kept."""
    chunks: list[bytes] = []
    size_bytes = 0
    async for chunk in request.stream():
        size_bytes += len(chunk)
        if size_bytes <= max_bytes:
            chunks.append(chunk)
            continue
        chunks.clear()
        if size_bytes > max_bytes + LINGER_BYTES:
            break
    return b"".join(chunks) if size_bytes <= max_bytes else None


def _header(request: Request, name: str) -> str | None:
    """Return all values of a header as one, so that two content types match none."""
    return ", ".join(request.headers.getlist(name)) or None
