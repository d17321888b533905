"""Work done ahead of its reader by threads, handed over in order, in bounded memory."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

THREADS = "loader"
"""What the names of the threads begin with."""


def in_order(
    work: Callable[[T], R], tasks: Iterable[T], *, num_threads: int, num_ahead: int
) -> Generator[R, None, None]:
    """Yield `work(task)` for each task, in the order of the tasks.

    The threads end with the iterator: when it is exhausted, closed, or nobody refers to it any
    more: a traceback refers to it, so close it where errors may pass. What `work` raises is raised
    where its result would have come.

    Args:
        work: Called in the threads; worth it where it spends its time outside of Python.
        tasks: Read by the caller's thread, `num_ahead` tasks ahead of what it has got.
        num_threads: 0 does the work in the caller's thread, when a result is asked for.
        num_ahead: The most tasks that are begun before their turn; so many results are held.
    """
    if not num_threads:
        yield from map(work, tasks)
        return
    waiting: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(num_threads, thread_name_prefix=THREADS)
    try:
        for task in tasks:
            waiting.append(pool.submit(work, task))
            if len(waiting) > num_ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
