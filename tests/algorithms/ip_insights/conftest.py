"""Tables and hyperparameters of a tiny job."""

from collections.abc import Callable

import numpy as np
import pytest

from sm_dl.algorithms.ip_insights.data import Table
from sm_dl.algorithms.ip_insights.hyperparameters import IPInsightsHyperparameters

NUM_ROWS = 50


@pytest.fixture
def make_hyperparameters() -> Callable[..., IPInsightsHyperparameters]:
    """Return a maker of the hyperparameters of a tiny job."""

    def make(**changes: object) -> IPInsightsHyperparameters:
        tiny = {"num_entity_vectors": NUM_ROWS, "vector_dim": 4, "mini_batch_size": 24, "epochs": 2}
        return IPInsightsHyperparameters.parse({**tiny, **changes})

    return make


@pytest.fixture
def make_table() -> Callable[[int], Table]:
    """Return a maker of a table of so many random pairs."""

    def make(num_pairs: int, seed: int = 0) -> Table:
        random = np.random.default_rng(seed)
        return Table(
            random.integers(0, NUM_ROWS, num_pairs).astype(np.int32),
            random.integers(0, 2**32, num_pairs).astype(np.uint32),
            np.arange(NUM_ROWS, dtype=np.uint64),
        )

    return make
