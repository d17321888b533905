"""One call on its way through the model, and the steps that a whole batch of them takes."""

import time
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from sm_dl.contract.codec import Predictor
from sm_dl.serving.invoke import (
    Call,
    RefusedError,
    Response,
    Terms,
    agree,
    decode,
    encode,
    failed,
)


@dataclass(eq=False)
class Task:
    """One call, what is known of it by now, and the answer to come."""

    call: Call
    came_at: float = field(default_factory=time.monotonic)
    future: Future[Response] = field(default_factory=Future)
    terms: Terms | None = None
    request: Any = None

    @property
    def is_prepared(self) -> bool:
        """Return whether its body has been decoded."""
        return self.terms is not None

    def settle(self, response: Response) -> None:
        """Answer, unless the client has gone or the watchdog has answered before."""
        with suppress(InvalidStateError):
            self.future.set_result(response)


def prepare(predictor: Predictor[Any, Any], task: Task) -> bool:
    """Return whether there is something to predict; if not, the task is answered."""
    try:
        terms = agree(predictor, task.call)
        if not task.call.body:
            task.settle(Response(HTTPStatus.NO_CONTENT))
            return False
        task.request = decode(predictor, task.call, terms)
        task.terms = terms
    except RefusedError as refused:
        task.settle(refused.response)
        return False
    except BaseException as error:  # noqa: BLE001 - SystemExit, too, must not end the model's thread
        task.settle(failed(task.call, error))
        return False
    return True


def answer(predictor: Predictor[Any, Any], tasks: Sequence[Task]) -> None:
    """Settle prepared tasks by one `predict`.

    Raises:
        BaseException: Whatever the model raised; then no task is settled.
    """
    answers = predictor.predict([task.request for task in tasks])
    if len(answers) != len(tasks):
        raise ValueError(f"predict gave {len(answers)} answers to {len(tasks)} requests")
    for task, one in zip(tasks, answers, strict=True):
        if task.terms is None:
            raise TypeError("a task must be prepared before it is answered")
        try:
            task.settle(encode(predictor, one, task.terms))
        except BaseException as error:  # noqa: BLE001 - the others have their answers
            task.settle(failed(task.call, error))
