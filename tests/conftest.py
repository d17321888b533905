"""What every test may need."""

import logging
from collections.abc import Iterator

import pytest


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
