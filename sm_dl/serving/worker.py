"""The one thread in which a model runs."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")


class Worker:
    """A thread that does one piece of work after the other, in the order they came.

    It is a daemon: a `predict` that never returns must not keep the process alive.
    """

    def __init__(self) -> None:
        """Start the thread."""
        self._tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Return the result of `work`, to come. Work cancelled before its turn is not begun."""
        future: Future[T] = Future()

        def task() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(work())
            except Exception as error:  # noqa: BLE001 - it belongs to whoever waits for the result
                future.set_exception(error)
            except BaseException as error:  # noqa: BLE001 - an event loop that meets SystemExit stops
                failure = RuntimeError(f"the model raised {type(error).__name__}")
                failure.__cause__ = error
                future.set_exception(failure)

        self._tasks.put(task)
        return future

    def stop(self, timeout_s: float) -> bool:
        """Return whether the thread has ended, after what was submitted, within the time."""
        self._tasks.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while task := self._tasks.get():
            task()
