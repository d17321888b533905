"""A model behind HTTP: what batch transform needs of a running container, of ours or of any other."""

import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from queue import SimpleQueue
from urllib.parse import urlsplit

import orjson

from sm_dl.errors import PlatformError, UserError, shown
from sm_dl.serving.invoke import Call, Response, text_response

MAX_ANSWER_BYTES = 1 << 28
"""Of one payload. Forecasts with samples are many times larger than the request."""
PARAMETERS_TIMEOUT_S = 10


class Remote:
    """One endpoint. No proxy and no redirect: the data go where the address says."""

    def __init__(self, address: str) -> None:
        """Remember the address.

        Raises:
            UserError: It is none of HTTP.
        """
        self._address = address
        try:
            parts = urlsplit(address)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or parts.query
            or parts.username
        ):
            raise UserError(
                f"--endpoint: expected an address such as http://127.0.0.1:8080; got {shown(address)}."
            )
        self._connect = partial(
            HTTPSConnection if parts.scheme == "https" else HTTPConnection, parts.hostname, port
        )
        self._path = parts.path.rstrip("/")

    def execution_parameters(self) -> Mapping[str, object]:
        """Return what the endpoint offers; nothing, when it does not know the question.

        Raises:
            PlatformError: Nobody answers.
        """
        connection = self._connect(timeout=PARAMETERS_TIMEOUT_S)
        try:
            connection.request("GET", f"{self._path}/execution-parameters")
            answer = connection.getresponse()
            body = answer.read(1 << 16)
            offered = orjson.loads(body) if answer.status == HTTPStatus.OK else {}
        except (OSError, HTTPException) as error:
            raise PlatformError(
                f"{self._address}: cannot be reached ({error}); start it, or give another --endpoint."
            ) from None
        except orjson.JSONDecodeError:
            offered = {}
        finally:
            connection.close()
        return offered if isinstance(offered, dict) else {}

    def post(self, call: Call, timeout_s: float) -> Response:
        """Return the answer to one call; what happens on the way becomes a status of 5xx."""
        connection = self._connect(timeout=timeout_s)
        headers = {"Content-Type": call.content_type, "Accept": call.accept}
        try:
            connection.request(
                "POST",
                f"{self._path}/invocations",
                call.body,
                {name: value for name, value in headers.items() if value is not None},
            )
            return self._response(connection.getresponse())
        except TimeoutError:
            return text_response(
                HTTPStatus.GATEWAY_TIMEOUT, f"{self._address}: no answer within {timeout_s:g} s."
            )
        except ValueError as error:  # a line break, or a letter that no header can hold
            return text_response(
                HTTPStatus.BAD_REQUEST, f"Content-Type or Accept: cannot be sent ({error})."
            )
        except (OSError, HTTPException) as error:
            return text_response(
                HTTPStatus.SERVICE_UNAVAILABLE, f"{self._address}: cannot be reached ({error})."
            )
        finally:
            connection.close()

    def _response(self, answer: HTTPResponse) -> Response:
        body = answer.read(MAX_ANSWER_BYTES + 1)
        if len(body) > MAX_ANSWER_BYTES:
            return text_response(
                HTTPStatus.BAD_GATEWAY,
                f"{self._address}: expected an answer of at most {MAX_ANSWER_BYTES} bytes; got more.",
            )
        if answer.length:  # `read` with a limit does not say that the connection broke
            return text_response(
                HTTPStatus.SERVICE_UNAVAILABLE, f"{self._address}: the answer is cut short."
            )
        if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
            return text_response(
                HTTPStatus.BAD_GATEWAY,
                f"{self._address}: answers with {answer.status}, a redirect.",
            )
        return Response(answer.status, body, answer.getheader("content-type"))


class RemoteCalls:
    """Sends so many calls at once. The threads are daemons: an endpoint may never answer."""

    def __init__(self, remote: Remote, num_threads: int, timeout_s: float) -> None:
        """Start the threads."""
        self._remote = remote
        self._timeout_s = timeout_s
        self._waiting: SimpleQueue[tuple[Future[Response], Call] | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._send, name="endpoint", daemon=True)
            for _ in range(num_threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, call: Call) -> Future[Response]:
        """Return the answer to one call, to come."""
        future: Future[Response] = Future()
        self._waiting.put((future, call))
        return future

    def close(self, timeout_s: float) -> bool:
        """Return whether every thread has ended, after what was submitted, within the time."""
        deadline = time.monotonic() + timeout_s
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join(max(0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _send(self) -> None:
        while waiting := self._waiting.get():
            future, call = waiting
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(self._remote.post(call, self._timeout_s))
                except Exception as error:  # noqa: BLE001 - it belongs to whoever waits
                    future.set_exception(error)
