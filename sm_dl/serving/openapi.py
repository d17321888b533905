"""What the server answers, for machines: OpenAPI 3.1, written by hand beside the routes."""

from http import HTTPStatus
from typing import Any

from sm_dl import __version__
from sm_dl.content_types import JSON
from sm_dl.serving.models import THE_MODEL, Models
from sm_dl.serving.settings import Settings

_TEXT = {"text/plain; charset=utf-8": {"schema": {"type": "string"}}}
_BYTES: dict[str, Any] = {"schema": {}}
_MEANINGS = {
    200: "The answer.",
    204: "The body was empty.",
    400: "The request cannot be read; the text says where and why.",
    404: "There is no such model.",
    405: "Another method; the header Allow names those there are.",
    406: "The model writes none of the types in Accept.",
    408: "Headers or body came too slowly.",
    409: "A model of this name is loaded already.",
    413: "The body is too long.",
    415: "The model does not read this Content-Type, or a Content-Encoding was given.",
    431: "The headers are too long.",
    500: "The model failed; the log has the cause under the id in the text.",
    503: "No room or no model at the moment; Retry-After says when to come again.",
    507: "There is no memory for another model.",
}
_FRAMING = (400, 408, 431)
"""Any request may end so, whatever its path, before a handler sees it."""
_INVOCATION = (204, 406, 413, 415, 500, 503)


def document(models: Models, settings: Settings) -> dict[str, Any]:
    """Return the description of one server."""
    paths: dict[str, Any] = {
        "/ping": {"get": _operation("Tell whether invocations are answered.", {}, 503)},
        "/execution-parameters": {
            "get": _operation(
                "Tell batch transform what suits this server.",
                _object(
                    {
                        "MaxConcurrentTransforms": {"type": "integer", "minimum": 1},
                        "BatchStrategy": {"const": "MULTI_RECORD"},
                        "MaxPayloadInMB": {"type": "integer", "minimum": 1},
                    }
                ),
            )
        },
        "/metrics": {"get": _operation("Count, for Prometheus.", {"text/plain": _BYTES})},
        "/openapi.json": {"get": _operation("Describe this server.", {JSON: _BYTES})},
    }
    paths |= _many_models() if settings.is_multi_model else _one_model(models)
    return {
        "openapi": "3.1.0",
        "info": {"title": "sm_dl", "version": __version__},
        "paths": paths,
    }


def _one_model(models: Models) -> dict[str, Any]:
    batcher = models.get(THE_MODEL)
    reads = batcher.predictor.request_types if batcher else ()
    writes = batcher.predictor.answer_types if batcher else ()
    return {"/invocations": {"post": _invocation(reads, writes)}}


def _many_models() -> dict[str, Any]:
    name = [{"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}]
    token = [{"name": "next_page_token", "in": "query", "schema": {"type": "string"}}]
    model = {"modelName": {"type": "string"}, "modelUrl": {"type": "string"}}
    order = {"model_name": {"type": "string"}, "url": {"type": "string"}}
    page = {
        "models": {"type": "array", "items": _schema(model)},
        "nextPageToken": {"type": "string"},
    }
    listing = _operation("List loaded models.", _object(page, required=("models",)))
    loading = _operation("Load a model from a directory.", {}, 409, 500, 507)
    telling = _operation("Tell where a model came from.", _object(model), 404)
    return {
        "/models": {
            "get": listing | {"parameters": token},
            "post": loading | {"requestBody": {"required": True, "content": _object(order)}},
        },
        "/models/{name}": {
            "parameters": name,
            "get": telling,
            "delete": _operation("Unload a model.", {}, 404),
        },
        "/models/{name}/invoke": {"parameters": name, "post": _invocation((), (), 404)},
    }


def _invocation(reads: tuple[str, ...], writes: tuple[str, ...], *more: int) -> dict[str, Any]:
    """Return the operation of a model; without types it may read and write any."""
    answers = dict.fromkeys(writes or ("*/*",), _BYTES)
    operation = _operation("Ask the model.", answers, *_INVOCATION, *more)
    bodies = dict.fromkeys(reads or ("*/*",), _BYTES)
    return operation | {"requestBody": {"required": False, "content": bodies}}


def _operation(summary: str, answers: dict[str, Any], *statuses: int) -> dict[str, Any]:
    responses: dict[str, Any] = {"200": _response(HTTPStatus.OK, answers)}
    for status in sorted({*statuses, *_FRAMING, HTTPStatus.METHOD_NOT_ALLOWED.value}):
        responses[str(status)] = _response(status, {} if status == 204 else _TEXT)
    return {"summary": summary, "responses": responses}


def _response(status: int, content: dict[str, Any]) -> dict[str, Any]:
    response: dict[str, Any] = {"description": _MEANINGS[status]}
    if content:
        response["content"] = content
    return response


def _object(properties: dict[str, Any], required: tuple[str, ...] | None = None) -> dict[str, Any]:
    return {JSON: {"schema": _schema(properties, required)}}


def _schema(properties: dict[str, Any], required: tuple[str, ...] | None = None) -> dict[str, Any]:
    names = list(properties) if required is None else list(required)
    return {"type": "object", "properties": properties, "required": names}
