"""A stream that can be read once, such as a pipe, for all processes of a host: one reads, each gets its part.

Nobody reads ahead for the others: a batch is read when the first process asks for it, and the other
parts wait in the reading process until they are asked for. So processes may be some batches apart and
never wait for each other, and what is held is as much as they are apart.

Parts go over a Unix socket, and not over the processes' group: its collectives must be entered by
all in the same order, while each process asks when its own loader has room.
"""

import secrets
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Generic, TypeVar

import orjson

from sm_dl.engine import machine
from sm_dl.engine.gathering import numbers_of_all
from sm_dl.engine.place import Place
from sm_dl.errors import AlgorithmError, LostProcessError, PlatformError, UserError

T = TypeVar("T")
Shares = Callable[[range], Iterator[Sequence[T]]]
"""Begins a pass for some ranks, and yields their parts of each batch in the order of the ranks."""

PART, END, FAILURE = b"p", b"e", b"f"
ERRORS = {one.__name__: one for one in (UserError, PlatformError, AlgorithmError)}
TELL_S = 5.0
"""How long the reading process waits, before it fails, for the others to hear of it."""


class OneReader(Generic[T]):
    """The processes of a host and the one of them, local rank 0, that reads a stream."""

    def __init__(
        self, name: str, encode: Callable[[T], bytes], decode: Callable[[bytes], T]
    ) -> None:
        """Remember how a part travels.

        Args:
            name: Of the channel, for errors.
            encode: Makes bytes of a part.
            decode: Makes a part of them.
        """
        self._name, self._encode, self._decode = name, encode, decode
        self._num_passes = 0
        self._source: _Source[T] | None = None
        self._connection: Connection | None = None

    def parts(self, place: Place, shares: Shares[T]) -> Iterator[T]:
        """Yield this process's part of each batch of one pass.

        All processes of a job come here as often, and in the same order if there are several
        readers; but one that trains alone by now (a world of 1) reads by itself.

        Args:
            place: Of this process.
            shares: Called where the stream is read, and nowhere else.
        Raises:
            JobError: What `shares` raises, the same in each process of the host.
            LostProcessError: The process that reads is gone.
        """
        if place.world_size == 1 or machine.processes_of_host() == 1:
            for (part,) in shares(range(place.rank, place.rank + 1)):
                yield part
            return
        if self._source is None and self._connection is None:
            self._meet(place)
        self._num_passes += 1
        if self._source is not None:
            yield from self._source.own_parts(self._num_passes, shares)
        else:
            yield from self._received(place)

    def _meet(self, place: Place) -> None:
        """Connect the processes of this host; all processes of the job must come here together."""
        local_rank, num_local = machine.local_rank(), machine.processes_of_host()
        ranks = range(place.rank - local_rank, place.rank - local_rank + num_local)
        number, listener = 0, None
        if local_rank == 0:
            number = secrets.randbits(62)
            listener = Listener(_address(number), "AF_UNIX", num_local, authkey=_key(number))
        number = numbers_of_all(number, place.device)[ranks[0]]
        if listener is None:
            try:
                self._connection = Client(_address(number), "AF_UNIX", authkey=_key(number))
                self._connection.send_bytes(str(local_rank).encode())
            except (OSError, EOFError) as error:
                raise self._lost(place) from error
        else:
            self._source = _Source(ranks, self._encode)
            threading.Thread(target=self._source.serve, args=(listener,), daemon=True).start()

    def _received(self, place: Place) -> Iterator[T]:
        connection = self._connection
        assert connection is not None  # noqa: S101 - for the type checker
        while True:
            try:
                connection.send_bytes(str(self._num_passes).encode())
                message = connection.recv_bytes()
            except (OSError, EOFError) as error:
                raise self._lost(place) from error
            kind, content = message[:1], message[1:]
            if kind == END:
                return
            if kind == FAILURE:
                name, text = orjson.loads(content)
                raise ERRORS.get(name, AlgorithmError)(text)
            yield self._decode(content)

    def _lost(self, place: Place) -> LostProcessError:
        return LostProcessError(
            f"channel {self._name}: process {place.rank} of {place.world_size} lost process "
            f"{place.rank - machine.local_rank()}, which reads the stream for this host; that one's log "
            "has the cause. Start the job again to go on from the last checkpoint."
        )


class _Source(Generic[T]):
    """The reading process's side: which parts each process of the host has still to get."""

    def __init__(self, ranks: range, encode: Callable[[T], bytes]) -> None:
        self._ranks, self._encode = ranks, encode
        self._waiting: list[deque[tuple[int, T]]] = [deque() for _ in ranks]
        """By local rank the parts that are read and not fetched, each with the number of its pass."""
        self._batches: Iterator[Sequence[T]] | None = None
        """What is left of the newest pass; None when it is over."""
        self._newest_pass = 0
        self._failure: Exception | None = None
        self._untold = set(range(1, len(ranks)))
        """Local ranks that have not heard of the failure."""
        self._reading = threading.Lock()
        self._changed = threading.Condition()

    def own_parts(self, number: int, shares: Shares[T]) -> Iterator[T]:
        """Begin a pass and yield the reading process's own parts.

        Raises:
            JobError: The stream cannot be read; the others have been told, unless they are stuck.
        """
        with self._reading, self._changed:
            self._newest_pass, self._batches = number, shares(self._ranks)
            self._changed.notify_all()
        try:
            while (part := self._next(0, number)) is not None:
                yield part
        except Exception:
            with self._changed:  # our end would look to them like the loss of a process
                self._changed.wait_for(lambda: not self._untold, TELL_S)
            raise

    def serve(self, listener: Listener) -> None:
        """Let the other processes in, and answer each in a thread of its own."""
        missing = len(self._untold)
        with listener:
            while missing:
                with suppress(AuthenticationError, EOFError, OSError):
                    connection = listener.accept()
                    local_rank = int(connection.recv_bytes())
                    threading.Thread(
                        target=self._serve_one, args=(connection, local_rank), daemon=True
                    ).start()
                    missing -= 1

    def _serve_one(self, connection: Connection, local_rank: int) -> None:
        with suppress(EOFError, OSError), connection:  # the process has ended
            while True:
                number = int(connection.recv_bytes())
                with self._changed:
                    self._changed.wait_for(lambda: self._newest_pass >= number)  # noqa: B023
                try:
                    part = self._next(local_rank, number)
                except Exception as error:  # noqa: BLE001 - it is raised on the other side
                    connection.send_bytes(FAILURE + _sentence(error))
                    break
                connection.send_bytes(END if part is None else PART + self._encode(part))
        with self._changed:
            self._untold.discard(local_rank)
            self._changed.notify_all()

    def _next(self, local_rank: int, number: int) -> T | None:
        """Return the next part of a process in a pass; None at its end."""
        part = self._fetched(local_rank, number)
        if part is None:
            with self._reading:
                part = self._fetched(local_rank, number)  # another one may have read it meanwhile
                if part is None and number == self._newest_pass:
                    self._read_batch()
                    part = self._fetched(local_rank, number)
        if part is None and self._failure is not None:
            raise self._failure
        return part

    def _fetched(self, local_rank: int, number: int) -> T | None:
        waiting = self._waiting[local_rank]
        while waiting and waiting[0][0] < number:  # of a pass that was left early
            waiting.popleft()
        return waiting.popleft()[1] if waiting and waiting[0][0] == number else None

    def _read_batch(self) -> None:
        if self._batches is None:
            return
        try:
            parts = next(self._batches, None)
        except Exception as error:  # noqa: BLE001 - each process raises it, after its last part
            self._batches, self._failure = None, error
            return
        if parts is None:
            self._batches = None
            return
        for waiting, part in zip(self._waiting, parts, strict=True):
            waiting.append((self._newest_pass, part))


def _sentence(error: Exception) -> bytes:
    """Return an error as JSON: which of ours it is, and its words."""
    for name, kind in ERRORS.items():
        if isinstance(error, kind):
            return orjson.dumps([name, str(error)])
    return orjson.dumps([AlgorithmError.__name__, f"{type(error).__name__}: {error}"])


def _address(number: int) -> str:
    return str(Path(tempfile.gettempdir()) / f"sm_dl-{number:016x}")


def _key(number: int) -> bytes:
    return b"%016x" % number
