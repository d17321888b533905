"""Checkpoints: whole or absent, loaded as data, and only ever of the same model."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch import Callback, LightningModule, Trainer
from typing_extensions import override

from sm_dl.errors import PlatformError, UserError
from sm_dl.files import TEMPORARY_SUFFIX, renamed_when_done

logger = logging.getLogger(__name__)

SUFFIX = ".ckpt"
KEPT = 2
"""Newest checkpoints kept: the last one, and one more in case the last one is damaged."""
IDENTITY = "sm_dl"
"""Key of a checkpoint under which it says whose it is."""


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's checkpoint file, written aside and renamed, and never unpickled as code."""

    @override
    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with renamed_when_done(target) as temporary:
                torch.save(checkpoint, temporary)
        except OSError as error:
            raise PlatformError(
                f"{target}: the checkpoint cannot be written ({error.strerror})."
            ) from None

    @override
    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        return checkpoint


class Checkpoints(Callback):
    """Writes one checkpoint after each epoch and keeps the newest few."""

    def __init__(self, folder: Path, identity: Mapping[str, object]) -> None:
        """Remember where to write and whose checkpoints they are.

        Args:
            folder: The job's checkpoint folder.
            identity: Algorithm and everything that decides the shape of its weights.
        """
        self.folder = folder
        self.identity = dict(identity)

    @override
    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint[IDENTITY] = self.identity

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.save_checkpoint(self.folder / f"epoch-{trainer.current_epoch:06d}{SUFFIX}")
        if trainer.is_global_zero:
            for old in _newest_first(self.folder)[KEPT:]:
                old.unlink(missing_ok=True)

    def newest(self) -> Path | None:
        """Return the newest whole checkpoint of this model, None when there is none.

        Raises:
            UserError: The folder holds checkpoints of another model.
        """
        for leftover in self.folder.glob(f"*{TEMPORARY_SUFFIX}"):
            leftover.unlink(missing_ok=True)  # of a process killed while it was writing
        for path in _newest_first(self.folder):
            try:
                checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
                identity = checkpoint[IDENTITY]
            except Exception as error:  # noqa: BLE001 - damage shows as any exception
                logger.warning(
                    "%s: damaged (%s); trying the one before it.", path, type(error).__name__
                )
                continue
            self._refuse_strangers(path, identity)
            return path
        return None

    def _refuse_strangers(self, path: Path, identity: Mapping[str, object]) -> None:
        names = {**identity, **self.identity}
        differing = [name for name in names if identity.get(name) != self.identity.get(name)]
        if differing:
            theirs = ", ".join(f"{name}={identity.get(name)}" for name in differing)
            ours = ", ".join(f"{name}={self.identity.get(name)}" for name in differing)
            raise UserError(
                f"{path}: is a checkpoint of another model ({theirs}; this job has {ours}). "
                "Use another output folder, or empty the checkpoint folder to start anew."
            )


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"epoch-*{SUFFIX}"), reverse=True)
