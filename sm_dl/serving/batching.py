"""The model's thread: requests of several clients share one `predict`, in the order they came.

A request that finds the model idle starts at once. While the model is busy requests gather, and
the next `predict` takes as many as fit: by number, and by the predictor's own weight of each.
Bodies are decoded and answers encoded in the same thread: beside a `predict` that is little, and
Python would not run it beside the model's own Python anyway.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from sm_dl.contract.codec import Predictor, Weighing
from sm_dl.serving.invoke import Call, Response, failed, text_response
from sm_dl.serving.settings import Settings
from sm_dl.serving.tasks import Task, answer, prepare

logger = logging.getLogger(__name__)


class Observer:
    """Is told what becomes of the model's thread; this one does not care."""

    def batch_begins(self, size: int) -> None:
        """One `predict` of so many requests begins."""

    def thread_stuck(self) -> None:
        """A thread is given up."""

    def model_lost(self) -> None:
        """Nothing will replace a stuck thread any more: the process should end."""


class Batcher:
    """One model and its thread. `submit` may be called from any thread, and never blocks."""

    def __init__(
        self,
        predictor: Predictor[Any, Any],
        settings: Settings | None = None,
        *,
        reload: Callable[[], Predictor[Any, Any]] | None = None,
        observer: Observer | None = None,
    ) -> None:
        """Start the thread.

        Args:
            predictor: The model, loaded.
            settings: Sizes and times.
            reload: Gives the same model once more, to go on with when a thread is stuck in it.
            observer: Told of batches and stuck threads.
        """
        self._settings = settings or Settings()
        self._reload = reload
        self._observer = observer or Observer()
        self._changed = threading.Condition()
        self._waiting: deque[Task] = deque()
        self._taken: list[Task] = []
        self._busy_since: float | None = None
        self._last_size, self._last_end = 1, 0.0
        self._given_up: list[threading.Thread] = []
        self._is_reloading = self._is_lost = False
        self._closing = threading.Event()
        self._use(predictor)
        self._start(self._work)
        self._watchdog = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._watchdog.start()

    @property
    def predictor(self) -> Predictor[Any, Any]:
        """Return the model; after a stuck thread it is another one of the same artifact."""
        return self._predictor

    @property
    def depth(self) -> int:
        """Return how many requests wait or are at work."""
        return len(self._waiting) + sum(not task.future.done() for task in self._taken)

    @property
    def is_healthy(self) -> bool:
        """Return whether requests get answers: the model is neither stuck nor loading anew."""
        return not (self._is_lost or self._is_reloading or self._is_overdue())

    def submit(self, call: Call) -> Future[Response]:
        """Return the answer to come. The future never raises; without room it is a 503."""
        task = Task(call)
        with self._changed:
            if refusal := self.refusal():
                task.settle(refusal)
            else:
                self._waiting.append(task)
                self._changed.notify_all()
        return task.future

    def refusal(self) -> Response | None:
        """Return the 503 that a call would get now, before anybody reads its body."""
        if self._closing.is_set() or self._is_lost:
            return unavailable("The model is not available.")
        if self.depth >= self._settings.max_waiting:
            return unavailable(f"The server is busy: {self.depth} requests wait already.")
        return None

    def close(self, timeout_s: float) -> bool:
        """Return whether every thread has ended, after what was submitted, within the time."""
        with self._changed:
            self._closing.set()
            self._changed.notify_all()
        deadline = time.monotonic() + timeout_s
        threads = (self._thread, self._watchdog, *self._given_up)
        return all(has_left(thread, deadline) for thread in threads)

    def _use(self, predictor: Predictor[Any, Any]) -> None:
        self._predictor = predictor
        self._weigher = predictor if isinstance(predictor, Weighing) else None

    def _start(self, work: Callable[[], None]) -> None:
        """Start a daemon: a `predict` that never returns must not keep the process alive."""
        self._thread = threading.Thread(target=work, name="model", daemon=True)
        self._thread.start()

    # In the model's thread. One that was given up and yet returns finds itself replaced.

    def _is_replaced(self) -> bool:
        return threading.current_thread() is not self._thread

    def _work(self) -> None:
        while tasks := self._take():
            self._answer(tasks)
            self._last_size, self._last_end = len(tasks), time.monotonic()

    def _take(self) -> list[Task]:
        """Return the next batch, decoded; an empty one when the thread is to end."""
        batch: list[Task] = []
        weight = 0
        while len(batch) < self._settings.max_batch and (task := self._next(may_wait=not batch)):
            if not task.is_prepared and not prepare(self._predictor, task):
                continue
            if self._weigher:
                weight += self._weigher.weight(task.request)
                if batch and weight > self._weigher.max_weight:
                    self._put_back(task)
                    break
            batch.append(task)
        return batch

    def _next(self, *, may_wait: bool) -> Task | None:
        """Return the first that waits and is still wanted; None: there is none, or no more."""
        with self._changed:
            while not self._is_replaced():
                if may_wait:
                    self._wait()
                if not self._waiting:
                    return None
                task = self._waiting.popleft()
                if time.monotonic() - task.came_at > self._settings.predict_s:
                    task.settle(unavailable("The request waited for the model for too long."))
                elif task.future.running() or task.future.set_running_or_notify_cancel():
                    self._taken.append(task)
                    self._busy_since = self._busy_since or time.monotonic()
                    return task
        return None

    def _put_back(self, task: Task) -> None:
        with self._changed:
            if task in self._taken:
                self._taken.remove(task)
                self._waiting.appendleft(task)

    def _wait(self) -> None:
        """Wait for a request, and just after a batch of several a moment longer for as many.

        The clients of that batch are about to ask again. A lone client is never kept waiting.
        """
        self._taken, self._busy_since = [], None
        wait_until = self._last_end + self._settings.batch_wait_s
        while not self._closing.is_set() and not self._is_replaced():
            wait_s = wait_until - time.monotonic()
            if len(self._waiting) >= self._last_size or (self._waiting and wait_s <= 0):
                return
            self._changed.wait(wait_s if self._waiting else None)

    def _answer(self, tasks: Sequence[Task]) -> None:
        """Settle every task. When a batch fails each is tried alone: one bad request is one 500."""
        if self._is_replaced():
            return
        self._busy_since = time.monotonic()
        self._observer.batch_begins(len(tasks))
        try:
            answer(self._predictor, tasks)
        except BaseException as error:  # noqa: BLE001 - SystemExit, too, must not end the thread
            if len(tasks) == 1:
                tasks[0].settle(failed(tasks[0].call, error))
                return
            for task in tasks:
                self._answer([task])

    # In the watchdog's thread.

    def _is_overdue(self) -> bool:
        since = self._busy_since
        return since is not None and time.monotonic() - since > self._settings.predict_s

    def _watch(self) -> None:
        while not self._closing.wait(self._settings.predict_s / 10):
            if self._is_overdue():
                self._give_up()

    def _give_up(self) -> None:
        """Answer what the stuck thread holds, and go on with a new thread and the model anew."""
        with self._changed:
            stuck, self._taken, self._busy_since = self._taken, [], None
            self._given_up.append(self._thread)
            num_stuck, max_stuck = len(self._given_up), self._settings.max_stuck
            reload = self._reload if num_stuck < max_stuck else None
            if reload:
                self._is_reloading = True
                self._start(partial(self._begin_anew, reload))
        for task in stuck:
            within = f"{self._settings.predict_s:g} s"
            task.settle(failed(task.call, TimeoutError(f"predict did not return within {within}")))
        self._observer.thread_stuck()
        logger.error("the model is stuck, time %d of %d", num_stuck, max_stuck)
        if not reload:
            self._lose()

    def _begin_anew(self, reload: Callable[[], Predictor[Any, Any]]) -> None:
        """Load in the new thread: the old model may still be in the hands of the old one."""
        try:
            self._use(reload())
        except BaseException:
            logger.exception("the model cannot be loaded again")
            self._lose()
            return
        self._is_reloading = False
        self._work()

    def _lose(self) -> None:
        with self._changed:
            self._is_lost = True
            waiting, self._waiting = self._waiting, deque()
        for task in waiting:
            task.settle(unavailable("The model is not available."))
        self._observer.model_lost()


def has_left(thread: threading.Thread, deadline: float) -> bool:
    """Return whether a thread has ended by a time, for the system too.

    `join` returns while the thread's C++ objects are still being taken down; a process that exits
    just then takes down what they use, and aborts (seen in 7 of 60 transforms).
    """
    thread.join(max(0.0, deadline - time.monotonic()))
    task = Path(f"/proc/self/task/{thread.native_id}")
    while not thread.is_alive() and task.exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return not thread.is_alive()


def unavailable(reason: str) -> Response:
    """Return the answer of a server that could not even begin."""
    return text_response(HTTPStatus.SERVICE_UNAVAILABLE, f"{reason} Send the request again later.")
