"""What every test may need."""

import logging
from collections.abc import Iterator

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a file's tests in one of several test processes, the battery's by algorithm.

    What a file sets up once (a server, a trained model) is then set up once.
    """
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(str(item.path)))


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Return what the package logs, whatever a door has done to its logger."""
    logger = logging.getLogger("sm_dl")
    before = logger.handlers[:], logger.level, logger.propagate
    logger.handlers[:] = [caplog.handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
    yield caplog
    logger.handlers[:], logger.level, logger.propagate = before
