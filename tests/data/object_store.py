"""An object store on this machine (moto's server), and ways to make it fail."""

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import s3fs
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
ERROR = '<?xml version="1.0"?><Error><Code>{code}</Code><Message>{code}, says the store</Message></Error>'


class FaultyStore:
    """A store whose answers can be replaced or cut; everything else is moto's own work."""

    def __init__(self) -> None:
        self._moto: Application = DomainDispatcherApplication(create_backend_app)
        self._faults: list[tuple[re.Pattern[str], int, Callable[..., Iterable[bytes]]]] = []
        self.requests: list[str] = []
        self.address = ""

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables that point a process to this store."""
        return {
            "AWS_ENDPOINT_URL_S3": self.address,
            "AWS_ACCESS_KEY_ID": "somebody",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def use(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Begin anew, and point this process here for the time of a test."""
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()  # it remembers another test's environment
        self.reset()

    def reset(self) -> None:
        """Begin anew: one empty bucket `bkt`, no faults."""
        self._faults.clear()
        self.requests.clear()
        self.backend.reset()
        self.backend.create_bucket("bkt", "us-east-1")

    @property
    def backend(self) -> Any:
        """Return what moto serves; filling it does not count as requests."""
        return s3_backends[DEFAULT_ACCOUNT_ID]["aws"]

    def put(self, key: str, content: bytes) -> None:
        self.backend.put_object("bkt", key, content)

    def refuse(self, request: str, code: str, status: int, times: int = 1_000) -> None:
        """Answer requests that match `METHOD path` with an error of S3."""

        def refused(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
            start(f"{status} {code}", [("Content-Type", "application/xml")])
            is_head = environ["REQUEST_METHOD"] == "HEAD"  # has no body, so S3 tells no code
            return [] if is_head else [ERROR.format(code=code).encode()]

        self._faults.append((re.compile(request), times, refused))

    def cut(self, request: str, num_bytes: int, times: int = 1_000) -> None:
        """Answer matching requests, but close the connection after some bytes of the body."""

        def shortened(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
            body = b"".join(self._moto(environ, start))
            yield body[:num_bytes]
            environ["werkzeug.socket"].close()

        self._faults.append((re.compile(request), times, shortened))

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        asked = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
        self.requests.append(asked)
        for index, (pattern, times, answer) in enumerate(self._faults):
            if times and pattern.search(asked):
                self._faults[index] = (pattern, times - 1, answer)
                return answer(environ, start)
        return self._moto(environ, start)


@contextmanager
def running_store() -> Iterator[FaultyStore]:
    """Serve a store on the loopback interface and yield it."""
    store = FaultyStore()
    server = make_server("127.0.0.1", 0, store, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    store.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield store
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
