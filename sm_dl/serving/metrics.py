"""What an operator watches, in Prometheus' text format."""

from collections.abc import Callable

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

from sm_dl.serving.batching import Observer

CONTENT_TYPE = CONTENT_TYPE_LATEST
LATENCY_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32)


class Metrics(Observer):
    """Counters of one server; each server has a registry of its own."""

    def __init__(self, on_model_lost: Callable[[], None] = lambda: None) -> None:
        """Start at zero."""
        self._registry = CollectorRegistry()
        self._on_model_lost = on_model_lost
        self._answers: dict[int, Counter] = {}
        self._statuses = Counter(
            "sm_dl_requests", "Invocations answered.", ["status"], registry=self._registry
        )
        self._seconds = Histogram(
            "sm_dl_request_seconds",
            "From the headers of an invocation to its answer.",
            buckets=LATENCY_BUCKETS_S,
            registry=self._registry,
        )
        self._sizes = Histogram(
            "sm_dl_batch_requests",
            "Requests of one predict.",
            buckets=BATCH_BUCKETS,
            registry=self._registry,
        )
        self._in_flight = Gauge(
            "sm_dl_requests_in_flight", "Invocations not yet answered.", registry=self._registry
        )
        self._stuck = Counter(
            "sm_dl_stuck_threads", "Model threads given up.", registry=self._registry
        )
        self._depth = Gauge(
            "sm_dl_queue_requests", "Requests that wait or are at work.", registry=self._registry
        )

    def watch_depth(self, depth: Callable[[], int]) -> None:
        """Ask `depth` for the length of the queue whenever somebody reads the metrics."""
        self._depth.set_function(depth)

    def begin(self) -> None:
        """One invocation has come."""
        self._in_flight.inc()

    def end(self, status: int, seconds: float) -> None:
        """One invocation has been answered."""
        self._in_flight.dec()
        counter = self._answers.get(status)
        if counter is None:  # looking a label up costs more than counting
            counter = self._answers[status] = self._statuses.labels(str(status))
        counter.inc()
        self._seconds.observe(seconds)

    def batch_begins(self, size: int) -> None:
        """One `predict` of so many requests begins."""
        self._sizes.observe(size)

    def thread_stuck(self) -> None:
        """A thread is given up."""
        self._stuck.inc()

    def model_lost(self) -> None:
        """Nothing will replace a stuck thread any more."""
        self._on_model_lost()

    def text(self) -> bytes:
        """Return everything, as of now."""
        return generate_latest(self._registry)
