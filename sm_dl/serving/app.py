"""The routes of the contract, sections 5 and 5.1.

The event loop only frames bytes: `/ping` is answered while models are busy, and while they load.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from http import HTTPStatus

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response as HTTPResponse
from starlette.routing import Route

from sm_dl.content_types import JSON
from sm_dl.errors import shown
from sm_dl.serving import metrics, openapi
from sm_dl.serving.batching import Batcher, unavailable
from sm_dl.serving.exchange import Exchange, http_response
from sm_dl.serving.invoke import RefusedError, text_response
from sm_dl.serving.models import THE_MODEL, Models
from sm_dl.serving.settings import Settings

MODELS_PER_PAGE = 100
LARGEST_ORDER_BYTES = 16 * 1024
"""Of the body that asks for a model to be loaded."""


def build_app(models: Models, settings: Settings, counters: metrics.Metrics) -> Starlette:
    """Return the application: of the one model, or of many when the settings say so."""
    counters.watch_depth(lambda: models.depth)
    server = _Server(models, settings, counters)
    routes = [
        Route("/ping", server.ping, methods=["GET"]),
        Route("/execution-parameters", server.execution_parameters, methods=["GET"]),
        Route("/metrics", server.metrics, methods=["GET"]),
        Route("/openapi.json", server.openapi, methods=["GET"]),
    ]
    if settings.is_multi_model:
        routes += [
            Route("/models", server.list_models, methods=["GET"]),
            Route("/models", server.load_model, methods=["POST"]),
            Route("/models/{name}", server.describe_model, methods=["GET"]),
            Route("/models/{name}", server.unload_model, methods=["DELETE"]),
            Route("/models/{name}/invoke", server.invoke_model, methods=["POST"]),
        ]
    else:
        routes.insert(0, Route("/invocations", server.invocations, methods=["POST"]))
    app = Starlette(
        routes=routes,
        exception_handlers={HTTPException: _not_here, RefusedError: _refused},  # type: ignore[dict-item]
    )
    app.router.redirect_slashes = False  # a redirect would repeat what the client called our host
    return app


class _Server:
    """The handlers."""

    def __init__(self, models: Models, settings: Settings, counters: metrics.Metrics) -> None:
        self._models = models
        self._settings = settings
        self._metrics = counters
        self._exchange = Exchange(settings, counters)

    async def ping(self, _request: Request) -> HTTPResponse:
        """Return 200 while requests would be answered; 503 while a model loads or is stuck."""
        if self._models.is_healthy:
            return HTTPResponse()
        return http_response(unavailable("The model is being loaded, or it is stuck."))

    async def execution_parameters(self, _request: Request) -> HTTPResponse:
        """Return what batch transform should use when its user does not say."""
        return _json(self._settings.execution_parameters())

    async def metrics(self, _request: Request) -> HTTPResponse:
        """Return the counters."""
        return HTTPResponse(self._metrics.text(), media_type=metrics.CONTENT_TYPE)

    async def openapi(self, _request: Request) -> HTTPResponse:
        """Return the description of this server."""
        return _json(openapi.document(self._models, self._settings))

    async def invocations(self, request: Request) -> HTTPResponse:
        """Return the answer of the one model."""
        return await self._exchange.answer(request, self._models.get(THE_MODEL))

    async def invoke_model(self, request: Request) -> HTTPResponse:
        """Return the answer of one of many models."""
        return await self._exchange.answer(request, self._loaded(request))

    async def list_models(self, request: Request) -> HTTPResponse:
        """Return one page of models; its token is the last name of the page before."""
        after = request.query_params.get("next_page_token", "")
        rest = [(name, url) for name, url in self._models.urls() if name > after]
        page = rest[:MODELS_PER_PAGE]
        answer: dict[str, object] = {"models": [_description(*entry) for entry in page]}
        if len(rest) > len(page):
            answer["nextPageToken"] = page[-1][0]
        return _json(answer)

    async def load_model(self, request: Request) -> HTTPResponse:
        """Load a model beside the event loop."""
        name, url = await _order(request)
        await _aside(partial(self._models.add_for_client, name, url))
        return HTTPResponse()

    async def describe_model(self, request: Request) -> HTTPResponse:
        """Return the name and the directory of one model."""
        name = request.path_params["name"]
        self._loaded(request)
        return _json(_description(name, self._models.url(name) or ""))

    async def unload_model(self, request: Request) -> HTTPResponse:
        """Forget a model once what it holds is answered."""
        self._loaded(request)
        await _aside(partial(self._models.remove, request.path_params["name"]))
        return HTTPResponse()

    def _loaded(self, request: Request) -> Batcher:
        name = request.path_params["name"]
        batcher = self._models.get(name)
        if batcher is None:
            raise RefusedError(
                HTTPStatus.NOT_FOUND, f"Model {shown(name)} is not loaded. POST /models loads it."
            )
        return batcher


async def _aside(work: Callable[[], object]) -> None:
    """Wait for work in a thread of its own: at the end the event loop would wait for its own ones."""
    future: Future[None] = Future()

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits
            future.set_exception(error)
        else:
            future.set_result(None)

    future.set_running_or_notify_cancel()
    threading.Thread(target=run, name="models", daemon=True).start()
    await asyncio.wrap_future(future)


async def _order(request: Request) -> tuple[str, str]:
    """Return name and directory of the model that a client wants loaded.

    Raises:
        RefusedError: 400: the body does not say so.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_ORDER_BYTES:
            break
    try:
        match orjson.loads(body[:LARGEST_ORDER_BYTES]):
            case {"model_name": str(name), "url": str(url)}:
                return name, url
    except orjson.JSONDecodeError:
        pass
    raise RefusedError(
        HTTPStatus.BAD_REQUEST,
        f"Body: expected a JSON object with the texts model_name and url; got {shown(body[:80])}. "
        "Name the model and its directory.",
    )


def _description(name: str, url: str) -> dict[str, str]:
    return {"modelName": name, "modelUrl": url}


def _json(value: object) -> HTTPResponse:
    return HTTPResponse(orjson.dumps(value), media_type=JSON)


async def _refused(_request: Request, refused: RefusedError) -> HTTPResponse:
    return http_response(refused.response)


async def _not_here(_request: Request, error: HTTPException) -> HTTPResponse:
    """Return 404 or 405 as a sentence; the headers say which methods there are."""
    sentence = (
        "There is nothing at this path. GET /openapi.json lists what there is."
        if error.status_code == HTTPStatus.NOT_FOUND
        else "This path has other methods, named by the header Allow."
    )
    response = http_response(text_response(HTTPStatus(error.status_code), sentence))
    response.headers.update(error.headers or {})
    return response
