"""Where everything of one job lies. The only file that knows the container's folders."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

PLATFORM_ROOT = Path("/opt/ml")


@dataclass(frozen=True)
class Paths:
    """The folders of one job below one root: `/opt/ml` in a container, `runs/<name>` elsewhere.

    Both have the same shape (contract, section 1), so nothing else needs to know which it is.
    """

    root: Path
    on_platform: bool = False
    checkpoint_folder: Path | None = None
    """Where the platform was told to synchronise checkpoints; None means: below the root."""

    @classmethod
    def of_platform(cls, environment: Mapping[str, str] = os.environ) -> "Paths":
        """Return the container's folders; `SAGEMAKER_BASE_DIR` moves the root."""
        return cls(Path(environment.get("SAGEMAKER_BASE_DIR") or PLATFORM_ROOT), on_platform=True)

    @property
    def input_config(self) -> Path:
        """Hold the platform's JSON files."""
        return self.root / "input" / "config"

    def channel(self, name: str) -> Path:
        """Return the folder the platform fills for a channel."""
        return self.root / "input" / "data" / name

    @property
    def model(self) -> Path:
        """Hold the artifact; the platform packs its contents as model.tar.gz."""
        return self.root / "model"

    @property
    def models(self) -> Path:
        """Hold the artifacts of a multi-model endpoint, each in a folder of its own."""
        return self.root / "models"

    @property
    def checkpoints(self) -> Path:
        """Hold what a restarted job continues from."""
        return self.checkpoint_folder or self.root / "checkpoints"

    def with_checkpoints(self, folder: Path) -> "Paths":
        """Return the same folders with checkpoints elsewhere; a relative one is below the root."""
        return replace(self, checkpoint_folder=self.root / folder)

    @property
    def output(self) -> Path:
        """Hold everything that is neither model nor checkpoint."""
        return self.root / "output"

    @property
    def failure(self) -> Path:
        """Tell why the job failed, first 1024 characters shown by the platform."""
        return self.output / "failure"

    @property
    def extras(self) -> Path:
        """Hold report, curves and scores.

        The platform uploads only `output/data` (as output.tar.gz), so there they go one deeper.
        """
        return self.output / "data" if self.on_platform else self.output

    @property
    def report(self) -> Path:
        """Hold `index.html` and the figures it is drawn from."""
        return self.extras / "report"

    @property
    def tensorboard(self) -> Path:
        """Hold TensorBoard event files."""
        return self.extras / "tensorboard"
