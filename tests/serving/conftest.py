"""A model that doubles numbers, and a way to ask a server about it."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import orjson
import pytest
import uvicorn
from starlette.applications import Starlette

from sm_dl.content_types import JSON, JSON_LINES, MediaType
from sm_dl.errors import UserError, shown
from sm_dl.serving import process
from sm_dl.serving.app import build_app
from sm_dl.serving.metrics import Metrics
from sm_dl.serving.models import THE_MODEL, Models
from sm_dl.serving.settings import Settings

UNLUCKY = 13
"""The number on which `predict` fails."""


class Doubler:
    """Doubles a JSON list of numbers, or one number per line."""

    request_types = (JSON, JSON_LINES)
    answer_types = (JSON, JSON_LINES)

    def __init__(self, before_predict: Callable[[], object] = int) -> None:
        self._before_predict = before_predict

    def answer_type_for(self, request_type: str) -> str:
        return request_type

    def decode(self, body: bytes, media: MediaType) -> list[float]:
        try:
            values = (
                orjson.loads(body)
                if media.name == JSON
                else [*map(orjson.loads, body.splitlines())]
            )
        except orjson.JSONDecodeError:
            raise UserError("body: expected JSON; send numbers.") from None
        if not isinstance(values, list) or not all(
            isinstance(value, int | float) for value in values
        ):
            raise UserError(f"body: expected numbers; got {shown(values)}.")
        return values

    def predict(self, requests: Sequence[list[float]]) -> Sequence[list[float]]:
        self._before_predict()
        if any(UNLUCKY in request for request in requests):
            raise RuntimeError("/secret/path")
        return [[2 * value for value in request] for request in requests]

    def encode(self, answer: list[float], media_type: str) -> bytes:
        return orjson.dumps(answer) if media_type == JSON else b"\n".join(map(orjson.dumps, answer))


Send = Callable[..., httpx.Response]
MakeApp = Callable[..., Starlette]


@pytest.fixture
def doubler() -> Doubler:
    return Doubler()


@pytest.fixture
def make_doubler() -> type[Doubler]:
    return Doubler


@pytest.fixture
def make_app() -> Iterator[MakeApp]:
    with closing_apps() as make:
        yield make


@pytest.fixture(scope="module")
def make_shared_app() -> Iterator[MakeApp]:
    with closing_apps() as make:
        yield make


@contextmanager
def closing_apps() -> Iterator[MakeApp]:
    made = []

    def make(predictor: Doubler | None = None, **values: object) -> Starlette:
        settings, metrics = Settings(**values), Metrics()  # type: ignore[arg-type]
        models = Models(lambda _: predictor or Doubler(), settings, metrics)
        made.append(models)
        if not settings.is_multi_model:
            models.add(THE_MODEL, Path())
        return build_app(models, settings, metrics)

    yield make
    assert all(models.close(timeout_s=5) for models in made)


@pytest.fixture(scope="session")
def live() -> Callable[..., AbstractContextManager[int]]:
    """Return a way to serve an application on the loopback interface, and to get its port."""

    @contextmanager
    def serve(app: Starlette, **values: object) -> Iterator[int]:
        config = process._config(app, Settings(**values))  # type: ignore[arg-type]
        server = uvicorn.Server(config)
        with process.listen("127.0.0.1", 0) as listening:
            port = listening.getsockname()[1]
            thread = threading.Thread(target=server.run, args=([listening],))
            thread.start()
            try:
                yield port
            finally:
                server.should_exit = server.force_exit = True
                thread.join(10)
                assert not thread.is_alive()

    return serve


@pytest.fixture
def send() -> Send:
    def send_one(app: Starlette, method: str, path: str, **content: object) -> httpx.Response:
        async def exchange() -> httpx.Response:
            async with client(app) as http:
                return await http.request(method, path, **content)  # type: ignore[arg-type]

        return asyncio.run(exchange())

    return send_one


@pytest.fixture(name="client")
def client_fixture() -> Callable[[Starlette], httpx.AsyncClient]:
    return client


def client(app: Starlette) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://server")
