"""What an algorithm's tests must bring so that the battery can run it: one small real job."""

import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class SmallJob:
    """A job of a few seconds. It lives in `tests/algorithms/<name>/small_job.py` as `SMALL_JOB`."""

    hyperparameters: Mapping[str, Any]
    """Native values; at least three epochs, so that one can be interrupted."""
    epochs_name: str
    """The hyperparameter that counts epochs."""
    write_channels: Callable[[Path], dict[str, Path]]
    """Writes every channel below a folder and returns their paths by name."""
    requests: Sequence[tuple[str, bytes]]
    """Content types and bodies whose answers do not depend on chance."""
    silent_metrics: frozenset[str] = field(default_factory=frozenset)
    """Registered metrics that this job does not print."""
    several_epochs: int = 80
    """So many that a second checkpoint comes before their end; more where one is large, as they may take
    2 % of the time."""

    def write_yaml(self, folder: Path, output: Path) -> Path:
        """Write the job as a config file and return its path."""
        channels = self.write_channels(folder / "channels")
        path = folder / "job.yaml"
        document = {
            "algorithm": folder.name,
            "hyperparameters": dict(self.hyperparameters),
            "channels": {name: {"path": str(where)} for name, where in channels.items()},
            "output": str(output),
        }
        path.write_text(yaml.safe_dump(document))
        return path

    def write_opt_ml(self, root: Path) -> None:
        """Lay the same job out as the platform does, every value a string."""
        config, data = root / "input" / "config", root / "input" / "data"
        config.mkdir(parents=True)
        channels = self.write_channels(data)
        values = {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in self.hyperparameters.items()
        }
        entries = {
            name: {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated"}
            for name in channels
        }
        (config / "hyperparameters.json").write_text(
            json.dumps({**values, "_tuning_objective_metric": ""})
        )
        (config / "inputdataconfig.json").write_text(json.dumps(entries))
        (config / "resourceconfig.json").write_text(
            json.dumps({"current_host": "algo-1", "hosts": ["algo-1"]})
        )


def small_job(name: str) -> SmallJob:
    """Return the small job of an algorithm."""
    job = importlib.import_module(f"tests.algorithms.{name}.small_job").SMALL_JOB
    assert isinstance(job, SmallJob)
    return job
