"""Checkpoints: whole or absent, checked when read, only ever of the same model, never in the way."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sm_dl.engine import machine
from sm_dl.engine.state_file import DamagedError, state_from_bytes, write_state
from sm_dl.errors import PlatformError, UserError
from sm_dl.files import TEMPORARY_SUFFIX, free_bytes, renamed_when_done

logger = logging.getLogger(__name__)

PREFIX, SUFFIX = "step-", ".safetensors"
KEPT = 2
"""Newest checkpoints kept: the last one, and one more in case the last one is damaged."""
IDENTITY, HYPERPARAMETERS = "identity", "hyperparameters"
"""Keys under which a checkpoint says whose it is, and how it was trained."""
LARGEST_SHARE = 0.02
"""Of the training time that saving may take."""
INTERVAL_VARIABLE = "SM_DL_CHECKPOINT_INTERVAL_S"
DEFAULT_INTERVAL_S = 10.0
"""Shortest time between two checkpoints; a platform may upload each of them."""
UPLOADING, UPLOADED = ".sagemaker-uploading", ".sagemaker-uploaded"
"""The platform's marks beside a file that it copies away."""


class Checkpoints:
    """The newest few states of a run, in one folder; used by the main process alone."""

    def __init__(
        self,
        folder: Path,
        identity: Mapping[str, object],
        hyperparameters: Mapping[str, object] | None = None,
    ) -> None:
        """Remember where to write and whose checkpoints they are.

        Args:
            folder: The job's checkpoint folder.
            identity: Algorithm and everything that decides the shape of its weights.
            hyperparameters: As JSON has them; what differs from a checkpoint's is told.
        """
        self.folder = folder
        self.identity = dict(identity)
        self.hyperparameters = dict(hyperparameters or {})
        self.num_saved = 0
        self.total_s = 0.0
        """Time that saving took."""
        self._interval_s = machine.seconds(INTERVAL_VARIABLE, DEFAULT_INTERVAL_S, least=0)
        self._damaged: list[Path] = []
        """Found so when the newest one was looked for; no help to anybody once there is a whole one."""
        self._cost_s = 0.0
        self._last_end = time.perf_counter()

    def is_due(self) -> bool:
        """Return whether enough time has gone by that saving again stays cheap."""
        pause_s = max(self._interval_s, self._cost_s * (1 / LARGEST_SHARE - 1))
        return time.perf_counter() - self._last_end >= pause_s

    def put_off(self) -> None:
        """Let the next one be due an interval from now."""
        self._last_end = time.perf_counter()

    def save(self, tree: Mapping[str, Any], step: int) -> None:
        """Write the state after a step; a disk that is full costs a line in the log, not the run."""
        started = time.perf_counter()
        own = {IDENTITY: self.identity, HYPERPARAMETERS: self.hyperparameters}
        path = self.folder / f"{PREFIX}{step:09d}{SUFFIX}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with renamed_when_done(path) as temporary:
                write_state(temporary, {**own, **tree})
        except OSError as error:
            self._make_room(path, error)
        else:
            self.num_saved += 1
            self._remove([one for one in self._damaged if one != path])
            self._damaged = []
            self._remove(self._newest_first()[KEPT:])
        self._last_end = time.perf_counter()
        self._cost_s = self._last_end - started
        self.total_s += self._cost_s

    def newest(self) -> bytes | None:
        """Return the newest whole checkpoint of this model, None when there is none.

        Raises:
            UserError: The folder holds checkpoints of another model, or damaged ones alone.
            PlatformError: The folder cannot be read.
        """
        for leftover in self.folder.glob(f"*{TEMPORARY_SUFFIX}"):
            leftover.unlink(missing_ok=True)  # of a process killed while it was writing
        for path in self._newest_first():
            try:
                content = path.read_bytes()
                tree = state_from_bytes(content)
            except OSError as error:
                raise PlatformError(f"{path}: cannot be read ({error.strerror}).") from None
            except DamagedError as error:
                logger.warning("%s: damaged (%s); trying the one before it.", path, error)
                self._damaged.append(path)
                continue
            self._refuse_strangers(path, tree.get(IDENTITY))
            logger.info("Continuing from checkpoint %s", path)
            self._tell_changes(tree.get(HYPERPARAMETERS))
            return content
        if self._damaged:
            names = ", ".join(path.name for path in self._damaged)
            raise UserError(
                f"{self.folder}: every checkpoint is damaged ({names}); copy a whole one "
                "there to go on from it, or empty the folder to start anew."
            )
        return None

    def _refuse_strangers(self, path: Path, identity: object) -> None:
        theirs = identity if isinstance(identity, Mapping) else {}
        names = {**theirs, **self.identity}
        differing = [name for name in names if theirs.get(name) != self.identity.get(name)]
        if differing:
            found = ", ".join(f"{name}={theirs.get(name)}" for name in differing)
            ours = ", ".join(f"{name}={self.identity.get(name)}" for name in differing)
            raise UserError(
                f"{path}: is a checkpoint of another model ({found}; this job has {ours}). "
                "Use another output folder, or empty the checkpoint folder to start anew."
            )

    def _tell_changes(self, theirs: object) -> None:
        before = theirs if isinstance(theirs, Mapping) else {}
        for name, value in self.hyperparameters.items():
            if name in before and before[name] != value:
                logger.warning(
                    "hyperparameter %s was %s, and is %s from here on.", name, before[name], value
                )

    def _make_room(self, path: Path, error: OSError) -> None:
        """Say what is missing, and give up all checkpoints but the newest whole one."""
        whole = [one for one in self._newest_first() if one not in self._damaged]
        needed = whole[0].stat().st_size if whole else None
        logger.error(
            "%s: the checkpoint cannot be written (%s): %s bytes needed, %s free. Training goes on, "
            "the next try is at the next interval; make room to be able to resume from here.",
            path, error.strerror, needed or "unknown", free_bytes(self.folder),
        )  # fmt: skip
        self._remove([*self._damaged, *whole[1:]])

    def _remove(self, paths: list[Path]) -> None:
        for path in paths:
            marks = [path.with_name(path.name + mark) for mark in (UPLOADING, UPLOADED)]
            if marks[0].exists() and not marks[1].exists():
                continue  # later: the platform is copying it away
            for file in (path, *marks):
                file.unlink(missing_ok=True)

    def _newest_first(self) -> list[Path]:
        return sorted(self.folder.glob(f"{PREFIX}*{SUFFIX}"), reverse=True)
