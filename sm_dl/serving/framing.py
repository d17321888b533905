"""Where requests begin and end on a connection: one strict reading of HTTP/1.1, in bounded time.

llhttp, the parser below, refuses most of what two readers of one stream could take differently.
What it and uvicorn let pass is refused here: trailers (they would become headers of a request that
is at work already), transfer codings beside `chunked`, versions without this framing, a request
without exactly one Host, heads and chunk extensions without end, bodies under an offer to upgrade.
"""

from asyncio import BaseTransport, TimerHandle
from enum import Enum, auto
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from sm_dl.serving.settings import Settings

MAX_HEAD_BYTES = 64 * 1024
FRAMING_PER_BYTE = 8
"""Bytes of chunk sizes and line ends allowed for each byte of a body: one-byte chunks take 5."""
MAX_PIPELINED = 16
"""Requests of one connection that may wait for the answer of an earlier one."""
LINGER_BYTES = 64 * 1024 * 1024
"""Read and dropped after an early answer: a client still sending sees it, not a reset."""
LINGER_S = 2
VERSIONS = ("1.0", "1.1")


class _Stage(Enum):
    IDLE = auto()
    HEAD = auto()
    BODY = auto()


class _Refusal(Exception):  # noqa: N818 - the stream cannot be trusted from here on; no error of ours
    def __init__(self, sentence: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(sentence)
        self.status = status


class StrictProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, settings: Settings, **arguments: Any) -> None:  # noqa: ANN401 - uvicorn's own
        """Begin idle."""
        super().__init__(**arguments)
        self._settings = settings
        self._stage = _Stage.IDLE
        self.stage_began = self.loop.time()
        """When it began to be idle, or to read the head or the body it is reading."""
        self._timer: TimerHandle | None = None
        self._refusal: _Refusal | None = None
        self._head_bytes = self._body_bytes = self._framing_bytes = self._dropped_bytes = 0

    # The transport's events.

    def connection_made(self, transport: BaseTransport) -> None:
        """Make room for the connection, or refuse it."""
        super().connection_made(transport)  # type: ignore[arg-type]  # uvicorn narrows it
        self._wait_idly()
        if len(self.connections) > self._settings.max_connections and not self._evict_another():
            self._refuse(_Refusal("Too many connections.", HTTPStatus.SERVICE_UNAVAILABLE))

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks."""
        self._stop_timer()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, and refuse what cannot be read or has no end."""
        if self._refusal:
            return
        self._unset_keepalive_if_required()
        self._framing_bytes += len(data)
        try:
            self._feed(data)
            self._check_sizes()
        except _Refusal as refusal:
            self._refuse(refusal)
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            unreadable = _Refusal("The request line cannot be read.")
            self._refuse(cause if isinstance(cause, _Refusal) else unreadable)
        except httptools.HttpParserError as error:
            self._refuse(_Refusal(f"This is not HTTP/1.1: {error}."))
        else:
            self._set_timer()

    def _feed(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:  # not taken: what follows is HTTP/1.1
                data = data[offer.args[0] :]
            else:
                return

    # The parser's events.

    def on_message_begin(self) -> None:
        """Begin to read a head."""
        super().on_message_begin()
        self._enter(_Stage.HEAD)
        self._head_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header, unless it comes after the body."""
        if self._stage is _Stage.BODY:
            raise _Refusal("Trailers are not accepted; send them as headers.")
        self._head_bytes += len(name) + len(value)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the request, if its framing can be read in one way only."""
        self._check_head()
        super().on_headers_complete()
        self._enter(_Stage.BODY)
        self._body_bytes = self._dropped_bytes = 0
        if len(self.pipeline) > MAX_PIPELINED:
            raise _Refusal("Too many requests before the first answer.")

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body, or drop it when the answer has been given without it."""
        self._body_bytes += len(body)
        self._framing_bytes -= len(body)
        if self.cycle.response_complete:
            self._dropped_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Be ready for the next request."""
        super().on_message_complete()
        self._enter(_Stage.IDLE)
        self._framing_bytes = 0

    def on_response_complete(self) -> None:
        """Close after an answer that came before a body the client waits to be asked for."""
        super().on_response_complete()
        if self._stage is _Stage.BODY and self.expect_100_continue and not self._body_bytes:
            self.transport.close()  # will it come or not? the next byte could mean either
        if self.transport.is_closing() and self.transport.get_write_buffer_size():
            self.loop.call_later(self._settings.idle_s, self.transport.abort)  # if never read

    def timeout_keep_alive_handler(self) -> None:
        """End a connection on which nothing is asked, also when its last answer is not read."""
        self.transport.abort()

    # Strictness.

    def _check_head(self) -> None:
        if self._head_bytes + len(self.url) > MAX_HEAD_BYTES:
            raise _too_large_head()
        version = self.parser.get_http_version()
        if version not in VERSIONS:
            raise _Refusal("This server speaks HTTP/1.1 only.")
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (version == "1.1" and not hosts):
            raise _Refusal("Expected exactly one Host header.")
        codings = [value.lower() for name, value in self.headers if name == b"transfer-encoding"]
        if codings and (codings != [b"chunked"] or version == "1.0"):
            raise _Refusal("Transfer-Encoding: expected chunked alone, in HTTP/1.1.")
        lengths = [value for name, value in self.headers if name == b"content-length"]
        if self.parser.should_upgrade() and (
            codings or any(value.strip(b"0") for value in lengths)
        ):
            raise _Refusal("Upgrade: no other protocol is spoken here; leave the header out.")

    def _check_sizes(self) -> None:
        if self._stage is _Stage.HEAD and self._framing_bytes > MAX_HEAD_BYTES:
            raise _too_large_head()
        if self._framing_bytes > MAX_HEAD_BYTES + FRAMING_PER_BYTE * self._body_bytes:
            raise _Refusal("The chunks of the body carry hardly any data.")
        if self._dropped_bytes > LINGER_BYTES:
            self.transport.abort()

    def _refuse(self, refusal: _Refusal) -> None:
        """Read no further. Answer, unless an earlier request has to be answered first."""
        self._refusal = refusal
        self._stop_timer()
        cycle = self.cycle
        is_answering = cycle is not None and not cycle.response_complete
        if self.pipeline or (cycle is not None and self._stage is _Stage.BODY and not is_answering):
            self.transport.abort()  # there is no place for an answer that belongs to this request
            return
        if is_answering and self._stage is not _Stage.BODY:  # what follows a whole one is broken
            cycle.keep_alive = False
            return
        if is_answering:
            cycle.disconnected = True
            cycle.message_event.set()
        text = str(refusal).encode()
        is_full = refusal.status is HTTPStatus.SERVICE_UNAVAILABLE
        self.transport.write(
            STATUS_LINE[refusal.status]
            + b"content-type: text/plain; charset=utf-8\r\nconnection: close\r\n"
            + (b"retry-after: 1\r\n" if is_full else b"")
            + b"content-length: %d\r\n\r\n%b" % (len(text), text)
        )
        self.transport.write_eof()  # and read on for a moment, or a reset may overtake the answer
        self.loop.call_later(LINGER_S, self.transport.abort)

    # Time.

    def _enter(self, stage: _Stage) -> None:
        self._stage = stage
        self.stage_began = self.loop.time()
        self._stop_timer()

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self) -> None:
        """Start the clock for a request that has not come whole; most have."""
        if self._stage is not _Stage.IDLE:
            if self._timer is None:
                self._timer = self.loop.call_later(self._left_s(), self._time_is_over)
        elif self.is_idle:  # empty lines are no request
            self._wait_idly()

    def _left_s(self) -> float:
        allowed_s = self._settings.head_s
        if self._stage is _Stage.BODY:
            per_byte_s = 1 / self._settings.body_bytes_per_s
            allowed_s = self._settings.body_s + self._body_bytes * per_byte_s
        return self.stage_began + allowed_s - self.loop.time()

    def _time_is_over(self) -> None:
        self._timer = None
        if self.flow.read_paused:  # we let the client wait, not it us
            self.stage_began = self.loop.time()
        if self._left_s() > 0:
            self._set_timer()
        else:
            what = "headers" if self._stage is _Stage.HEAD else "body"
            self._refuse(_Refusal(f"The {what} came too slowly.", HTTPStatus.REQUEST_TIMEOUT))

    # Room.

    def _wait_idly(self) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            self._settings.idle_s, self.timeout_keep_alive_handler
        )

    @property
    def is_idle(self) -> bool:
        """Return whether nobody would miss an answer if this connection were closed."""
        is_answered = self.cycle is None or self.cycle.response_complete
        return is_answered and self._stage is not _Stage.BODY and not self.transport.is_closing()

    def _evict_another(self) -> bool:
        """Return whether a connection that nobody would miss has been closed: the oldest."""
        idle = [
            other
            for other in self.connections
            if isinstance(other, StrictProtocol) and other is not self and other.is_idle
        ]
        if idle:
            min(idle, key=lambda other: other.stage_began).transport.abort()
        return bool(idle)


def _too_large_head() -> _Refusal:
    return _Refusal(
        f"The headers are longer than {MAX_HEAD_BYTES} bytes.",
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    )
