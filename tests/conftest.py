"""What every test may need."""

import logging
import os
from collections.abc import Iterator
from unittest import mock

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


@pytest.fixture(autouse=True)
def _own_environment() -> Iterator[None]:
    """Undo what a test does to the environment: doors that run in this process export variables."""
    with mock.patch.dict(os.environ):
        yield
