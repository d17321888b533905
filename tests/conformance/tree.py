"""The platform's tree, laid out from a small job."""

import json
from dataclasses import dataclass
from pathlib import Path

from tests.small_job import SmallJob

SECRET = "hunter2-hunter2"  # noqa: S105 - the value that must be seen nowhere
SECRETS = {"AWS_SECRET_ACCESS_KEY": SECRET, "MY_API_KEY": SECRET}


def lay_out(job: SmallJob, root: Path, **changes: str) -> Path:
    """Write a job as the platform does, some hyperparameters changed, and return its root."""
    job.write_opt_ml(root)
    values = read_config(root, "hyperparameters")
    write_config(root, "hyperparameters", values | changes)
    return root


def write_config(root: Path, name: str, content: object) -> None:
    """Write one of the platform's JSON files."""
    (root / "input" / "config" / f"{name}.json").write_text(json.dumps(content))


def read_config(root: Path, name: str) -> dict[str, object]:
    """Return what one of the platform's JSON files holds."""
    content = json.loads((root / "input" / "config" / f"{name}.json").read_text())
    assert isinstance(content, dict)
    return content


def files(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder by its relative name."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@dataclass(frozen=True)
class Finished:
    """The small job, trained to its end."""

    root: Path
    log: str

    @property
    def model(self) -> dict[str, bytes]:
        return files(self.root / "model")
