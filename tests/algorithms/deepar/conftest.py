"""Tiny series, windows, networks and predictors, and the places where their shapes are decided."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import torch

from sm_dl.algorithms.deepar.calendar import FEATURES, Frequency
from sm_dl.algorithms.deepar.hyperparameters import DeepARHyperparameters
from sm_dl.algorithms.deepar.network import DeepARNetwork, NetworkShape
from sm_dl.algorithms.deepar.predictor import DeepARPredictor
from sm_dl.algorithms.deepar.schema import Schema
from sm_dl.algorithms.deepar.series import Series
from sm_dl.algorithms.deepar.windows import SeriesPanel, Windows, WindowShape
from sm_dl.job.job import ChannelSource

LAGS = (1, 2, 5)
CONTEXT = 6
AHEAD = 4


def _shape(**changes: Any) -> NetworkShape:
    """Return the shape of a tiny network for hourly series, with any field changed."""
    facts: dict[str, Any] = {
        "num_layers": 2,
        "num_cells": 6,
        "zoneout_rate": 0.1,
        "likelihood": "student-T",
        "lags": LAGS,
        "num_calendar": len(FEATURES["H"]),
        "cardinality": (),
        "embedding_dimension": 3,
        "num_dynamic": 0,
        "has_gaps": False,
    }
    return NetworkShape(**(facts | changes))


def _network(seed: int = 1, **changes: Any) -> DeepARNetwork:
    """Return a tiny network in evaluation mode; its weights follow from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return DeepARNetwork(_shape(**changes)).eval()


def _series(target: Sequence[float] | np.ndarray, **changes: Any) -> Series:
    """Return a series that starts in 1970, with any field changed."""
    facts: dict[str, Any] = {
        "place": "train/a.json line 1",
        "start": 0,
        "target_T": np.asarray(target, dtype=np.float32),
        "cat_C": None,
        "dynamic_DT": None,
    }
    return Series(**(facts | changes))


def _wave(  # one keyword per fact about a series
    length: int,
    seed: int,
    *,
    likelihood: str = "student-T",
    gaps: float = 0.0,
    cardinality: Sequence[int] = (),
    num_dynamic: int = 0,
    horizon: int = 0,
) -> Series:
    """Return a random series whose values the likelihood can give."""
    random = np.random.default_rng(seed)
    values = random.uniform(0.5, 9.5, length)
    if likelihood == "beta":
        values = values / 10
    if likelihood == "negative-binomial":
        values = np.floor(values)
    values[random.uniform(size=length) < gaps] = np.nan
    return _series(
        values,
        start=60 * int(random.integers(0, 1000)),
        cat_C=tuple(int(random.integers(0, size)) for size in cardinality) or None,
        dynamic_DT=random.normal(size=(num_dynamic, length + horizon)).astype(np.float32)
        if num_dynamic
        else None,
    )


def _panel(series: Sequence[Series], frequency: str = "H", horizon: int = 0) -> SeriesPanel:
    """Return a panel with all categories and features that the first series has."""
    first = series[0]
    return SeriesPanel(
        series,
        Frequency.parse(frequency),
        num_cat=len(first.cat_C or ()),
        num_dynamic=0 if first.dynamic_DT is None else len(first.dynamic_DT),
        horizon=horizon,
    )


def _windows(
    network: DeepARNetwork,
    batch: int = 3,
    *,
    context: int = CONTEXT,
    ahead: int = AHEAD,
    gaps: float = 0.0,
    seed: int = 0,
) -> Windows:
    """Return windows of random series that begin long before them, as the network reads them."""
    shape = network.shape
    length = shape.lags[-1] + context + ahead + 5
    series = [
        _wave(
            length,
            seed + 100 * index,
            likelihood=shape.likelihood,
            gaps=gaps,
            cardinality=shape.cardinality,
            num_dynamic=shape.num_dynamic,
        )
        for index in range(batch)
    ]
    return _panel(series).cut(
        torch.arange(batch),
        torch.full((batch,), length - ahead),
        WindowShape(shape.lags[-1], context, ahead),
    )


def _schema(frequency: str = "H", **changes: Any) -> Schema:
    """Return what a tiny hourly model was trained with, with any field changed."""
    facts: dict[str, Any] = {
        "prediction_length": AHEAD,
        "likelihood": "student-T",
        "cardinality": (),
        "num_dynamic": 0,
        "lags": LAGS,
        "has_gaps": False,
    }
    return Schema(Frequency.parse(frequency), **(facts | changes))


def _predictor(seed: int = 1, frequency: str = "H", **changes: Any) -> DeepARPredictor:
    """Return a predictor with fresh weights; changes go to the shape of its network."""
    features = len(Frequency.parse(frequency).feature_names)
    network = _network(seed, **({"num_calendar": features} | changes))
    shape = network.shape
    schema = _schema(
        frequency,
        likelihood=shape.likelihood,
        cardinality=shape.cardinality,
        num_dynamic=shape.num_dynamic,
        lags=shape.lags,
        has_gaps=shape.has_gaps,
    )
    return DeepARPredictor(network, schema, CONTEXT)


def _hyperparameters(**changes: object) -> DeepARHyperparameters:
    """Return checked hyperparameters, with any value changed."""
    required: dict[str, object] = {
        "time_freq": "H",
        "context_length": CONTEXT,
        "prediction_length": AHEAD,
        "epochs": 1,
    }
    return DeepARHyperparameters.parse(required | changes)


@pytest.fixture(scope="session")
def make_shape() -> Callable[..., NetworkShape]:
    return _shape


@pytest.fixture(scope="session")
def make_network() -> Callable[..., DeepARNetwork]:
    return _network


@pytest.fixture(scope="session")
def make_series() -> Callable[..., Series]:
    return _series


@pytest.fixture(scope="session")
def make_wave() -> Callable[..., Series]:
    return _wave


@pytest.fixture(scope="session")
def make_panel() -> Callable[..., SeriesPanel]:
    return _panel


@pytest.fixture(scope="session")
def make_windows() -> Callable[..., Windows]:
    return _windows


@pytest.fixture(scope="session")
def make_schema() -> Callable[..., Schema]:
    return _schema


@pytest.fixture(scope="session")
def make_predictor() -> Callable[..., DeepARPredictor]:
    return _predictor


@pytest.fixture(scope="session")
def make_hyperparameters() -> Callable[..., DeepARHyperparameters]:
    return _hyperparameters


@pytest.fixture
def make_channel(tmp_path: Path) -> Callable[..., ChannelSource]:
    """Return a writer of one JSON Lines file, and the channel that holds it."""

    def write(records: Sequence[object], name: str = "train") -> ChannelSource:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "a.json").write_bytes(b"\n".join(map(orjson.dumps, records)) + b"\n")
        return ChannelSource(name, folder)

    return write


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """Keep the numbers of a run free of how many cores it has."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
