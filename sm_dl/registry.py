"""The algorithms, found by listing `sm_dl/algorithms`: a new one is a new folder."""

import importlib
import pkgutil
from pathlib import Path
from typing import Any

from sm_dl import algorithms
from sm_dl.artifact.archive import model_folder
from sm_dl.artifact.metadata import read_metadata
from sm_dl.contract.algorithm import Algorithm
from sm_dl.contract.codec import Predictor
from sm_dl.errors import UserError, near_miss


def names() -> list[str]:
    """Return the names of all algorithms, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(algorithms.__path__))


def get(name: str) -> Algorithm:
    """Return an algorithm by name; the service's own spelling with dashes works too.

    Raises:
        UserError: There is none of that name.
    """
    known = names()
    folder = name.strip().lower().replace("-", "_").removeprefix("forecasting_")
    if folder not in known:
        raise UserError(
            f"algorithm {name!r} is unknown; expected one of {', '.join(known)}.{near_miss(name, known)}"
        )
    algorithm = importlib.import_module(f"{algorithms.__name__}.{folder}").ALGORITHM
    if not isinstance(algorithm, Algorithm):
        raise TypeError(f"sm_dl/algorithms/{folder}/__init__.py: ALGORITHM must be an Algorithm")
    return algorithm


def load(path: Path) -> Predictor[Any, Any]:
    """Return the predictor of a model directory or `model.tar.gz`, whichever algorithm wrote it.

    Raises:
        UserError: There is no model that this version can read.
    """
    with model_folder(path) as folder:
        return get(read_metadata(folder).algorithm).load(folder)
